"""Ctrl-C and SIGTERM, by which a person or a service manager asks a process to stop."""

from __future__ import annotations

import math
import signal
import time
from queue import Empty, SimpleQueue

# The system may hand a signal to another thread, or just before the main thread begins to wait: neither wakes
# that, and its handler runs only when it goes on. So it never waits for longer at a stretch.
STRETCH_SECONDS = 0.5


class StopSignals:
    """Waits until one of the signals has come; to be made in the main thread.

    The handler of a signal runs in the main thread, between any two of its steps: also while that is about to
    wait, and holds the lock of what it waits for. With `threading.Event` the handler would wait for that lock
    for ever. A SimpleQueue may be put to at any moment.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        """Take the signals of these numbers; without any, SIGINT and SIGTERM."""
        self._told: SimpleQueue[None] = SimpleQueue()
        self._has_come = False
        for number in numbers or (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._note())

    def _note(self) -> None:
        self._has_come = True
        self._told.put(None)

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait for a signal, for so many seconds at most; return whether one has come."""
        ends = time.monotonic() + seconds
        while not self._has_come and (left := ends - time.monotonic()) > 0:
            try:
                self._told.get(timeout=min(left, STRETCH_SECONDS))
            except Empty:
                continue
        return self._has_come
