"""Watches who does what one service alone does, and how long it takes another to take it over."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psycopg

LOOK_SECONDS = 0.2
# The process that holds the job and still gives signs of life.
HOLDER = """SELECT s.pid FROM leases l JOIN senders s ON s.id = l.holder
    WHERE l.name = 'study' AND s.at::timestamptz > now() - interval '5 seconds'"""
ALIVE = "SELECT pid FROM senders WHERE at::timestamptz > now() - interval '3 seconds'"


class TakeOvers(threading.Thread):
    """Reads the leases again and again, past every link that can be cut."""

    def __init__(self, database: str) -> None:
        super().__init__(name="take-overs", daemon=True)
        self._database = database
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self.holder: int | None = None
        self.alive: set[int] = set()
        # The seconds that each take-over has taken.
        self.seconds: list[float] = []
        self._waits: tuple[int, float] | None = None

    def run(self) -> None:
        """Look until `stop`."""
        while not self._ended.is_set():
            with suppress(psycopg.Error):
                self._watch()
            self._ended.wait(LOOK_SECONDS)

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join(10)

    def lost(self, pid: int) -> None:
        """Note that this process can do nothing any more, from now on."""
        self._waits = (pid, time.monotonic())

    def disturbed(self) -> None:
        """Note that something else broke that the next holder needs: this take-over says nothing."""
        self._waits = None

    def is_waited_for(self) -> float | None:
        """The seconds for which nobody has taken over by now."""
        return None if self._waits is None else time.monotonic() - self._waits[1]

    def _watch(self) -> None:
        with psycopg.connect(self._database, autocommit=True, connect_timeout=3) as connection:
            while not self._ended.is_set():
                row = connection.execute(HOLDER).fetchone()
                self.holder = row[0] if row else None
                self.alive = {pid for (pid,) in connection.execute(ALIVE)}
                self._note()
                self._ended.wait(LOOK_SECONDS)

    def _note(self) -> None:
        if self._waits is not None and self.holder is not None and self.holder != self._waits[0]:
            self.seconds.append(round(time.monotonic() - self._waits[1], 1))
            self._waits = None
