"""The memory of the REDCap door, which all processes of a study share.

Its book (requests of the last minute, rests, how far the log was read), the turns of forms that are being
taken, and the form of the record that each event came from. `deployments.api.redcap` decides by them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from itp_events.events import EventKey
from tasks.database import register
from tasks.database.schema import redcap_books, redcap_statements, redcap_turns
from tasks.database.store import Store
from tasks.database.upsert import upsert
from tasks.hashing.rows import hash_of

Result = TypeVar("Result")
Book = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """The form that stated an event: its record, and its place there."""

    record: str
    place: str


def with_book(store: Store, address: str, step: Callable[[Book], Result]) -> Result:
    """Let `step` read and change the book of a REDCap, alone among all processes; returns its result.

    The changes are kept when `step` returns, and dropped when it raises.
    """

    def write(connection: sa.Connection) -> Result:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(insert(redcap_books).values(address=address, body={}).on_conflict_do_nothing())
        of_it = redcap_books.c.address == address
        query = sa.select(redcap_books.c.body).where(of_it).with_for_update()
        book: Book = connection.scalar(query) or {}
        result = step(book)
        connection.execute(redcap_books.update().where(of_it).values(body=book))
        return result

    return store.write(write)


def read_book(store: Store, address: str) -> Book:
    """The book of a REDCap as it is; empty when there is none."""
    with store.reading() as connection:
        query = sa.select(redcap_books.c.body).where(redcap_books.c.address == address)
        return connection.scalar(query) or {}


def take_turn(store: Store, form: str, holder: str, now: datetime, until: datetime) -> bool:
    """Take the turn of a form at `now`, in the world's time; False while another holds it.

    A holder that died loses it at `until`.
    """

    def write(connection: sa.Connection) -> bool:
        connection.execute(redcap_turns.delete().where(redcap_turns.c.until <= now))
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        row = {"form": form, "holder": holder, "until": until}
        statement = insert(redcap_turns).values(row).on_conflict_do_nothing().returning(redcap_turns.c.form)
        return connection.scalar(statement) is not None

    return store.write(write)


def end_turn(store: Store, form: str, holder: str) -> None:
    """Give the turn of a form back, if `holder` has it still."""
    mine = (redcap_turns.c.form == form, redcap_turns.c.holder == holder)
    store.write(lambda connection: connection.execute(redcap_turns.delete().where(*mine)))


def remember_origin(store: Store, key: EventKey, origin: Origin) -> None:
    """Keep the form that states an event, before the event is recorded."""
    named = dict(zip(("source", "id"), key, strict=True))
    row = {"record": origin.record, "place": origin.place}
    there = sa.select(redcap_statements.c.record, redcap_statements.c.place).where(
        redcap_statements.c.source == key[0], redcap_statements.c.id == key[1]
    )

    def write(connection: sa.Connection) -> None:
        before = connection.execute(there).one_or_none()
        if before is not None and before._mapping == row:
            return
        hashed = {"hash": hash_of(redcap_statements.name, named | row)}
        upsert(connection, redcap_statements, named, row | hashed)
        if before is not None:
            register.open_again(connection, redcap_statements.name, [register.key_of(*key)])

    store.write(write)


def origins(store: Store, source: str, ids: Collection[str]) -> dict[str, Origin]:
    """The forms that stated the events of these ids, where they are known."""
    columns = (redcap_statements.c.id, redcap_statements.c.record, redcap_statements.c.place)
    query = sa.select(*columns).where(
        redcap_statements.c.source == source, redcap_statements.c.id.in_(list(ids))
    )
    with store.reading() as connection:
        return {row.id: Origin(row.record, row.place) for row in connection.execute(query)}
