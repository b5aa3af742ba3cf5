"""Says in the log that the database does not answer, without a line for each attempt."""

from __future__ import annotations

import logging
import time

from tasks.database.store import first_line

# Every step of the loop meets a database that does not answer: one line a minute is enough.
EVERY_SECONDS = 60.0

log = logging.getLogger(__name__)


class SilentDatabase:
    """Complains at once, and again every minute while the database stays silent."""

    def __init__(self) -> None:
        self._complained_at = float("-inf")

    def complain(self, problem: Exception) -> None:
        """Say what the database answered instead, unless it was said within the last minute."""
        now = time.monotonic()
        if now - self._complained_at > EVERY_SECONDS:
            self._complained_at = now
            log.error("The study's database does not answer, trying again: %s", first_line(problem))
