"""Hands notices over to the providers after a door has recorded events, in threads of its own.

It decides nothing about notices. A notice that it does not hand over stays in the outbox, from which the
service takes it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from flows.study.runtime import Runtime
from tasks.database.unreadable import Unreadable
from tasks.delivery.claims import Claim
from tasks.limits import CLAIMED_SENDERS, DOOR_SENDERS
from tasks.spans import carried

# Longer than most sends take. A send that has not ended by then is left behind, and repeated as such.
DRAIN_SECONDS = 10.0

log = logging.getLogger(__name__)


class HandOvers:
    """The hand-overs that the doors of this process have begun."""

    def __init__(self, study: Runtime) -> None:
        self._study = study
        self._senders = ThreadPoolExecutor(DOOR_SENDERS, "hand-over")
        self._claim_senders = ThreadPoolExecutor(CLAIMED_SENDERS, "claimed")
        self._begun: set[Future[None]] = set()
        self._leaving: set[Future[None]] = set()
        self._promised = 0
        self._places = threading.Condition()
        self._closed = False

    @contextmanager
    def places(self, subjects: int) -> Iterator[bool]:
        """Keep a thread for the claimed notices of each of so many subjects ready while a door records; False
        when so many are not free.

        A hand-over that is begun before the places are left starts at once.
        """
        with self._places:
            taken = self._promised + len(self._leaving) + subjects
            kept = subjects if not self._closed and taken <= CLAIMED_SENDERS else 0
            self._promised += kept
        try:
            yield kept > 0
        finally:
            with self._places:
                self._promised -= kept
                self._places.notify_all()

    def begin(self, code: str, claims: Sequence[Claim] = ()) -> None:
        """Begin to hand over a subject's due notices, or the claimed ones; return at once.

        After `close` this does nothing: the notices wait in the outbox.
        """
        if claims:
            self._begin(code, claims, self._claim_senders, self._leaving)
        else:
            self._begin(code, (), self._senders, self._begun)

    def close(self) -> bool:
        """Let the hand-overs that have begun end, for 10 s at most; False when some did not."""
        ends = time.monotonic() + DRAIN_SECONDS
        # A hand-over that has not begun may stay in the outbox. A claimed notice may not stay behind.
        self._senders.shutdown(wait=False, cancel_futures=True)
        with self._places:
            self._closed = True
            self._places.wait_for(lambda: not self._promised, DRAIN_SECONDS)
        self._claim_senders.shutdown(wait=False)
        _, left = wait([*self._begun, *self._leaving], max(0.0, ends - time.monotonic()))
        return not left

    def _begin(
        self, code: str, claims: Sequence[Claim], senders: ThreadPoolExecutor, begun: set[Future[None]]
    ) -> None:
        try:
            future = senders.submit(carried(self._hand_over), code, claims)
        except RuntimeError:
            # The door has closed meanwhile.
            return
        begun.add(future)
        future.add_done_callback(begun.discard)

    def _hand_over(self, code: str, claims: Sequence[Claim]) -> None:
        try:
            self._study.hand_over(code, claims)
        except Unreadable as problem:
            said = "The notices of %s could not be handed over; the service tries again: %s"
            log.error(said, code, problem)
        except Exception:
            log.exception("The notices of %s could not be handed over; the service tries again.", code)
