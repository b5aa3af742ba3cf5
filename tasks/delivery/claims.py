"""The claim as a value, made by `tasks.delivery.claiming`, and the two clocks by which leases are counted.

Claims are made in `tasks.delivery.claiming`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tasks.delivery.channels import Recipient
from tasks.delivery.sending import Message


@dataclass(frozen=True)
class Clocks:
    """The instant (UTC) at which a hand-over began: `now` by the study's clock, `wall` by the machine's."""

    now: datetime
    wall: datetime
    began: float = field(default_factory=time.monotonic)

    def later(self) -> Clocks:
        """The same two clocks, read again."""
        passed = time.monotonic() - self.began
        return Clocks(self.now + timedelta(seconds=passed), self.wall + timedelta(seconds=passed))


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process took `at` an instant: no other sends it while this process lives."""

    delivery: int
    attempt: int
    notice: str
    recipient: Recipient
    message: Message
    repeated: bool
    at: Clocks


Claimed = Mapping[str, Sequence[Claim]]
"""The claims by the subject whom they are about."""

NOTHING: Claimed = {}
