"""Hands over due notices, each subject by itself: a slow or failing provider delays no other subject."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from deployments.service.sharing import Sharing
from flows.study.runtime import Runtime
from tasks import backoff
from tasks.backoff import Backoff
from tasks.database.store import NO_ANSWER, first_line
from tasks.database.troubles import OwnTrouble
from tasks.database.unreadable import Unreadable
from tasks.delivery.claims import Claim
from tasks.delivery.left_behind import LeftBehind
from tasks.delivery.recipients import Keeper, differs
from tasks.limits import HAND_OVERS_PER_SUBJECT, LOOP_SENDERS
from tasks.spans import carried

# A hand-over claims the due notices within so many seconds; a notice that still waits came due after that.
CLAIMING_SECONDS = 3.0
_RECIPIENTS = "recipients"

log = logging.getLogger(__name__)


class DueHandOvers:
    """The hand-overs of due notices, which run beside the loop. None stands for the service's own notices."""

    def __init__(self, study: Runtime, sharing: Sharing) -> None:
        self._study = study
        self._sharing = sharing
        self._senders = ThreadPoolExecutor(LOOP_SENDERS, "hand-over")
        self._begun: dict[asyncio.Task[None], tuple[str | None, float]] = {}
        self._backoff = Backoff(backoff.WAKE)
        self._left_behind = LeftBehind(study.instance)
        self._keeper = Keeper(study.channels, study.place, study.instance.id)
        self._trouble = OwnTrouble(study.store, _RECIPIENTS, study.instance.id)
        self._promised = 0
        self._closed = False

    @property
    def begun(self) -> list[asyncio.Task[None]]:
        """Those that have not ended."""
        return list(self._begun)

    def close(self) -> None:
        """Begin nothing more: due notices stay in the outbox. What is claimed is still sent."""
        self._closed = True

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Keep a sender ready for what a wake claims; False when none is free.

        A hand-over that is begun before the place is left starts at once: a claimed notice that waited could
        be pointless when its turn comes.
        """
        is_kept = not self._closed and self._promised + len(self._begun) < LOOP_SENDERS
        self._promised += is_kept
        try:
            yield is_kept
        finally:
            self._promised -= is_kept

    def begin(self, code: str | None, claims: Sequence[Claim] = ()) -> None:
        """Begin to hand over one subject's due notices, or the claimed ones, also while another hand-over of
        it sends.
        """
        if claims or not self._closed:
            self._sharing.stay(code or "")
            task = asyncio.create_task(self._hand_over(code, claims))
            self._begun[task] = code, time.monotonic()
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        code, _ = self._begun.pop(task)
        self._sharing.leave(code or "")

    async def sweep(self) -> None:
        """Begin the hand-overs of notices that failed before, or that a dead sender left."""
        waiting = [
            code
            for code in await asyncio.to_thread(self._waiting)
            if not self._is_busy_with(code) and self._backoff.is_over(code or "")
        ]
        for code in await asyncio.to_thread(self._sharing.take, [code or "" for code in waiting]):
            self.begin(code or None)
            self._sharing.leave(code)

    def _is_busy_with(self, code: str | None) -> bool:
        """Whether a running hand-over of the subject may still claim what waits, or too many run."""
        begun = [at for whose, at in self._begun.values() if whose == code]
        if len(begun) >= HAND_OVERS_PER_SUBJECT:
            return True
        return any(time.monotonic() - at < CLAIMING_SECONDS for at in begun)

    def _waiting(self) -> list[str | None]:
        at = self._study.clocks()
        self._left_behind.free(self._study.store, at)
        if self._keeper.keep(self._study.store, at):
            self._trouble.settle(at.wall)
            return self._study.waiting()
        if said := differs(self._study.store, self._study.channels):
            self._study.instance.warn(said)
            self._trouble.note(said, at.now)
        return []

    async def _hand_over(self, code: str | None, claims: Sequence[Claim]) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._senders, carried(self._study.hand_over), code, claims)
            self._backoff.succeeded(code or "")
        except NO_ANSWER as problem:
            log.error(
                "The notices of %s wait for the database: %s", code or "the service", first_line(problem)
            )
        except Unreadable as problem:
            seconds = self._backoff.failed(code or "")
            said = "The notices of %s could not be handed over; trying again in %g s: %s"
            log.error(said, code or "the service", seconds, problem)
        except Exception:
            # It stays in the outbox, and the sweep begins it again.
            seconds = self._backoff.failed(code or "")
            whose = code or "the service"
            log.exception("The notices of %s could not be handed over; trying again in %g s.", whose, seconds)
