"""The register: a chained list of the rows outside the log that may change no more, each with its hash.

A line is written under the lock of the register's end, after its row is written. So the lines of two
transactions never cross: a row that somebody opens again is in the register before, and is noted as opened.
Events need no line: each has its place in the chain of its subject.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from tasks.database.schema import chains, register, stored
from tasks.database.triggers import triggers_in
from tasks.hashing.rows import chained

# `began`: rows that an earlier version wrote are taken as they are. `made`: the row is there, and may still
# change. `kept`: it may not. `restored`: as kept, and the first that this database holds of its own.
# `opened`: the service had to change it once more. `gone`: the service removed it.
What = Literal["began", "made", "kept", "restored", "opened", "gone"]
STANDING: tuple[What, ...] = ("kept", "restored")
TRIGGERS = "triggers"
# Between the parts of a key of several columns; no text that comes in holds it.
BETWEEN = "\x1f"
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A line to be written: the table and the key of a row, and the row's hash if it has one."""

    about: str
    key: str
    what: What
    row_hash: str | None = None


def key_of(*parts: object) -> str:
    """The key of a row as the register writes it."""
    return BETWEEN.join(str(part) for part in parts)


def append(connection: sa.Connection, lines: Sequence[Line], at: datetime) -> None:
    """Write lines at the register's end, in the caller's transaction, at the machine's time (UTC)."""
    if not lines:
        return
    number, head = lock(connection)
    rows = [
        {"number": nth, "about": line.about, "key": line.key, "what": line.what, "at": at}
        | {"row_hash": line.row_hash}
        for nth, line in enumerate(lines, number + 1)
    ]
    hashes = list(chained(register.name, [stored(register, row) for row in rows], head))
    connection.execute(
        register.insert(), [row | {"hash": each} for row, each in zip(rows, hashes, strict=True)]
    )
    end = {"number": number + len(rows), "head": hashes[-1]}
    connection.execute(chains.update().where(chains.c.name == register.name).values(end))


def lock(connection: sa.Connection, name: str = register.name) -> tuple[int, str]:
    """Let nobody else append to a chain until the transaction ends; return its last number and hash."""
    query = sa.select(chains.c.number, chains.c.head).where(chains.c.name == name).with_for_update()
    row = connection.execute(query).one()
    return row.number, row.head


def last_lines(connection: sa.Connection, about: str, keys: Collection[str]) -> dict[str, What]:
    """The kind of the last line about each of these rows, by key; a row without a line is left out."""
    found: dict[str, What] = {}
    wanted = list(keys)
    for first in range(0, len(wanted), _AT_ONCE):
        query = (
            sa.select(register.c.key, register.c.what)
            .where(register.c.about == about, register.c.key.in_(wanted[first : first + _AT_ONCE]))
            .order_by(register.c.number)
        )
        found |= {row.key: row.what for row in connection.execute(query)}
    return found


def open_again(connection: sa.Connection, about: str, keys: Collection[str]) -> None:
    """Note that the service changes rows that may be in the register: they are to be registered anew."""
    if not keys:
        return
    lock(connection)
    there = last_lines(connection, about, keys)
    opened = [Line(about, key, "opened") for key in keys if there.get(key) in STANDING]
    if opened:
        append(connection, opened, time_of(connection))


def note_triggers(connection: sa.Connection) -> None:
    """Register the triggers as they are now: a migration, or a restore, has just made them."""
    there = triggers_in(connection)
    lock(connection)
    kind = f"{connection.dialect.name}:"
    query = (
        sa.select(register.c.key, register.c.what, register.c.row_hash)
        .where(register.c.about == TRIGGERS)
        .order_by(register.c.number)
    )
    known = {
        row.key: row.row_hash if row.what in STANDING else None
        for row in connection.execute(query)
        if row.key.startswith(kind)
    }
    new = [Line(TRIGGERS, key, "kept", each) for key, each in sorted(there.items()) if known.get(key) != each]
    gone = [Line(TRIGGERS, key, "gone") for key, each in sorted(known.items()) if each and key not in there]
    append(connection, [*new, *gone], time_of(connection))


_SQLITE_TIME = sa.text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
_POSTGRESQL_TIME = sa.text("SELECT now()")


def time_of(connection: sa.Connection) -> datetime:
    """The instant by the database's own clock (UTC), where no other is at hand."""
    if connection.dialect.name == "sqlite":
        return datetime.fromisoformat(f"{connection.scalar(_SQLITE_TIME)}+00:00")
    now: datetime = connection.scalar(_POSTGRESQL_TIME)
    return now
