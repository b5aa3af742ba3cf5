"""The origin and the destination of a study: restored archives, and the move to another database.

A move marks its source before it copies anything. From then on the source takes in no event and sends
nothing, so that a study never goes on in two databases, at whatever instant the move is killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from itp_events.errors import ItpError
from tasks.database import register
from tasks.database.register import Line, What
from tasks.database.schema import attempts, custody, events, stored, told
from tasks.hashing.rows import hash_of

_MOVES = ("moving", "moved")


class Moved(ItpError):
    """The study goes on in another database."""


@dataclass(frozen=True, slots=True)
class Move:
    """A move to `place` (an address without its password), begun or ended `at` an instant (UTC)."""

    id: str
    what: str
    place: str
    at: datetime


def move_in(connection: sa.Connection) -> Move | None:
    """The move that stands in this database; None when the study is at home in it."""
    row = connection.execute(sa.select(*told(custody)).where(custody.c.what.in_(_MOVES))).one_or_none()
    return Move(**row._mapping) if row else None


def refuse_moved(connection: sa.Connection) -> None:
    """Raise Moved when a move stands in this database, which may have no tables yet."""
    move = move_in(connection) if sa.inspect(connection).has_table(custody.name) else None
    if move is not None:
        raise Moved(said(move))


def said(move: Move) -> str:
    """A sentence about a move, with the remedy."""
    if move.what == "moved":
        return (
            f"this study was moved to {move.place} on {move.at:%Y-%m-%d %H:%M} UTC: set ITP_DATABASE_URL to "
            "that database, or go on in this one with itp move --stay"
        )
    return (
        f"a move of this study to {move.place} was begun on {move.at:%Y-%m-%d %H:%M} UTC and has not ended: "
        "repeat it, or go on in this one with itp move --stay"
    )


def begin_move(connection: sa.Connection, move: Move) -> None:
    """Close this database, once everybody has ended who is writing to it."""
    if connection.dialect.name == "postgresql":
        names = f"{events.name}, {attempts.name}"
        connection.execute(sa.text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
    _enter(connection, move, "kept")


def end_move(connection: sa.Connection, identity: str, at: datetime) -> None:
    """Note that the other database holds the study."""
    same = custody.c.id == identity
    begun = connection.execute(sa.select(*told(custody)).where(same)).one()
    row = {**begun._mapping, "what": "moved", "at": at}
    register.open_again(connection, custody.name, [identity])
    connection.execute(custody.update().where(same).values(row | {"hash": _hash(row)}))
    register.append(connection, [Line(custody.name, identity, "kept", _hash(row))], at)


def take_back(connection: sa.Connection, at: datetime) -> None:
    """Let the study go on in this database."""
    moves = custody.c.what.in_(_MOVES)
    gone = [
        Line(custody.name, row.id, "gone") for row in connection.execute(sa.select(custody.c.id).where(moves))
    ]
    connection.execute(custody.delete().where(moves))
    register.append(connection, gone, at)


def note_restored(connection: sa.Connection, identity: str, place: str, at: datetime) -> None:
    """Note that an archive was restored into this database; `place` is its file, or where it moved from."""
    _enter(connection, Move(identity, "restored", place, at), "restored")


def _enter(connection: sa.Connection, move: Move, what: What) -> None:
    row = {"id": move.id, "what": move.what, "place": move.place, "at": move.at}
    connection.execute(custody.insert(), row)
    register.append(connection, [Line(custody.name, move.id, what, _hash(row))], move.at)


def _hash(row: Mapping[str, Any]) -> str:
    return hash_of(custody.name, stored(custody, row))


def holds(connection: sa.Connection, identity: str) -> bool:
    """Whether this archive was restored into this database; it may have no tables at all."""
    if not sa.inspect(connection).has_table(custody.name):
        return False
    query = sa.select(custody.c.id).where(custody.c.id == identity, custody.c.what == "restored")
    return connection.scalar(query) is not None
