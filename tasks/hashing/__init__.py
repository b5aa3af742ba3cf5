"""The hash of a row, and the chain of rows: pure, the same on both kinds of database and in thirty years."""
