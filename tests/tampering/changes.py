"""One random change of a study's database, as somebody makes it who may do everything there."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tasks.archive.contents import every_column_of, key_of
from tasks.archive.rows import Row, read_rows
from tasks.database.register import key_of as name_of
from tasks.database.schema import Instant, metadata
from tasks.database.triggers import lifted
from tasks.integrity.facts import CHAINED, FACTS, PASSING

TABLES = tuple(sorted([*(each.name for each in FACTS), *CHAINED]))
# A row of these that is not there is made anew by the service, and no finding.
_MADE_ANEW = ("cards",)
_SETTLED = {each.name: each for each in FACTS}
# Columns in which a row says what becomes of it until it is settled.
_LATER = {
    "notices": ("status", "reason", "handed_at", "settled_at", "title", "body"),
    "deliveries": ("status", "attempts", "repeated", "sent_at"),
    "attempts": ("ended_at", "outcome", "error"),
    "leftovers": ("settled_at",),
    "sessions": ("ended_at",),
}


@dataclass(frozen=True)
class Change:
    """A change that was made: what it was, and the names by one of which a finding must call the row."""

    what: str
    table: str
    rows: tuple[str, ...]


def tamper(connection: sa.Connection, chance: random.Random) -> Change:
    """Make one random change, in the caller's transaction."""
    while True:
        change = chance.choice(_CHANGES)(connection, chance)
        if change is not None:
            return change


def columns_with_facts() -> list[sa.Column[Any]]:
    """Every column of the database whose change must be found."""
    return [
        column
        for name in TABLES
        for column in metadata.tables[name].c
        if f"{name}.{column.name}" not in PASSING
    ]


def change_column(connection: sa.Connection, chance: random.Random, column: sa.Column[Any]) -> Change:
    """Change one column of a random row, in the caller's transaction.

    Raises:
        LookupError: the study has no row in which this column may be changed.
    """
    rows = _rows(connection, column.table.name)
    for row in chance.sample(rows, len(rows)):
        for _ in range(_TRIES):
            change = _changed(connection, chance, column, row)
            if change is not None:
                return change
    raise LookupError(f"no row of the study lets {column} be changed")


# A value by chance may be one that a rule of the database refuses.
_TRIES = 5


def _rows(connection: sa.Connection, name: str) -> list[Row]:
    table = metadata.tables[name]
    return list(read_rows(connection, name, every_column_of(table), key_of(table)))


def _some_table(connection: sa.Connection, chance: random.Random, least: int = 1) -> tuple[str, list[Row]]:
    while True:
        name = chance.choice(TABLES)
        rows = _rows(connection, name)
        if len(rows) >= least:
            return name, rows


def names_of(table: str, row: Row) -> tuple[str, ...]:
    """The names by which a finding may call a row."""
    if table == "events":
        return (f"{row['subject']}, row {row['seq']}",)
    if table in ("register", "seals"):
        return (f"row {row['number']}",)
    return (name_of(*(row[part] for part in key_of(metadata.tables[table]))).replace("\x1f", " "),)


def _flip(connection: sa.Connection, chance: random.Random) -> Change | None:
    name, rows = _some_table(connection, chance)
    row = chance.choice(rows)
    columns = [
        column for column in metadata.tables[name].c if _may_change(connection, name, row, column.name)
    ]
    if not columns:
        return None
    return _changed(connection, chance, chance.choice(columns), row)


def _changed(
    connection: sa.Connection, chance: random.Random, column: sa.Column[Any], row: Row
) -> Change | None:
    """Change a column of a row; None when it holds no fact yet, or the database refuses the value."""
    name: str = column.table.name
    if not _may_change(connection, name, row, column.name):
        return None
    other = another(chance, column, row[column.name])
    with _freely(connection, name):
        if not _set(connection, name, row, {column.name: other}):
            return None
    after: Row = {**row, column.name: other}  # type: ignore[dict-item]
    return Change(f"{name}.{column.name} changed", name, names_of(name, row) + names_of(name, after))


def _may_change(connection: sa.Connection, name: str, row: Row, column: str) -> bool:
    """Whether a column holds a fact of this row by now."""
    if f"{name}.{column}" in PASSING:
        return False
    return column not in _LATER.get(name, ()) or _is_settled(connection, name, row)


def _is_settled(connection: sa.Connection, name: str, row: Row) -> bool:
    table = metadata.tables[name]
    mine = [table.c[part] == row[part] for part in key_of(table)]
    found = connection.execute(
        sa.select(sa.literal(1)).select_from(table).where(*mine, _SETTLED[name].settled)
    )
    return found.first() is not None


