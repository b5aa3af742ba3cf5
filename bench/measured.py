"""What was measured of some wakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# From planning the wakes until the first is due.
LEAD_SECONDS = 4.0


@dataclass(frozen=True)
class Measured:
    """What some wakes cost: CPU seconds for each, and real seconds for all."""

    wakes: int
    seconds: float
    runner: float
    server: float
    late: Sequence[float] = ()

    @property
    def rate(self) -> float:
        """Wakes per second."""
        return self.wakes / self.seconds
