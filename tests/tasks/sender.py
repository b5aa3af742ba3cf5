"""A sender in a process of its own, for tests that kill it."""

import os
import signal
from datetime import datetime
from pathlib import Path

from tasks.delivery.channels import Channels
from tests.tasks.desk import Desk


def send(url: str, config: Path, now: datetime) -> None:
    """Hand over for ITP-001."""
    _desk(url, config).hand_over(now)


def claim_and_die(url: str, config: Path, now: datetime) -> None:
    """Hand over for ITP-001, but die as soon as the claim is committed."""
    assert _desk(url, config).claim(now)
    os.kill(os.getpid(), signal.SIGKILL)


def _desk(url: str, config: Path) -> Desk:
    desk = Desk.open(url)
    desk.channels = Channels.from_config(config)
    return desk
