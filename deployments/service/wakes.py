"""Begins the wake of each subject that is due, exactly at its time.

How one subject is woken is in waker.py.
"""

from __future__ import annotations

import asyncio
import logging

from deployments.service.sharing import Sharing
from deployments.service.silent_database import SilentDatabase
from deployments.service.stop import Stop
from deployments.service.waker import Waker
from flows.study.runtime import Runtime
from tasks import backoff
from tasks.backoff import Backoff
from tasks.database.queries import SubjectRow
from tasks.database.store import NO_ANSWER, first_line
from tasks.database.troubles import note_trouble
from tasks.database.unreadable import Unreadable
from tasks.spans import span

# Subjects are fetched so long before their time, so that each wakes on the second: longer than one beat.
AHEAD_SECONDS = 2.0
# Subjects fetched in one beat: more than come due at one minute of the morning in most studies.
AT_ONCE = 200

log = logging.getLogger(__name__)


class Wakes:
    """The wakes that have begun; a subject whose wake fails is left alone for a while."""

    def __init__(
        self, study: Runtime, waker: Waker, stop: Stop, database: SilentDatabase, sharing: Sharing
    ) -> None:
        self._study = study
        self._sharing = sharing
        self._clock = study.clock
        self._waker = waker
        self._stop = stop
        self._database = database
        self._backoff = Backoff(backoff.WAKE)
        self._held: dict[str, asyncio.Task[None]] = {}

    @property
    def begun(self) -> list[asyncio.Task[None]]:
        """Those that have not ended."""
        return list(self._held.values())

    async def begin_due(self) -> None:
        """Begin the wakes of the subjects that are due now or within two seconds."""
        until = self._clock.ahead(AHEAD_SECONDS)
        # Those that failed are the longest due: however many they are, there is room for others.
        limit = AT_ONCE + len(self._backoff)
        due = {
            subject.code: subject
            for subject in await asyncio.to_thread(self._sharing.due_subjects, until, limit)
            if subject.code not in self._held and self._backoff.is_over(subject.code)
        }
        taken = await asyncio.to_thread(self._sharing.take, due)
        for subject in (due[code] for code in due if code in taken):
            self._held[subject.code] = asyncio.create_task(self._wake(subject))

    async def _wake(self, subject: SubjectRow) -> None:
        code = subject.code
        try:
            if await self._time_comes(subject):
                with span("wake", code):
                    await self._waker.wake(subject)
            self._backoff.succeeded(code)
        except NO_ANSWER as problem:
            seconds = self._backoff.unanswered(code)
            log.error("%s could not be woken; trying again in %g s: %s", code, seconds, first_line(problem))
        except Unreadable as problem:
            seconds = self._backoff.failed(code)
            log.error("%s; trying again in %g s.", problem, seconds)
            await self._trouble(code, str(problem))
        except Exception as problem:
            # One subject's failure must not keep the others waiting; it is tried again, and repaired.
            seconds = self._backoff.failed(code)
            log.exception("%s could not be woken; trying again in %g s.", code, seconds)
            await self._trouble(code, f"{code} could not be woken: {problem!r}")
        finally:
            del self._held[code]
            self._sharing.leave(code)

    async def _trouble(self, about: str, what: str) -> None:
        """Let the board and /healthz say what a person must mend."""
        try:
            await asyncio.to_thread(note_trouble, self._study.store, about, what, self._clock.now())
        except NO_ANSWER as problem:
            self._database.complain(problem)

    async def _time_comes(self, subject: SubjectRow) -> bool:
        """Wait for the subject's time; False when the service is stopped before."""
        assert subject.wake_at is not None
        while (seconds := self._clock.seconds_until(subject.wake_at)) > 0 and not self._stop.is_set():
            await self._stop.pause(seconds)
        return not self._stop.is_set()
