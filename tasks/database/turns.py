"""Places for the transactions about one subject: at most a few of this process wait for its row.

The places of one process do not count in another: there the database's own limits hold.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tasks.limits import TRANSACTIONS_PER_SUBJECT

_WAIT_SECONDS = 4.0
# A transaction takes milliseconds, on a busy machine a second. One that takes longer waits for a lock, until
# the database ends that wait.
STUCK_SECONDS = 1.8


class Turns:
    """Places for each subject. A burst waits for them; behind a row that stays locked nobody waits.

    Otherwise a sender that gives up and repeats would take a thread and a connection each time, until none is
    left for other subjects.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._begun: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def of(self, code: str) -> Iterator[None]:
        """Hold one of the subject's places.

        Raises:
            sqlalchemy.exc.TimeoutError: none is free within 4 s, or their transactions are stuck.
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
