"""The study's database: tables, transactions, the event log, and what others read from it."""
