"""What follows an answer, in the background of the same process: hand over at once, show the new wait soon.

Neither can be lost for good: what is not handed over here the service's round takes up, and what Prefect was
not told its repair shows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from flows.prefect_api.flow_runs import FlowRuns, PrefectRefused, PrefectSilent
from flows.study.recording import show_one
from flows.study.runtime import Runtime
from tasks.advance import Advanced, Answer
from tasks.delivery.claims import Claim

# A send may take half a minute, in which its thread only waits: an alert that follows must not.
SENDERS = 32
# So many more send what a door has claimed, which must not wait: it could be pointless when its turn comes.
PLACES = 16
# Prefect takes tens of milliseconds to show a wait: it is told when the doors have been quiet for a moment,
# so that a burst of events is recorded first. Where events keep coming it waits no longer than a second.
QUIET_SECONDS = 0.2
LONGEST_SECONDS = 1.0
SHOW_SECONDS = 1.0
DRAIN_SECONDS = 10.0

log = logging.getLogger(__name__)


class Background:
    """Hands over and shows for the doors of this process."""

    def __init__(self, study: Runtime) -> None:
        self._study = study
        self._senders = ThreadPoolExecutor(SENDERS, "hand-over")
        self._begun: set[Future[None]] = set()
        self._claim_senders = ThreadPoolExecutor(PLACES, "claimed")
        self._leaving: set[Future[None]] = set()
        self._promised = 0
        self._places = threading.Condition()
        # Each subject's newest wait, and since when it has not been shown; the oldest comes first.
        self._waits: dict[str, tuple[float, Advanced]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._shower = threading.Thread(target=self._show_all, name="show", daemon=True)
        self._shower.start()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Whether a sender is kept ready, so that what is claimed and followed within leaves at once."""
        with self._places:
            kept = not self._closed and self._promised + len(self._leaving) < PLACES
            self._promised += kept
        try:
            yield kept
        finally:
            with self._places:
                self._promised -= kept
                self._places.notify_all()

    def follow(self, answers: Iterable[Answer], claims: Sequence[Claim] = ()) -> None:
        """Begin what follows these answers, and return at once.

        `claims` are those of the one subject that the answers are about.
        """
        moved = {answer.advanced.code: answer.advanced for answer in answers if answer.advanced}
        for standing in moved.values():
            if claims:
                self._begin(standing.code, claims, self._claim_senders, self._leaving)
            elif standing.due_notices:
                self._begin(standing.code, (), self._senders, self._begun)
        if moved:
            with self._changed:
                for code, standing in moved.items():
                    since, _ = self._waits.get(code, (time.monotonic(), standing))
                    self._waits[code] = since, standing
                self._changed.notify()

    def _begin(
        self, code: str, claims: Sequence[Claim], senders: ThreadPoolExecutor, begun: set[Future[None]]
    ) -> None:
        try:
            future = senders.submit(self._hand_over, code, claims)
        except RuntimeError:
            # The door has closed meanwhile: what was recorded stands, and waits in the outbox.
            return
        begun.add(future)
        future.add_done_callback(begun.discard)

    def close(self) -> bool:
        """Let the hand-overs begun end, for 10 s at most, and show nothing more; whether they did."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        ends = time.monotonic() + DRAIN_SECONDS
        # What has not begun stays in the outbox; of what is claimed nothing may be left behind.
        self._senders.shutdown(wait=False, cancel_futures=True)
        with self._places:
            self._places.wait_for(lambda: not self._promised, DRAIN_SECONDS)
        self._claim_senders.shutdown(wait=False)
        _, left = wait([*self._begun, *self._leaving], max(0.0, ends - time.monotonic()))
        self._shower.join(SHOW_SECONDS + 1)
        return not left

    def _hand_over(self, code: str, claims: Sequence[Claim]) -> None:
        try:
            self._study.hand_over(code, claims)
        except Exception:
            log.exception("The notices of %s could not be handed over; the service tries again.", code)

    def _show_all(self) -> None:
        runs = FlowRuns(self._study.prefect_api, SHOW_SECONDS)
        while (standing := self._next()) is not None:
            try:
                show_one(self._study, runs, standing)
            except PrefectSilent as reason:
                self._forget(reason)
            except PrefectRefused as reason:
                log.warning(
                    "The new wait of %s could not be shown; the repair will: %s", standing.code, reason
                )
            except Exception:
                log.exception("The new wait of %s could not be shown; the repair will.", standing.code)
        runs.close()

    def _next(self) -> Advanced | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waits)
            while not self._closed and self._changed.wait(self._patience()):
                continue
            return None if self._closed else self._waits.pop(next(iter(self._waits)))[1]

    def _patience(self) -> float:
        since, _ = next(iter(self._waits.values()))
        return max(0.0, min(QUIET_SECONDS, since + LONGEST_SECONDS - time.monotonic()))

    def _forget(self, reason: PrefectSilent) -> None:
        with self._changed:
            self._waits.clear()
        log.info("Prefect's UI shows the new waits later: %s", reason)
