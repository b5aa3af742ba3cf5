"""At most a few transactions of this process wait for one subject's row, whoever holds it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tasks.limits import TRANSACTIONS_PER_SUBJECT

_WAIT_SECONDS = 4.0
# A transaction takes milliseconds, on a machine with much to do a second. Who is at it for longer waits for a
# lock that somebody keeps, until the database's own limit for that.
STUCK_SECONDS = 1.8


class Turns:
    """Places per subject. A burst waits for them; behind a row that stays locked nobody queues.

    A sender that gives up and repeats would otherwise take a thread and a connection each time, until none is
    left for anybody else.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._begun: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def of(self, code: str) -> Iterator[None]:
        """Hold one of the subject's places.

        Raises sqlalchemy.exc.TimeoutError when none is free within 4 s, or those who hold them are stuck.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_free(code) or self._is_stuck(code), _WAIT_SECONDS)
            if not self._is_free(code):
                raise NoConnectionFree(f"others wait for {code} already, whose row somebody keeps locked")
            began = time.monotonic()
            self._begun[code].append(began)
        try:
            yield
        finally:
            with self._changed:
                self._begun[code].remove(began)
                if not self._begun[code]:
                    del self._begun[code]
                self._changed.notify_all()

    def _is_free(self, code: str) -> bool:
        return len(self._begun.get(code, ())) < TRANSACTIONS_PER_SUBJECT

    def _is_stuck(self, code: str) -> bool:
        return time.monotonic() - min(self._begun[code], default=time.monotonic()) > STUCK_SECONDS
