"""Statements that are put into the driver's words once, with values that are given as they are stored.

Each passage through SQLAlchemy's own execution costs as much as the database's work. The statements of every
transaction about a subject go past it; the others do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from tasks.database import postgresql, sqlite

Stored = Mapping[str, object]
# A row that came back, by the names of its columns.
Row = Mapping[str, Any]
# A statement, and the values that it is executed with.
Question = tuple["Compiled", Stored]


@dataclass(frozen=True, slots=True)
class _Words:
    """A statement's text for one database, the values it always has, and the order of its values if any."""

    text: str
    always: Stored
    order: Sequence[str] | None

    def of(self, values: Stored) -> Any:
        whole = {**self.always, **values}
        return whole if self.order is None else tuple(whole[name] for name in self.order)


@dataclass(frozen=True, eq=False)
class Compiled:
    """A statement whose values are those of `tasks.database.schema.stored`; rows come back as stored too.

    A row of an INSERT or an UPDATE must name the same columns each time.
    """

    statement: sa.ClauseElement
    _words: dict[tuple[str, tuple[str, ...]], _Words] = field(default_factory=dict)

    def execute(self, connection: sa.Connection, values: Stored) -> sa.CursorResult[Any]:
        """Execute the statement once."""
        return connection.exec_driver_sql(*self.in_words(connection, values))

    def ask(self, connection: sa.Connection, values: Stored) -> Sequence[Row]:
        """Execute the statement once; its rows."""
        return [dict(row) for row in self.execute(connection, values).mappings()]

    def in_words(self, connection: sa.Connection, values: Stored) -> tuple[str, Any]:
        """The statement and its values in the words of the database's driver."""
        words = self._for(connection, values)
        return words.text, words.of(values)

    def _for(self, connection: sa.Connection, values: Stored) -> _Words:
        given = (connection.dialect.name, tuple(values))
        if given not in self._words:
            self._words[given] = self._put(connection.dialect, given[1])
        return self._words[given]

    def _put(self, dialect: sa.Dialect, names: tuple[str, ...]) -> _Words:
        writes = isinstance(self.statement, sa.Insert | sa.Update)
        compiled = self.statement.compile(dialect=dialect, column_keys=list(names) if writes else None)
        assert isinstance(compiled, sa.sql.compiler.SQLCompiler)
        assert not compiled.post_compile_params, "a list has no text of its own"
        asked = {bind.key for bind in compiled.binds.values() if bind.required}
        always = {name: value for name, value in compiled.params.items() if name not in asked}
        return _Words(str(compiled), always, compiled.positiontup)


# So many rows at once: few enough texts for the server to know each of them soon.
_ROWS_AT_ONCE = (20, 10, 5, 4, 3, 2, 1)


def inserting(
    table: sa.Table, rows: Sequence[Stored], returning: Sequence[sa.Column[Any]] = ()
) -> list[Question]:
    """The statements that insert rows of the same columns, as they are stored, in their order.

    With `returning` the rows of each statement have these columns.
    """
    statements: list[Question] = []
    done = 0
    while done < len(rows):
        count = next(each for each in _ROWS_AT_ONCE if each <= len(rows) - done)
        some = rows[done : done + count]
        values = {f"{name}_{place}": value for place, row in enumerate(some) for name, value in row.items()}
        statements.append((_insert(table, tuple(some[0]), count, tuple(returning)), values))
        done += count
    return statements


@lru_cache(maxsize=100)
def _insert(
    table: sa.Table, names: tuple[str, ...], count: int, returning: tuple[sa.Column[Any], ...]
) -> Compiled:
    """The statement that inserts so many rows of these columns; the values of each bear its number."""
    rows: list[dict[str, Any]] = [
        {name: sa.bindparam(f"{name}_{place}") for name in names} for place in range(count)
    ]
    statement = table.insert().values(rows)
    return Compiled(statement.returning(*returning) if returning else statement)


def ask_in_turn(connection: sa.Connection, questions: Sequence[Question]) -> Sequence[Sequence[Row]]:
    """Execute statements, each on what those before it have locked and written; the rows of each.

    A server answers all in one round trip. Raises the errors of SQLAlchemy's for what the database refuses.
    """
    if not questions:
        return []
    ask = postgresql.ask_together if connection.dialect.name == "postgresql" else sqlite.ask_each
    return ask(connection, [each.in_words(connection, values) for each, values in questions])
