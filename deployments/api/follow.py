"""What follows an answer, in the background of the same process: hand over at once, show the new wait soon.

Neither can be lost for good: what is not handed over here the service's round takes up, and what Prefect was
not told its repair shows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from flows.door import show_one
from flows.flow_runs import FlowRuns, PrefectSilent
from flows.runtime import Runtime
from tasks.advance import Advanced, Answer

# A send may take half a minute, in which its thread only waits: an alert that follows must not.
SENDERS = 32
# Prefect takes tens of milliseconds to show a wait: it is told when the doors have been quiet for a moment,
# so that a burst of events is recorded first.
QUIET_SECONDS = 0.2
SHOW_SECONDS = 1.0
DRAIN_SECONDS = 10.0

log = logging.getLogger(__name__)


class Follower:
    """Hands over and shows for the doors of this process."""

    def __init__(self, study: Runtime) -> None:
        self._study = study
        self._senders = ThreadPoolExecutor(SENDERS, "hand-over")
        self._begun: set[Future[None]] = set()
        self._waits: dict[str, Advanced] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._shower = threading.Thread(target=self._show_all, name="show", daemon=True)
        self._shower.start()

    @property
    def is_free(self) -> bool:
        """Whether what is claimed now is sent at once; half of the places are kept for others' claims."""
        return len(self._begun) < SENDERS // 2

    def follow(self, answers: Iterable[Answer]) -> None:
        """Begin what follows these answers, and return at once."""
        moved = {answer.advanced.code: answer.advanced for answer in answers if answer.advanced}
        for standing in moved.values():
            if standing.due_notices:
                begun = self._senders.submit(self._hand_over, standing)
                self._begun.add(begun)
                begun.add_done_callback(self._begun.discard)
        if moved:
            with self._changed:
                self._waits |= moved
                self._changed.notify()

    def close(self) -> bool:
        """Let the hand-overs begun end, for 10 s at most, and show nothing more; whether they did."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._senders.shutdown(wait=False, cancel_futures=True)
        _, left = wait(list(self._begun), DRAIN_SECONDS)
        self._shower.join(SHOW_SECONDS + 1)
        return not left

    def _hand_over(self, standing: Advanced) -> None:
        try:
            self._study.hand_over(standing.code, standing.claims)
        except Exception:
            log.exception(
                "The notices of %s could not be handed over; the service tries again.", standing.code
            )

    def _show_all(self) -> None:
        runs = FlowRuns(self._study.prefect_api, SHOW_SECONDS)
        while (standing := self._next()) is not None:
            try:
                show_one(self._study, runs, standing)
            except PrefectSilent as reason:
                self._forget(reason)
            except Exception:
                log.exception("The new wait of %s could not be shown; the repair will.", standing.code)
        runs.close()

    def _next(self) -> Advanced | None:
        with self._changed:
            while not self._closed and (not self._waits or self._changed.wait(QUIET_SECONDS)):
                if not self._waits:
                    self._changed.wait()
            return None if self._closed else self._waits.pop(next(iter(self._waits)))

    def _forget(self, reason: PrefectSilent) -> None:
        with self._changed:
            self._waits.clear()
        log.info("Prefect's UI shows the new waits later: %s", reason)
