"""Places for transactions: in order of asking, few at work at once, and at most a few for one subject.

The places of one process do not count in another: there the database's own limits hold.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock

from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tasks.limits import TRANSACTIONS_PER_SUBJECT

# A transaction that takes longer waits for the database, and leaves the interpreter to others.
QUICK_SECONDS = 0.25
_WAIT_SECONDS = 4.0
# A transaction takes milliseconds, on a busy machine a second. One that takes longer waits for a lock, until
# the database ends that wait.
STUCK_SECONDS = 1.8


class Places:
    """Places for transactions, given in the order in which they were asked for.

    A pool of connections gives a free one to whoever comes first, which may be a thread that has just given
    one back: in a burst others would wait in vain.
    """

    def __init__(self, places: int) -> None:
        self._lock = Lock()
        self._free = places
        self._waiting: deque[Lock] = deque()

    @property
    def waiting(self) -> int:
        """The number of those who wait for a place."""
        return len(self._waiting)

    @contextmanager
    def place(self, seconds: float) -> Iterator[None]:
        """Hold a place.

        Raises:
            sqlalchemy.exc.TimeoutError: none became free within so many seconds.
        """
        called = self._join()
        if called is not None and not called.acquire(timeout=seconds):
            self._leave(called)
        try:
            yield
        finally:
            self._give_back()

    def _join(self) -> Lock | None:
        """Take a place; without a free one, the lock that opens when this thread is called."""
        with self._lock:
            # While somebody waits, a place goes from hand to hand and is never free.
            if self._free:
                self._free -= 1
                return None
            called = Lock()
            called.acquire()
            self._waiting.append(called)
            return called

    def _leave(self, called: Lock) -> None:
        with self._lock:
            if called in self._waiting:
                self._waiting.remove(called)
                raise NoConnectionFree("every connection to the database is in use")

    def _give_back(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class Pace:
    """Lets few transactions work side by side: more threads would take the interpreter from each other.

    One that takes long waits for a lock in the database. It counts no more, and the next one begins. So
    nobody waits for ever, and nothing is refused.
    """

    def __init__(self, at_work: int) -> None:
        self._lock = Lock()
        self._at_work = at_work
        # When each began, by the lock on which it had waited.
        self._begun: dict[Lock, float] = {}
        self._ahead: deque[Lock] = deque()
        self._behind: deque[Lock] = deque()

    @property
    def waiting(self) -> int:
        """The number of those who have not begun."""
        return len(self._ahead) + len(self._behind)

    @contextmanager
    def turn(self, *, ahead: bool = False) -> Iterator[None]:
        """Work when it is this thread's turn, in the order of asking; with `ahead` before all others."""
        called, line = Lock(), self._ahead if ahead else self._behind
        called.acquire()
        try:
            with self._lock:
                line.append(called)
                self._let_in()
            while not called.acquire(timeout=QUICK_SECONDS):
                with self._lock:
                    self._let_in()
            yield
        finally:
            with self._lock:
                if self._begun.pop(called, None) is None:
                    line.remove(called)
                self._let_in()

    def _let_in(self) -> None:
        quick = time.monotonic() - QUICK_SECONDS
        while self.waiting and sum(began > quick for began in self._begun.values()) < self._at_work:
            called = (self._ahead or self._behind).popleft()
            self._begun[called] = time.monotonic()
            called.release()


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