def another(chance: random.Random, column: sa.Column[Any], value: object) -> object:
    """A value of the same kind, which differs from a stored one."""
    allowed = _allowed(column)
    while True:
        other = chance.choice(allowed) if allowed else _value(chance, column, value)
        if other != value:
            return other


def _allowed(column: sa.Column[Any]) -> list[str]:
    """The values that a rule of the database lets a column have; empty when it has no such rule."""
    rules = (str(each.sqltext) for each in column.table.constraints if isinstance(each, sa.CheckConstraint))
    found = (re.fullmatch(rf"{column.name} IN \((.*)\)", rule) for rule in rules)
    return [each.strip(" '") for match in found if match for each in match[1].split(",")]


def _value(chance: random.Random, column: sa.Column[Any], value: object) -> object:
    kind = column.type
    if column.nullable and chance.random() < 0.1:
        return None
    if isinstance(kind, sa.Boolean):
        return not value
    if isinstance(kind, sa.Integer):
        return (value if isinstance(value, int) else 0) + chance.choice((-1, 1, 7))
    if isinstance(kind, sa.Date):
        return f"2026-0{chance.randint(1, 9)}-{chance.randint(10, 28)}"
    if isinstance(kind, Instant):
        return (
            f"2026-0{chance.randint(1, 9)}-{chance.randint(10, 28)}T01:02:03.{chance.randint(0, 999999):06}Z"
        )
    text = str(value) if value else ""
    if isinstance(kind, sa.JSON):
        return '["tampered"]' if chance.random() < 0.5 else f"{text} "
    if not text:
        return "x"
    place = chance.randrange(len(text))
    letter = chance.choice(string.ascii_letters + string.digits)
    return text[:place] + letter + text[place + 1 :]


def _drop(connection: sa.Connection, chance: random.Random) -> Change | None:
    name, rows = _some_table(connection, chance)
    if name in _MADE_ANEW:
        return None
    row = chance.choice(rows)
    with _freely(connection, name):
        _delete(connection, name, row)
    return Change(f"a row of {name} dropped", name, names_of(name, row))


def _cut_off(connection: sa.Connection, chance: random.Random) -> Change | None:
    name, rows = _some_table(connection, chance, 2)
    if name in _MADE_ANEW:
        return None
    if name == "events":
        code = chance.choice(rows)["subject"]
        rows = [row for row in rows if row["subject"] == code]
    last = rows[-min(chance.randint(1, 3), len(rows)) :]
    with _freely(connection, name):
        for row in last:
            _delete(connection, name, row)
    return Change(f"{len(last)} last rows of {name} cut off", name, names_of(name, last[0]))


def _swap(connection: sa.Connection, chance: random.Random) -> Change | None:
    """Exchange what two rows say, their keys aside."""
    name, rows = _some_table(connection, chance, 2)
    one, other = chance.sample(rows, 2)
    key = {*key_of(metadata.tables[name]), *(_UNIQUE.get(name, ()))}
    passing = {column.partition(".")[2] for column in PASSING if column.startswith(f"{name}.")}
    columns = [
        each
        for each in one
        if each not in key | passing and all(_may_change(connection, name, row, each) for row in (one, other))
    ]
    if all(one[each] == other[each] for each in columns):
        return None
    with _freely(connection, name):
        _set(connection, name, one, {each: other[each] for each in columns})
        _set(connection, name, other, {each: one[each] for each in columns})
    return Change(f"two rows of {name} swapped", name, names_of(name, one) + names_of(name, other))


_UNIQUE = {"events": ("source", "id"), "deliveries": ("notice", "recipient")}


def _insert(connection: sa.Connection, chance: random.Random) -> Change | None:
    name, rows = _some_table(connection, chance)
    table = metadata.tables[name]
    like = chance.choice(rows)
    row = {**like}
    for part in {*key_of(table), *_UNIQUE.get(name, ())}:
        value = like[part]
        if isinstance(value, int):
            row[part] = max(each[part] for each in rows) + 1  # type: ignore[type-var,operator]
        elif part != "subject" or name == "cards":
            row[part] = f"{value}-x"
    with _freely(connection, name):
        columns: list[sa.ColumnClause[Any]] = [sa.column(each) for each in row]
        target = sa.table(name, *columns)
        statement = sa.insert(target).values({each: _given(connection, table.c[each]) for each in row})
        connection.execute(statement, row)
    return Change(f"a row of {name} inserted", name, names_of(name, row))


