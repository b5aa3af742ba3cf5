"""The study's database: its tables, transactions, the event log, and queries.

Decisions are made in `tasks.advance`; notices are sent by `tasks.delivery`.
"""
