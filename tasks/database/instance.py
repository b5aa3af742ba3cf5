"""One process that hands over: the claims it holds, and the signs of life that it gives to others.

A process keeps its claims for as long as it gives signs of life: one a second while it waits for a provider,
and all the time while it runs the service's loop. `tasks.delivery.left_behind` frees the claims of a process
that gives none any more; its leases are free by themselves (`tasks.database.leases`).
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from tasks.database.schema import senders
from tasks.database.shared_time import shared_now
from tasks.database.store import NO_ANSWER, Store
from tasks.database.upsert import upsert

# Several signs fit into the silence after which a process is taken for dead.
SIGN_SECONDS = 1.0
# A send begins within so many seconds of its claim or of the last sign of life, well before anybody may take
# the claim over. It also begins within so many of its claim: the notice could have become pointless.
SIGN_WITHIN = 3.0
CLAIM_WITHIN = 20.0
# Between the id of a service and the number of a process that it started and that ends with it.
PART = "-"
# The signs of processes that ended are kept for so long.
_KEPT = timedelta(days=1)
# A reason that stands is named once a minute: it is met every second.
_WARN_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    taken: float
    begun: bool = False


class Instance:
    """This process as others see it. Its methods may be called from several threads."""

    def __init__(self, name: str = "") -> None:
        """`name` is the id that others see; one that nobody has is made up without it."""
        self.id = name or secrets.token_hex(8)
        # Whether this process frees the claims that others left behind, so that no lease is needed.
        self.watches = False
        # The ids of processes that have ended for certain.
        self._ended: set[str] = set()
        self._held: dict[tuple[int, int], _Held] = {}
        self._asked = self._signed = self._warned = float("-inf")
        self._lock = threading.Lock()
        # One sign at a time: who asks during another's sign waits for it, as it counts for all.
        self._signing = threading.Lock()

    def note_ended(self, process: str) -> None:
        """Note the id of a process that has ended for certain; the empty id names none."""
        if process:
            self._ended.add(process)

    def has_ended(self, process: str) -> bool:
        """Whether a process has ended for certain, or the one that started it, without which it ends."""
        return process in self._ended or process.partition(PART)[0] in self._ended

    def take(self, delivery: int, attempt: int) -> None:
        """Note that this process claims a send; called before the claim is committed."""
        with self._lock:
            self._held[delivery, attempt] = _Held(time.monotonic())

    def begin(self, delivery: int, attempt: int) -> bool:
        """Whether a send that was claimed may begin; False when somebody may have taken it over."""
        with self._lock:
            held = self._held.get((delivery, attempt))
            if held is not None and self._may_begin(held, time.monotonic()):
                held.begun = True
            return held is not None and held.begun

    def holds(self, delivery: int, attempt: int) -> bool:
        """Whether this process has a send in hand, or may still begin it."""
        with self._lock:
            held = self._held.get((delivery, attempt))
            return held is not None and (held.begun or self._may_begin(held, time.monotonic()))

    def let_go(self, delivery: int, attempt: int) -> None:
        """Note that the outcome of a send is recorded."""
        with self._lock:
            self._held.pop((delivery, attempt), None)

    def _may_begin(self, held: _Held, now: float) -> bool:
        return now - held.taken <= CLAIM_WITHIN and now - max(held.taken, self._signed) <= SIGN_WITHIN

    def give_sign(self, store: Store, wall: datetime) -> bool:
        """Give a sign of life, at most one a second; while the database does not answer, none.

        Returns whether the last sign stands.
        """
        came = time.monotonic()
        with self._signing:
            if came - self._asked < SIGN_SECONDS:
                return self._signed >= self._asked
            self._asked = began = time.monotonic()
            try:
                store.write(lambda connection: self._sign(connection, wall))
            except NO_ANSWER:
                return False
            with self._lock:
                self._signed = max(self._signed, began)
            return True

    def warn(self, said: str) -> None:
        """Log the reason why this process hands over nothing, at most once a minute."""
        now = time.monotonic()
        with self._lock:
            if now - self._warned < _WARN_SECONDS:
                return
            self._warned = now
        _log.error("%s", said)

    def _sign(self, connection: sa.Connection, wall: datetime) -> None:
        if self._signed == float("-inf"):
            connection.execute(senders.delete().where(senders.c.at < shared_now(connection, wall, _KEPT)))
        about = {"host": socket.gethostname(), "pid": os.getpid()}
        upsert(connection, senders, {"id": self.id}, {"at": shared_now(connection, wall)}, once=about)
