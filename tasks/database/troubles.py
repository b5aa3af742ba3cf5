"""Troubles that a person must mend: shown on the board, in /healthz and by `itp doctor`.

A row stands as long as its trouble does. Mends that the service makes by itself are repairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

import sqlalchemy as sa

from tasks.database.schema import troubles
from tasks.database.store import Store
from tasks.database.upsert import upsert


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble, since an instant (UTC); `about` is a subject's code, or a part of the service."""

    about: str
    what: str
    since: datetime


def open_troubles(store: Store) -> list[Trouble]:
    """The troubles that stand, the oldest first."""
    query = sa.select(troubles).order_by(troubles.c.since, troubles.c.about)
    with store.reading() as connection:
        return [Trouble(**row._mapping) for row in connection.execute(query)]


class Troubles:
    """The troubles of a study, as one process notes and settles them; it writes only changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, str] | None = None
        # Two threads that read at once would each go on with their own, and one of them forget what it noted.
        self._reading = Lock()

    def note(self, about: str, what: str, now: datetime) -> bool:
        """Keep a trouble, since its first note; return whether it is new."""
        if self._read().get(about) == what:
            return False
        with self._store.writing() as connection:
            upsert(connection, troubles, {"about": about}, {"what": what}, {"since": now})
        is_new = about not in self._read()
        self._read()[about] = what
        return is_new

    def settle(self, about: str) -> None:
        """Note that a trouble is over."""
        if about not in self._read():
            return
        with self._store.writing() as connection:
            connection.execute(troubles.delete().where(troubles.c.about == about))
        self._read().pop(about, None)

    def _read(self) -> dict[str, str]:
        with self._reading:
            if self._known is None:
                self._known = {each.about: each.what for each in open_troubles(self._store)}
            return self._known
