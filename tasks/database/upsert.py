"""Writes the row of a key in one statement, so that two writers at once both succeed.

A row that must not replace another writer's is inserted plainly instead: there `Store.write` repeats the step
that came second.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values({**key, **row, **once})
    replaced = {name: statement.excluded[name] for name in row}
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=replaced))


def insert_once(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row, unless one of its key is there already."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(insert(table).values(row).on_conflict_do_nothing())
