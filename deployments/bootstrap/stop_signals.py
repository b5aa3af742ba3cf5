"""Ctrl-C and SIGTERM, by which a person or a service manager asks a process to stop."""

from __future__ import annotations

import signal
from queue import Empty, SimpleQueue


class StopSignals:
    """Waits until one of the signals has come; to be made in the main thread.

    The handler of a signal runs in the main thread, between any two of its steps: also while that is about to
    wait, and holds the lock of what it waits for. With `threading.Event` the handler would wait for that lock
    for ever, and the process could only be killed. A SimpleQueue may be put to at any moment.
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

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for a signal, for so many seconds at most; return whether one has come."""
        if not self._has_come:
            try:
                self._told.get(timeout=seconds)
            except Empty:
                return self._has_come
        return True
