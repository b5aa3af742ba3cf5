"""The Prefect flows: the order of the effects, and the waiting between them.

The effects themselves are in `tasks`.
"""
