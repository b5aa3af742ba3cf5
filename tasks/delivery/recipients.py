"""The study's recipients: one configuration for every process that works on the study.

The service (`itp up`) keeps a fingerprint of its recipients in the database. A process with other recipients
claims nothing: it would tell the wrong people, print what others should receive, or give up notices for
recipients that it does not know. It says so, with the remedy.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from tasks.database.schema import recipients
from tasks.database.store import Store
from tasks.delivery.channels import SETTING, Channels
from tasks.delivery.claims import Clocks

SIGN_SECONDS = 10.0
# A service at another place that gave no sign of life for so long has ended.
SILENCE_SECONDS = 30.0
_MOST_PER_LOOK = 1.0

_log = logging.getLogger(__name__)
_ONE = 1
_STANDING = sa.select(recipients).where(recipients.c.id == _ONE)
_FINGERPRINT = sa.select(recipients.c.fingerprint).where(recipients.c.id == _ONE)
_SAVE = recipients.update().where(recipients.c.id == _ONE)


@dataclass(frozen=True, slots=True)
class Standing:
    """The recipients that stand: their number, and where and since when (UTC) they are configured.

    `holder` is the service that runs with them; None when it has ended, or when a person has set them.
    """

    fingerprint: str
    count: int
    place: str
    holder: str | None
    since: datetime
    at: datetime


def standing(store: Store) -> Standing | None:
    """The recipients that stand; None before the first service has run."""
    with store.reading() as connection:
        return standing_in(connection)


def standing_in(connection: sa.Connection, *, lock: bool = False) -> Standing | None:
    """`standing` within a transaction; with `lock`, nobody else sets them until the transaction ends."""
    row = connection.execute(_STANDING.with_for_update() if lock else _STANDING).one_or_none()
    return Standing(*row[1:]) if row else None


def agree(connection: sa.Connection, channels: Channels) -> bool:
    """Whether a process with these channels may hand over; any may before the first service has run."""
    found = connection.scalar(_FINGERPRINT)
    return found is None or found == channels.fingerprint


def differs(store: Store, channels: Channels) -> str | None:
    """The reason why a process with these channels may hand over nothing, with the remedy; None when it
    may.
    """
    found = standing(store)
    if found is None or found.fingerprint == channels.fingerprint:
        return None
    return difference(channels, found)


def difference(channels: Channels, found: Standing) -> str:
    """The difference between these channels and the recipients that stand, in words with the remedy."""
    count = f"{found.count} recipient{'s' if found.count != 1 else ''}" if found.count else "the console"
    theirs = f"the study's notices go to {count}, as set at {found.place}"
    if channels.configured:
        mine = f"{SETTING} names other recipients here"
        mend = f"set {SETTING} as it is there, or restart itp up with this one if it is right"
    else:
        mine = f"{SETTING} names nobody here"
        mend = f"set {SETTING} as it is there, or print all notices from now on: itp recipients --take"
    return f"nothing is handed over from here: {theirs}, and {mine}; {mend}"


def take(store: Store, channels: Channels, place: str, wall: datetime) -> None:
    """Let these recipients stand from now on, by a person's wish; a service with others falls silent."""
    store.write(lambda connection: _set(connection, channels, place, None, wall))


def let_go(store: Store, holder: str) -> None:
    """Note that a service has ended: another may take over at once."""
    with store.writing() as connection:
        connection.execute(_SAVE.where(recipients.c.holder == holder).values(holder=None))


def _set(connection: sa.Connection, channels: Channels, place: str, holder: str | None, at: datetime) -> None:
    row = {
        "fingerprint": channels.fingerprint,
        "count": len(channels.configured),
        "place": place,
        "holder": holder,
        "since": at,
        "at": at,
    }
    if connection.execute(_SAVE.values(row)).rowcount == 0:
        connection.execute(recipients.insert(), {"id": _ONE} | row)


class Keeper:
    """Keeps a service's recipients in the database while it runs.

    A service may replace the recipients that stood when it started: at once when they were set at its own
    place or their service has ended, otherwise when that service gives no sign of life any more. Recipients
    that are set later stay. They are never replaced by none: a lost setting must not end in notices that
    nobody reads.
    """

    def __init__(self, channels: Channels, place: str, holder: str) -> None:
        self._channels, self._place, self._holder = channels, place, holder
        # The instant since which the recipients at the first look stood; later ones are left.
        self._first: datetime | None = None
        self._seen: Standing | None = None
        self._looked: float | None = None
        self._silence = 0.0

    def keep(self, store: Store, at: Clocks) -> bool:
        """Look, a second after the last time, and keep or take over; return whether this service may hand
        over.
        """
        found = standing(store)
        self._note(found, at)
        if self._is_kept(found, at):
            return True
        if not self._may_set(found):
            return False
        return store.write(lambda connection: self._take_over(connection, found, at.wall))

    def _note(self, found: Standing | None, at: Clocks) -> None:
        if self._looked is None:
            self._first = found.since if found else None
            self._looked = at.began
        passed = min(at.began - self._looked, _MOST_PER_LOOK)
        self._silence = self._silence + passed if found == self._seen else 0.0
        self._looked, self._seen = at.began, found

    def _is_kept(self, found: Standing | None, at: Clocks) -> bool:
        """Whether nothing need be written: the row is ours with a recent sign, or of another service that
        lives.
        """
        if found is None or found.fingerprint != self._channels.fingerprint:
            return False
        if found.holder == self._holder:
            return abs((at.wall - found.at).total_seconds()) < SIGN_SECONDS
        return not self._is_free(found)

    def _may_set(self, found: Standing | None) -> bool:
        if found is None or found.fingerprint == self._channels.fingerprint:
            return True
        replaces = bool(self._channels.configured) or found.count == 0
        return replaces and found.since == self._first and self._is_free(found)

    def _is_free(self, found: Standing) -> bool:
        ended = found.holder in (None, self._holder) or found.place == self._place
        return ended or self._silence >= SILENCE_SECONDS

    def _take_over(self, connection: sa.Connection, seen: Standing | None, wall: datetime) -> bool:
        found = standing_in(connection, lock=True)
        if found != seen:
            return False
        if found and found.fingerprint == self._channels.fingerprint:
            connection.execute(_SAVE.values(holder=self._holder, place=self._place, at=wall))
            return True
        _set(connection, self._channels, self._place, self._holder, wall)
        if found:
            count = len(self._channels.configured)
            _log.warning("Notices go to %s recipients from now on, no longer to %s.", count, found.count)
        return True
