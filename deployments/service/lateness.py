"""The lateness of wakes, as a histogram that the process counts which runs the service's loop.

Doors in processes of their own are told it, so that each of them shows the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

NAME = "itp_wake_lateness_seconds"
SAID = "Real seconds between a subject's time and the beginning of its wake."
# The upper limits of the histogram's parts, in seconds; beyond the last there is one more part.
LIMITS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)


class Lateness(Collector):
    """Counts wakes by their lateness; usable by several threads."""

    def __init__(self) -> None:
        self._counts = [0.0] * (len(LIMITS) + 1)
        self._seconds = 0.0
        self._lock = Lock()

    def observe(self, seconds: float) -> None:
        """Count a wake that began so many seconds after its time."""
        part = next((part for part, limit in enumerate(LIMITS) if seconds <= limit), len(LIMITS))
        with self._lock:
            self._counts[part] += 1
            self._seconds += seconds

    def told(self) -> list[float]:
        """All counts and the sum of seconds, for another process."""
        with self._lock:
            return [*self._counts, self._seconds]

    def take_over(self, told: Sequence[float]) -> None:
        """Show what another process has counted, in place of one's own counts."""
        with self._lock:
            self._counts, self._seconds = list(told[:-1]), told[-1]

    def collect(self) -> Iterable[Metric]:
        """The histogram in Prometheus' form."""
        *counts, seconds = self.told()
        names = [*(str(limit) for limit in LIMITS), "+Inf"]
        buckets = [(name, sum(counts[: part + 1])) for part, name in enumerate(names)]
        yield HistogramMetricFamily(NAME, SAID, buckets=buckets, sum_value=seconds)


WAKE_LATENESS = Lateness()
