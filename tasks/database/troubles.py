"""Troubles that a person must mend: shown on the board, in /healthz and by `itp doctor`.

A row stands as long as its trouble does. Mends that the service makes by itself are repairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from tasks.database.schema import subjects, troubles
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


def note_trouble(store: Store, about: str, what: str, now: datetime) -> bool:
    """Keep a trouble, since its first note at `now` (UTC); return whether it is new."""
    before = _stands(store, about)
    if before != what:
        with store.writing() as connection:
            upsert(connection, troubles, {"about": about}, {"what": what}, {"since": now})
    return before is None


def settle_trouble(store: Store, about: str) -> None:
    """Note that a trouble is over, whichever process noted it."""
    if _stands(store, about) is not None:
        with store.writing() as connection:
            connection.execute(troubles.delete().where(troubles.c.about == about))


class OwnTrouble:
    """A trouble of this process alone, as that of its clock: another's good clock does not end it."""

    def __init__(self, store: Store, about: str) -> None:
        self._store, self._about = store, about
        # One that stands from before may be of a process that has ended.
        self._may_stand = True

    def note(self, what: str, now: datetime) -> bool:
        """Keep the trouble, since its first note at `now` (UTC); return whether it is new."""
        self._may_stand = True
        return note_trouble(self._store, self._about, what, now)

    def settle(self) -> None:
        """Note that the trouble is over; one that another process notes from now on is left alone."""
        if self._may_stand:
            settle_trouble(self._store, self._about)
            self._may_stand = False


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


def _stands(store: Store, about: str) -> str | None:
    """The words of a trouble; None when it does not stand. Another process may have noted or settled it."""
    with store.reading() as connection:
        return connection.scalar(sa.select(troubles.c.what).where(troubles.c.about == about))
