"""A delivery taken under a lease, and the two clocks by which that is counted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tasks.delivery.channels import Recipient
from tasks.delivery.sending import Message


@dataclass(frozen=True)
class Clocks:
    """The instant at which a hand-over began, in the study's time and in the machine's."""

    now: datetime
    wall: datetime
    began: float = field(default_factory=time.monotonic)

    def later(self) -> Clocks:
        """The same two clocks, read again."""
        passed = time.monotonic() - self.began
        return Clocks(self.now + timedelta(seconds=passed), self.wall + timedelta(seconds=passed))


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery taken `at` a moment by this process: nobody else sends it while this one lives."""

    delivery: int
    attempt: int
    notice: str
    recipient: Recipient
    message: Message
    repeated: bool
    at: Clocks
