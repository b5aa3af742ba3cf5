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

# Three signs fit into the silence below.
SIGN_SECONDS = 10.0
# A service at another place that gave no sign of life for so long has ended.
SILENCE_SECONDS = 30.0
# A look that came late does not count as more silence.
_MOST_PER_LOOK = 1.0

_log = logging.getLogger(__name__)
_ONE = 1
_STORED = sa.select(recipients).where(recipients.c.id == _ONE)
_SAVE = recipients.update().where(recipients.c.id == _ONE)


@dataclass(frozen=True, slots=True)
class StudyRecipients:
    """The recipients that stand: their number, and where and since when (UTC) they are configured.

    `holder` is the service that runs with them; None when it has ended, or when a person has set them.
    """

    fingerprint: str
    count: int
    place: str
    holder: str | None
    since: datetime
    at: datetime


def study_recipients(store: Store) -> StudyRecipients | None:
    """The recipients that stand; None before the first service has run."""
    with store.reading() as connection:
        return study_recipients_in(connection)


def study_recipients_in(connection: sa.Connection, *, lock: bool = False) -> StudyRecipients | None:
    """`study_recipients` within a transaction; with `lock`, nobody else sets them until it ends."""
    row = connection.execute(_STORED.with_for_update() if lock else _STORED).one_or_none()
    return StudyRecipients(*row[1:]) if row else None


def differs(store: Store, channels: Channels) -> str | None:
    """The reason why a process with these channels may hand over nothing, with the remedy; None when it
    may.
    """
    stored = study_recipients(store)
    if stored is None or stored.fingerprint == channels.fingerprint:
        return None
    return difference(channels, stored)


def difference(channels: Channels, stored: StudyRecipients) -> str:
    """The difference between these channels and the recipients that stand, in words with the remedy."""
    count = f"{stored.count} recipient{'s' if stored.count != 1 else ''}" if stored.count else "the console"
    theirs = f"the study's notices go to {count}, as set at {stored.place}"
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
        self._seen: StudyRecipients | None = None
        self._looked: float | None = None
        self._silence = 0.0

    def keep(self, store: Store, at: Clocks) -> bool:
        """Look, a second after the last time, and keep or take over; return whether this service may hand
        over.
        """
        stored = study_recipients(store)
        self._note(stored, at)
        if self._is_kept(stored, at):
            return True
        if not self._may_set(stored):
            return False
        return store.write(lambda connection: self._take_over(connection, stored, at.wall))

    def _note(self, stored: StudyRecipients | None, at: Clocks) -> None:
        if self._looked is None:
            self._first = stored.since if stored else None
            self._looked = at.began
        passed = min(at.began - self._looked, _MOST_PER_LOOK)
        self._silence = self._silence + passed if stored == self._seen else 0.0
        self._looked, self._seen = at.began, stored

    def _is_kept(self, stored: StudyRecipients | None, at: Clocks) -> bool:
        """Whether nothing need be written: the row is ours with a recent sign, or of another service that
        lives.
        """
        if stored is None or stored.fingerprint != self._channels.fingerprint:
            return False
        if stored.holder == self._holder:
            return abs((at.wall - stored.at).total_seconds()) < SIGN_SECONDS
        return not self._is_free(stored)

    def _may_set(self, stored: StudyRecipients | None) -> bool:
        if stored is None or stored.fingerprint == self._channels.fingerprint:
            return True
        replaces = bool(self._channels.configured) or stored.count == 0
        return replaces and stored.since == self._first and self._is_free(stored)

    def _is_free(self, stored: StudyRecipients) -> bool:
        ended = stored.holder in (None, self._holder) or stored.place == self._place
        return ended or self._silence >= SILENCE_SECONDS

    def _take_over(self, connection: sa.Connection, seen: StudyRecipients | None, wall: datetime) -> bool:
        stored = study_recipients_in(connection, lock=True)
        if stored != seen:
            return False
        if stored and stored.fingerprint == self._channels.fingerprint:
            connection.execute(_SAVE.values(holder=self._holder, place=self._place, at=wall))
            return True
        _set(connection, self._channels, self._place, self._holder, wall)
        if stored:
            count = len(self._channels.configured)
            _log.warning("Notices go to %s recipients from now on, no longer to %s.", count, stored.count)
        return True
