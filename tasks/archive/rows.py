"""Reads and writes the rows of a table as they are stored, damaged ones too.

No value is understood here, so that none is changed on its way: an instant stays text, and so does JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from tasks.archive.form import Cell, Column, Table

Row = dict[str, Cell]

# Rows that are in memory at once.
AT_ONCE = 500
_TRUTH = {0: False, 1: True}


def read_rows(
    connection: sa.Connection,
    name: str,
    columns: Sequence[Column],
    key: Sequence[str],
    only: sa.ColumnElement[bool] | None = None,
) -> Iterator[Row]:
    """The rows of a table in the order of its key, all or `only` some; few of them are in memory at once."""
    is_sqlite = connection.dialect.name == "sqlite"
    wanted = [_stored(column, is_sqlite) for column in columns]
    query = sa.select(*wanted).select_from(sa.table(name)).order_by(*(sa.column(part) for part in key))
    if only is not None:
        query = query.where(only)
    truths = [column.name for column in columns if column.kind == "boolean"]
    streaming = {"stream_results": True, "yield_per": AT_ONCE}
    with connection.execute(query, execution_options=streaming) as result:
        for row in result.mappings():
            yield _row(row, truths)


def _row(stored: sa.RowMapping, truths: Sequence[str]) -> Row:
    row: Row = dict(stored)
    for name in truths:
        row[name] = _TRUTH.get(row[name], row[name])  # type: ignore[arg-type]
    return row


def _stored(column: Column, is_sqlite: bool) -> sa.ColumnElement[Any]:
    """The expression that gives a column's value as it is stored."""
    plain: sa.ColumnElement[Any] = sa.column(column.name)
    if is_sqlite:
        return plain
    if column.kind == "json":
        return sa.cast(plain, sa.Text).label(column.name)
    if column.kind == "date":
        return sa.func.to_char(plain, "YYYY-MM-DD").label(column.name)
    return plain


def count_rows(connection: sa.Connection, name: str) -> int:
    """The number of rows of a table."""
    return connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) or 0


def write_rows(connection: sa.Connection, table: Table, rows: Iterable[Row]) -> Iterator[int]:
    """Insert rows into a table; yields the number of those inserted since the last time.

    Raises:
        sqlalchemy.exc.DBAPIError: the database refuses one of them.
    """
    statement = _insert(table, connection.dialect.name == "sqlite")
    waiting = iter(rows)
    while batch := list(islice(waiting, AT_ONCE)):
        connection.execute(statement, batch)
        yield len(batch)


def _insert(table: Table, is_sqlite: bool) -> sa.Insert:
    target = sa.table(table.name, *(sa.column(column.name) for column in table.columns))
    return sa.insert(target).values({column.name: _given(column, is_sqlite) for column in table.columns})


_IN_POSTGRESQL: dict[str, sa.types.TypeEngine[Any]] = {"json": sa.JSON(), "date": sa.Date()}


def _given(column: Column, is_sqlite: bool) -> sa.ColumnElement[Any]:
    if is_sqlite:
        return sa.bindparam(column.name)
    if column.kind in _IN_POSTGRESQL:
        return sa.cast(sa.bindparam(column.name, type_=sa.Text), _IN_POSTGRESQL[column.kind])
    kinds: dict[str, sa.types.TypeEngine[Any]] = {"boolean": sa.Boolean(), "integer": sa.Integer()}
    return sa.bindparam(column.name, type_=kinds.get(column.kind, sa.Text()))


def go_on_counting(connection: sa.Connection, table: Table) -> None:
    """Let the next row of a table get a number of its own, where the database counts apart from its rows."""
    if connection.dialect.name == "sqlite" or table.key != ("id",) or not _is_counted(table):
        return
    last: sa.ColumnElement[int] = sa.func.max(sa.column("id", sa.Integer))
    next_one = sa.select(sa.func.coalesce(last, 0) + 1).select_from(sa.table(table.name))
    sequence = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, "id")))
    if sequence is not None:
        connection.execute(sa.select(sa.func.setval(sequence, next_one.scalar_subquery(), False)))


def _is_counted(table: Table) -> bool:
    return any(column.name == "id" and column.kind == "integer" for column in table.columns)
