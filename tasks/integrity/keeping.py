"""Keeping: each row that may change no more gets a line in the register, with its hash.

The service does it every few minutes, apart from its doors. The rows are looked for without a lock; a batch
of them is then read again and written under the lock of the register's end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from tasks.archive.rows import Row, read_rows
from tasks.database import register
from tasks.database.register import BETWEEN, Line
from tasks.database.schema import register as lines
from tasks.database.store import Store
from tasks.hashing.rows import hash_of
from tasks.integrity.facts import FACTS, Facts

# Rows that are registered in one transaction: a door that has to write meanwhile waits for milliseconds.
_AT_ONCE = 100

Key = tuple[Any, ...]


def keep(store: Store, at: datetime) -> int:
    """Register every row that has to be, and return the number of lines; `at` is the machine's time (UTC)."""
    count = 0
    for facts in FACTS:
        with store.reading(long=True) as connection:
            wanted = _wanted(connection, facts)
        for first in range(0, len(wanted), _AT_ONCE):
            count += store.write(partial(_keep, facts, wanted[first : first + _AT_ONCE], at))
    return count


def key_in_sql(facts: Facts) -> sa.ColumnElement[str]:
    """The key of a row as the register writes it."""
    parts = [sa.cast(facts.table.c[name], sa.Text) for name in facts.key]
    text: sa.ColumnElement[str] = parts[0]
    for part in parts[1:]:
        text = text + sa.literal(BETWEEN) + part
    return text


def _wanted(connection: sa.Connection, facts: Facts) -> list[Key]:
    """The keys of the rows that may need a line."""
    last = (
        sa.select(lines.c.what)
        .where(lines.c.about == facts.name, lines.c.key == key_in_sql(facts))
        .order_by(lines.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    columns = [facts.table.c[name] for name in facts.key]
    new = sa.or_(last.is_(None), sa.and_(facts.settled, last.in_(("made", "opened", "gone"))))
    return [tuple(row) for row in connection.execute(sa.select(*columns).where(new).order_by(*columns))]


def _keep(facts: Facts, keys: Sequence[Key], at: datetime, connection: sa.Connection) -> int:
    register.lock(connection)
    known = register.last_lines(connection, facts.name, [register.key_of(*key) for key in keys])
    columns = [facts.table.c[name] for name in facts.key]
    query = sa.select(*columns).where(_among(columns, keys), facts.settled)
    settled = {register.key_of(*row) for row in connection.execute(query)}
    new = []
    for row in _rows(connection, facts, keys):
        key = register.key_of(*(row[name] for name in facts.key))
        if not is_whole(facts, row) or (key not in known and _is_copy(connection, facts, row)):
            continue  # `itp verify` names it; a line in the register would bear it out
        if key in settled and known.get(key) not in register.STANDING:
            new.append(Line(facts.name, key, "kept", hash_of_all(facts, row)))
        elif key not in settled and key not in known:
            new.append(Line(facts.name, key, "made", str(row["hash"])))
    register.append(connection, new, at)
    return len(new)


def _is_copy(connection: sa.Connection, facts: Facts, row: Row) -> bool:
    """Whether a new row repeats one that is in the register."""
    if not facts.may_be_copied:
        return False
    same = sa.select(*(facts.table.c[name] for name in facts.key)).where(facts.table.c.hash == row["hash"])
    keys = [register.key_of(*key) for key in connection.execute(same)]
    return bool(register.last_lines(connection, facts.name, keys))


def _among(columns: Sequence[sa.ColumnElement[Any]], keys: Sequence[Key]) -> sa.ColumnElement[bool]:
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return sa.or_(*(sa.and_(*(c == part for c, part in zip(columns, key, strict=True))) for key in keys))


def _rows(connection: sa.Connection, facts: Facts, keys: Sequence[Key]) -> Iterator[Row]:
    columns: list[sa.ColumnElement[Any]] = [sa.column(name) for name in facts.key]
    return read_rows(connection, facts.name, facts.columns, facts.key, _among(columns, keys))


def is_whole(facts: Facts, row: Row) -> bool:
    """Whether a row has the hash of what it said from its beginning on."""
    return row["hash"] == hash_of(facts.name, {name: row[name] for name in facts.made})


def hash_of_all(facts: Facts, row: Row) -> str:
    """The hash of all that a row says once it is settled."""
    return hash_of(facts.name, {name: value for name, value in row.items() if name != "hash"})
