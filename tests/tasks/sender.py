"""A sender in a process of its own, for tests that kill it.

python -m tests.tasks.sender DATABASE_URL APPRISE_CONFIG STEP NOW
"""

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from tasks.delivery.channels import Channels
from tests.tasks.desk import Desk


def main(url: str, config: str, step: str, now: str) -> None:
    """Hand over for ITP-001; with the step `claim`, die as soon as the claim is committed."""
    desk = Desk.open(url)
    desk.channels = Channels.from_config(Path(config))
    if step == "claim":
        assert desk.claim(datetime.fromisoformat(now))
        os.kill(os.getpid(), signal.SIGKILL)
    desk.hand_over(datetime.fromisoformat(now))


if __name__ == "__main__":
    main(*sys.argv[1:])
