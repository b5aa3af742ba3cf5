"""Frees the claims of dead processes: at once when one has surely ended, else after seconds of silence.

Only observed silence counts, at most a second for each look. So when the database comes back after an outage,
the processes that hold claims have time to give a sign and to record their outcomes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

import sqlalchemy as sa

from tasks.database.instance import Instance
from tasks.database.store import NO_ANSWER, Store, first_line
from tasks.delivery import deliveries
from tasks.delivery.claims import Clocks
from tasks.delivery.deliveries import HeldRow
from tasks.delivery.sending import Outcome

# Longer than `instance.SIGN_WITHIN`: nobody begins a send that is about to be taken over. With the second
# until the first look, what a dead process held is free within five.
SILENCE_SECONDS = 4.0
# A look that came late does not count as more silence.
_MOST_PER_LOOK = 1.0
# After so long a wait for the database, the silence of others proves nothing.
PROMPT_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last sign of life of a send's process, seconds of its silence, and seconds since the first look."""

    sign: datetime | None
    silence: float
    age: float = 0.0


class LeftBehind:
    """Looks once a second at the sends under way and at their processes."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._seen: dict[tuple[int, int], _Seen] = {}
        self._looked = float("-inf")
        instance.watches = True

    def free(self, store: Store, at: Clocks) -> int:
        """Free the sends whose process gave no sign of life for some seconds; return their number."""
        with store.reading() as connection:
            held = deliveries.held(connection)
        passed = min(at.began - self._looked, _MOST_PER_LOOK)
        self._looked = at.began
        self._seen = {(row.delivery, row.attempt): self._silence(row, passed, at.wall) for row in held}
        gone = [row for row in held if self._seen[row.delivery, row.attempt].silence >= SILENCE_SECONDS]
        return sum(1 for _ in takewhile(lambda row: self._free(store, row, at), gone))

    def _silence(self, row: HeldRow, passed: float, wall: datetime) -> _Seen:
        if row.holder and self._instance.has_ended(row.holder):
            return _Seen(row.sign, SILENCE_SECONDS)
        before = self._seen.get((row.delivery, row.attempt))
        if before is None:
            return _Seen(row.sign, 0.0)
        silence = before.silence + passed if self._is_silent(row, before, wall) else 0.0
        return _Seen(row.sign, silence, before.age + passed)

    def _is_silent(self, row: HeldRow, before: _Seen, wall: datetime) -> bool:
        """Whether nobody seems to see to a send: its process gave no sign since, or has had it for a lease.

        A lease is counted here. Another machine wrote when it ends, and the clocks of two machines differ.
        """
        if row.holder == self._instance.id:
            return not self._instance.holds(row.delivery, row.attempt)
        if row.holder is None:
            return row.lease <= wall
        return row.sign == before.sign or before.age >= deliveries.LEASE.total_seconds()

    def _free(self, store: Store, row: HeldRow, at: Clocks) -> bool:
        asked = time.monotonic()

        def free(connection: sa.Connection) -> bool:
            deliveries.lock_notice(connection, row.notice)
            if time.monotonic() - asked > PROMPT_SECONDS:
                return False
            died = Outcome("unknown", deliveries.SENDER_ENDED)
            return deliveries.end(connection, row.delivery, row.attempt, row.notice, died, at)

        try:
            freed = store.write(free)
        except NO_ANSWER as problem:
            # A locked row must keep nothing else waiting: it is looked at again some seconds later.
            _log.warning("%s: its sender ended; it cannot be freed yet: %s", row.notice, first_line(problem))
            del self._seen[row.delivery, row.attempt]
            return False
        if not freed:
            self._seen.clear()
            return False
        _log.warning("%s: its sender ended; it is sent again, marked as possibly repeated", row.notice)
        return True