def _trigger(connection: sa.Connection, chance: random.Random) -> Change | None:
    """Drop a trigger, or let it stand without effect."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql, tbl_name AS of FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        there = connection.execute(sa.text(query)).all()
        found = chance.choice(there)
        connection.execute(sa.text(f"DROP TRIGGER {found.name}"))
        if chance.random() < 0.5:
            return Change("a trigger dropped", "triggers", (found.name,))
        connection.exec_driver_sql(found.sql.replace("append-only", "append only").replace("moved", "gone"))
        return Change("a trigger changed", "triggers", (found.name,))
    query = (
        "SELECT t.tgname AS name, t.tgrelid::regclass::text AS of FROM pg_trigger t "
        "WHERE NOT t.tgisinternal ORDER BY 1"
    )
    found = chance.choice(connection.execute(sa.text(query)).all())
    if chance.random() < 0.5:
        connection.execute(sa.text(f"DROP TRIGGER {found.name} ON {found.of}"))
        return Change("a trigger dropped", "triggers", (found.name,))
    connection.execute(sa.text(f"ALTER TABLE {found.of} DISABLE TRIGGER {found.name}"))
    return Change("a trigger disabled", "triggers", (found.name,))


def _revision(connection: sa.Connection, chance: random.Random) -> Change | None:
    statements = (
        "UPDATE alembic_version SET version_num = '0001'",
        "DELETE FROM alembic_version",
        "INSERT INTO alembic_version VALUES ('0002')",
    )
    connection.execute(sa.text(chance.choice(statements)))
    return Change("the revision changed", "alembic_version", ("",))


_CHANGES: tuple[Callable[[sa.Connection, random.Random], Change | None], ...] = (
    *(_flip,) * 10,
    *(_drop, _drop, _cut_off, _cut_off, _swap, _swap, _insert, _insert, _trigger),
    _revision,
)


class _freely:  # noqa: N801 - read as a word of the sentence in which it stands
    """Let every change of a table pass, and put its triggers back afterwards."""

    def __init__(self, connection: sa.Connection, table: str) -> None:
        self._connection = connection
        self._lifted = lifted(connection, table)

    def __enter__(self) -> None:
        if self._connection.dialect.name == "postgresql":
            # Foreign keys are triggers of the system: this lets a superuser pass by all of them.
            self._connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        else:
            # They are looked at when the transaction ends, which it never does.
            self._connection.execute(sa.text("PRAGMA defer_foreign_keys = ON"))
        self._lifted.__enter__()

    def __exit__(self, *problem: object) -> None:
        self._lifted.__exit__(*problem)  # type: ignore[arg-type]
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(sa.text("SET LOCAL session_replication_role = origin"))


def _given(connection: sa.Connection, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    value = sa.bindparam(column.name, type_=sa.Text)
    if connection.dialect.name == "sqlite":
        return sa.bindparam(column.name)
    if isinstance(column.type, sa.JSON | sa.Date):
        return sa.cast(value, column.type)
    if isinstance(column.type, sa.Boolean | sa.Integer):
        return sa.bindparam(column.name, type_=column.type)
    return value


def _where(table: sa.Table, row: Row) -> list[sa.ColumnElement[bool]]:
    return [sa.column(part) == row[part] for part in key_of(table)]


def _set(connection: sa.Connection, name: str, row: Row, values: dict[str, object]) -> bool:
    """Change a row; False when a constraint of the database refuses the value."""
    table = metadata.tables[name]
    target = sa.table(name, *(sa.column(column) for column in values))
    change = sa.update(target).where(*_where(table, row))
    change = change.values(
        {column: _given_as(connection, table.c[column], values[column]) for column in values}
    )
    try:
        with connection.begin_nested():
            connection.execute(change)
    except sa.exc.DBAPIError:
        return False
    return True


def _given_as(connection: sa.Connection, column: sa.Column[Any], value: object) -> sa.ColumnElement[Any]:
    if connection.dialect.name == "sqlite" or isinstance(column.type, sa.Boolean | sa.Integer):
        return sa.literal(value) if value is not None else sa.null()
    text = sa.null() if value is None else sa.literal(value, sa.Text)
    return sa.cast(text, column.type) if isinstance(column.type, sa.JSON | sa.Date) else text


def _delete(connection: sa.Connection, name: str, row: Row) -> None:
    connection.execute(sa.delete(sa.table(name)).where(*_where(metadata.tables[name], row)))
