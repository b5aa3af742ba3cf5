"""How long to leave a subject alone whose wake failed, so that one failure does not become a loop."""

from __future__ import annotations

import time

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 300.0


class Backoff:
    """Counts failures in a row by subject; each doubles the rest."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        """How many have failed and not succeeded since."""
        return len(self._failures)

    def is_over(self, code: str) -> bool:
        """Whether the subject may be woken again."""
        return code not in self._failures or time.monotonic() >= self._failures[code][1]

    def failed(self, code: str) -> float:
        """Note a failure; the seconds of rest that follow it."""
        failures = self._failures.get(code, (0, 0.0))[0] + 1
        seconds = min(FIRST_SECONDS * 2.0 ** (failures - 1), LONGEST_SECONDS)
        self._failures[code] = (failures, time.monotonic() + seconds)
        return seconds

    def unanswered(self, code: str) -> float:
        """Note that the database did not answer, or somebody kept the row: that may be over at any moment.

        The rest stays short, so that the subject is woken within seconds after that.
        """
        self._failures[code] = (0, time.monotonic() + FIRST_SECONDS)
        return FIRST_SECONDS

    def succeeded(self, code: str) -> None:
        """Forget the subject's failures."""
        self._failures.pop(code, None)
