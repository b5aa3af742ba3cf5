"""The waits between a failure and the next try, which double up to a limit.

The numbers of threads and connections stand in `tasks.limits`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

# A larger power of two is beyond every limit below.
_MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Waits:
    """The wait after the first failure, and the longest one; each failure in a row doubles the wait."""

    first: timedelta
    longest: timedelta

    def after(self, failures: int) -> timedelta:
        """The wait after so many failures in a row, of which there is at least one."""
        return min(self.first * (1 << min(failures - 1, _MOST_DOUBLINGS)), self.longest)


# A subject that could not be woken, or whose notices could not be handed over. A fault that somebody mends
# in seconds delays it by seconds; one that stays costs a try every five minutes.
WAKE = Waits(timedelta(seconds=5), timedelta(minutes=5))
# A send that a provider refused. It costs nobody a second copy: a fault of some seconds delays an alert by
# as many.
SEND_REFUSED = Waits(timedelta(seconds=5), timedelta(minutes=15))
# A send that may have arrived. Each repetition may be one more copy.
SEND_IN_DOUBT = Waits(timedelta(seconds=30), timedelta(hours=1))
# A page that cannot be shown in Prefect's UI. It is only looked at, and must not keep the others waiting.
PAGE = Waits(timedelta(minutes=5), timedelta(minutes=5))
# A page while Prefect does not answer: that may be over at any moment.
PAGE_UNANSWERED = timedelta(seconds=20)


class Backoff:
    """Counts the failures in a row of each subject, and knows until when the subject is left alone.

    It counts by the clock of the process, and is used by one thread at a time.
    """

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._failures: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        """The number of subjects that have failed and not succeeded since."""
        return len(self._failures)

    def is_over(self, code: str) -> bool:
        """Whether the subject may be tried again."""
        return code not in self._failures or time.monotonic() >= self._failures[code][1]

    def resting(self) -> set[str]:
        """The subjects that may not be tried again yet."""
        return {code for code in self._failures if not self.is_over(code)}

    def failed(self, code: str) -> float:
        """Note a failure; return the seconds until the next try."""
        failures = self._failures.get(code, (0, 0.0))[0] + 1
        return self._leave(code, failures, self._waits.after(failures))

    def unanswered(self, code: str, wait: timedelta | None = None) -> float:
        """Note that a server did not answer, or that a row was locked; return the seconds until the next try.

        That may be over at any moment, and counts as no failure. Without a `wait` it is the first of `Waits`.
        """
        return self._leave(code, 0, self._waits.first if wait is None else wait)

    def succeeded(self, code: str) -> None:
        """Forget the subject's failures."""
        self._failures.pop(code, None)

    def _leave(self, code: str, failures: int, wait: timedelta) -> float:
        seconds = wait.total_seconds()
        self._failures[code] = (failures, time.monotonic() + seconds)
        return seconds
