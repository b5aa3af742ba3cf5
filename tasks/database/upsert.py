"""Writes the row of a key in one statement, so that two writers at once both succeed.

A row that must not replace another writer's is inserted plainly instead: there `Store.write` repeats the step
that came second.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

_NOTHING: Mapping[str, Any] = {}


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    key: Mapping[str, Any],
    row: Mapping[str, Any],
    once: Mapping[str, Any] = _NOTHING,
) -> None:
    """Write `row` under `key`, into the row that is there or into a new one.

    A new row also gets `once`; later writes leave these columns as they are.
    """
    statement = _upserting(connection.dialect.name, table, tuple(key), tuple(row))
    connection.execute(statement, {**key, **row, **once})


# Building such a statement takes SQLAlchemy longer than the database takes to execute it.
@lru_cache(maxsize=100)
def _upserting(dialect: str, table: sa.Table, key: tuple[str, ...], row: tuple[str, ...]) -> sa.Insert:
    inserting = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    replaced = {name: inserting.excluded[name] for name in row}
    return inserting.on_conflict_do_update(index_elements=list(key), set_=replaced)


def insert_once(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row, unless one of its key is there already."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(insert(table).values(row).on_conflict_do_nothing())
