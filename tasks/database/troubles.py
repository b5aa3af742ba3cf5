"""Troubles that a person must mend: shown on the board, in /healthz and by `itp doctor`.

A row stands as long as its trouble does. Mends that the service makes by itself are repairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from tasks.database.schema import senders, subjects, troubles
from tasks.database.shared_time import shared_now
from tasks.database.store import Store
from tasks.database.upsert import upsert

LISTED = sa.select(troubles.c.about, troubles.c.what, troubles.c.since)
# A process that gave no sign of life for so long has ended, or is cut off and notes its trouble again later.
SILENT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble, since an instant (UTC); `about` is a subject's code, or a part of the service."""

    about: str
    what: str
    since: datetime


def open_troubles(store: Store) -> list[Trouble]:
    """The troubles that stand, the oldest first."""
    query = LISTED.order_by(troubles.c.since, troubles.c.about)
    with store.reading() as connection:
        return [Trouble(**row._mapping) for row in connection.execute(query)]


def note_trouble(store: Store, about: str, what: str, now: datetime, noted_by: str | None = None) -> bool:
    """Keep a trouble, since its first note at `now` (UTC); return whether it is new.

    `noted_by` is the id of the process whose own it is; None when it is the study's.
    """
    before = _stands(store, about)
    if before != what:
        with store.writing() as connection:
            said = {"what": what, "noted_by": noted_by}
            upsert(connection, troubles, {"about": about}, said, {"since": now})
    return before is None


def settle_trouble(store: Store, about: str) -> None:
    """Note that a trouble is over, whichever process noted it."""
    if _stands(store, about) is not None:
        with store.writing() as connection:
            connection.execute(troubles.delete().where(troubles.c.about == about))


class OwnTrouble:
    """A trouble of this process alone, as that of its clock: another's good clock does not end it."""

    def __init__(self, store: Store, about: str, process: str) -> None:
        """`process` is the id by which others see this process."""
        self._store, self._about, self._process = store, about, process
        # One that stands from before may be of a process that has ended.
        self._may_stand = True

    def note(self, what: str, now: datetime) -> bool:
        """Keep the trouble, since its first note at `now` (UTC); return whether it is new."""
        self._may_stand = True
        return note_trouble(self._store, self._about, what, now, self._process)

    def settle(self, wall: datetime) -> None:
        """Note that the trouble is over; that of another process which gives signs of life is left alone.

        `wall` is the machine's instant (UTC).
        """
        if self._may_stand:
            if _stands(self._store, self._about) is not None:
                with self._store.writing() as connection:
                    others = troubles.c.noted_by != self._process
                    kept = sa.and_(troubles.c.noted_by.is_not(None), others, _lives(connection, wall))
                    connection.execute(troubles.delete().where(troubles.c.about == self._about, ~kept))
            self._may_stand = False


class LeftTroubles:
    """Ends the troubles of processes that have ended; for services that give signs of life all the time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._silent: frozenset[str] = frozenset()

    def settle(self, wall: datetime) -> None:
        """Note that the troubles are over whose process was silent at the look before, and still is.

        When a database comes back, every process was silent for long. `wall` is the machine's instant (UTC).
        """
        silent = self._silent_processes(wall)
        gone = silent & self._silent
        self._silent = silent
        if gone:
            with self._store.writing() as connection:
                connection.execute(troubles.delete().where(troubles.c.noted_by.in_(gone)))

    def _silent_processes(self, wall: datetime) -> frozenset[str]:
        with self._store.reading() as connection:
            has_noted = troubles.c.noted_by.is_not(None)
            query = sa.select(troubles.c.noted_by).where(has_noted, ~_lives(connection, wall))
            return frozenset(connection.scalars(query))


def settle_woken(store: Store, now: datetime) -> None:
    """Note that the troubles of all subjects who are not due at `now` (UTC) are over.

    A subject who cannot be woken stays due. The one who moves the subject on need not be the one who noted
    the trouble: a door does it, a hand-over, or another service.
    """
    with store.reading() as connection:
        over = connection.scalars(sa.select(troubles.c.about).where(_not_due(now))).all()
    if over:
        with store.writing() as connection:
            # One that became due meanwhile, and could not be woken again, stays.
            connection.execute(troubles.delete().where(troubles.c.about.in_(over), _not_due(now)))


def _not_due(now: datetime) -> sa.ColumnElement[bool]:
    is_later = sa.or_(subjects.c.wake_at.is_(None), subjects.c.wake_at > now)
    return sa.exists().where(subjects.c.code == troubles.c.about, is_later)


def _lives(connection: sa.Connection, wall: datetime) -> sa.ColumnElement[bool]:
    """Whether the process that noted a trouble gave a sign of life within a minute of `wall` (UTC)."""
    return sa.exists().where(
        senders.c.id == troubles.c.noted_by, senders.c.at > shared_now(connection, wall, SILENT)
    )


def _stands(store: Store, about: str) -> str | None:
    """The words of a trouble; None when it does not stand. Another process may have noted or settled it."""
    with store.reading() as connection:
        return connection.scalar(sa.select(troubles.c.what).where(troubles.c.about == about))
