"""The tables and columns that go into an archive, and the reasons why others do not.

A table that a migration adds goes in by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tasks.archive.form import Column, Kind
from tasks.database.schema import Instant, metadata

LEFT_OUT: Mapping[str, str] = {
    "senders": "signs of life of processes that ran on one machine",
    "leases": "jobs of services that ran",
    "heartbeats": "signs of life of a service that ran on one machine",
    "redcap_turns": "forms that a running process held",
    "shown_artifacts": "pages in one Prefect; the service makes them anew",
    "prefect_notes": "notes about one Prefect and the service that it showed",
    "cards": "made anew from the events",
    "custody": "where one database came from and went to",
    "sessions": "who was signed in to one installation",
    "second_factors": "the last code that was taken, of a secret that is not here",
    "accounts.password": "a secret: its owner sets a new one",
    "accounts.totp": "a secret: its owner sets up a new one",
    "verifications": "when one database was verified last; the one that it is restored into is verified anew",
    "subjects.flow_run_id": "a flow run in one Prefect; the service makes it anew",
    "recipients.holder": "the service that ran with the recipients",
}
"""Tables and columns that concern one running installation alone, or follow from the others."""

# A database that holds a row of one of these holds a study.
RECORD = (
    "subjects",
    "events",
    "screening_log",
    "notices",
    "deliveries",
    "attempts",
    "leftovers",
    "redcap_statements",
    "accounts",
    "account_log",
    "sign_ins",
    "signatures",
    "duty_changes",
)

_KINDS: tuple[tuple[type[Any], Kind], ...] = (
    (Instant, "instant"),
    (sa.JSON, "json"),
    (sa.Date, "date"),
    (sa.Boolean, "boolean"),
    (sa.Integer, "integer"),
    (sa.Text, "text"),
)


def archived_tables() -> list[sa.Table]:
    """The tables that go into an archive, each after those that it refers to."""
    return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]


def columns_of(table: sa.Table) -> tuple[Column, ...]:
    """The columns of a table that go into an archive."""
    return tuple(each for each in every_column_of(table) if f"{table.name}.{each.name}" not in LEFT_OUT)


def every_column_of(table: sa.Table) -> tuple[Column, ...]:
    """The columns of a table, also those that no archive holds."""
    return tuple(Column(name=column.name, kind=_kind(column)) for column in table.columns)


def key_of(table: sa.Table) -> tuple[str, ...]:
    """The columns of a table's primary key."""
    return tuple(column.name for column in table.primary_key.columns)


def _kind(column: sa.Column[object]) -> Kind:
    return next(kind for type_, kind in _KINDS if isinstance(column.type, type_))
