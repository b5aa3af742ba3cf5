"""Keeps the record verifiable: registers rows, makes a seal each hour, and verifies everything each day.

All of it is done beside the service's doors, and by one service of several. The verification takes a part of
one core at most. What it finds is a trouble, and told to `ops`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta

from flows.study.runtime import Runtime
from itp_events.errors import ItpError
from tasks.database.troubles import note_trouble, settle_trouble
from tasks.database.verifications import last_verification, not_recorded, note_verification
from tasks.integrity.keeping import keep
from tasks.integrity.sealing import seal
from tasks.integrity.stamps import SETTING, Authority, NoStamp, stamp_newest
from tasks.integrity.verify import verify

# A row that may change no more is registered within so long.
KEEP_SECONDS = 600.0
SEAL_SECONDS = 3600.0
# An authority that gave no stamp is asked again after so long.
STAMP_SECONDS = 300.0
VERIFY_EVERY = timedelta(days=1)
# A verification that could not end is begun again after so long: it reads the whole study.
AGAIN_SECONDS = 3600.0
# Of the time of a verification: it rests for the others, so that doors and timers come first.
WORKING = 0.25
TROUBLE = "records"
STAMPS = "stamps"

log = logging.getLogger(__name__)


class Stopped(ItpError):
    """The service stops, or another one has taken this over; the verification is dropped."""


class Records:
    """Keeps the records of one service's study."""

    def __init__(
        self, study: Runtime, is_due_here: Callable[[], bool], authority: Authority | None = None
    ) -> None:
        """`authority` time-stamps the seals; None when none is to."""
        self._study = study
        self._authority = authority
        self._is_due_here = is_due_here
        self._kept = self._sealed = self._stamped = self._tried = float("-inf")
        self._rested = 0.0

    async def see_to(self) -> None:
        """Do what is due by now."""
        if self._is_due_here():
            await asyncio.to_thread(self._see_to)

    def _see_to(self) -> None:
        store, wall, now = self._study.store, self._study.wall(), time.monotonic()
        if now - self._sealed >= SEAL_SECONDS:
            keep(store, wall)
            seal(store, wall)
            self._kept = self._sealed = now
        elif now - self._kept >= KEEP_SECONDS:
            keep(store, wall)
            self._kept = now
        if now - self._stamped >= STAMP_SECONDS:
            self._stamped = now
            self._stamp()
        self._verify_if_due()

    def _stamp(self) -> None:
        """Have the newest seal stamped, and name the trouble until there is a stamp."""
        try:
            if self._authority is not None:
                stamp_newest(self._study.store, self._authority, self._study.wall())
        except NoStamp as problem:
            log.warning("The newest seal has no time-stamp yet: %s", problem)
            said = f"no time-stamp for the newest seal: {problem}; see {SETTING}"
            note_trouble(self._study.store, STAMPS, said, self._study.clock.now())
        else:
            settle_trouble(self._study.store, STAMPS)

    def _verify_if_due(self) -> None:
        with self._study.store.reading() as connection:
            last = last_verification(connection)
        wall = self._study.wall()
        is_due = last is None or not timedelta(0) <= wall - last.at < VERIFY_EVERY
        if is_due and time.monotonic() - self._tried > AGAIN_SECONDS:
            self._tried = time.monotonic()
            self._verify()

    def _verify(self) -> None:
        store = self._study.store.apart(0)
        self._rested = time.monotonic()
        try:
            report = verify(store, self._rest, roots=self._authority.roots if self._authority else ())
        except Stopped:
            return
        finally:
            store.close()
        found = [str(each) for each in report.findings]
        note_verification(self._study.store, self._study.wall(), found)
        if not found:
            settle_trouble(self._study.store, TROUBLE)
            return
        for line in found:
            log.error("The record is not what was recorded: %s", line)
        said = f"{not_recorded(len(found))}, first {found[0]}; itp verify names all"
        note_trouble(self._study.store, TROUBLE, said, self._study.clock.now())

    def _rest(self, done: int, total: int) -> None:
        """Let the others work: this has worked since its last rest."""
        if not self._is_due_here():
            raise Stopped
        worked = time.monotonic() - self._rested
        time.sleep(worked * (1 / WORKING - 1))  # noqa: TID251 - a rest of its own, and nothing to wait for
        self._rested = time.monotonic()
