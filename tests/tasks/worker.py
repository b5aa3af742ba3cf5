"""One of several processes that record and hand over for the same subjects until it is killed."""

import random
import sys
import time
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tasks.delivery.channels import Channels
from tests.support.hand_over import hand_over
from tests.support.study import FOLLOW_UP, INFUSIONS, Study
from tests.tasks.desk import Desk

# Study time runs a day, the machine's time a minute (a whole lease) per second of the test.
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def clocks(base: datetime, began: float) -> tuple[datetime, datetime]:
    """The study's time and the machine's, both ahead of the real clock."""
    passed = time.monotonic() - began
    return base + passed * DAY, base + passed * MINUTE


def happen(desk: Desk, code: str, now: datetime, chance: random.Random) -> None:
    """Something is stated about a subject, which the study's rules may well refuse."""
    study = Study(code=code)
    visit, event_id = chance.choice(INFUSIONS + FOLLOW_UP), f"{code}-{chance.randrange(60)}"
    day = str(study.site.date_of(now))
    things: list[tuple[str, dict[str, Any]]] = [
        ("itp.visit.completed", {"visit": visit}),
        ("itp.visit.booked", {"visit": visit}),
        ("itp.contact.attempted", {"reached": True}),
        ("itp.adverse-event.reported", {**AE, "ae": event_id}),
    ]
    kind, data = chance.choice(things)
    desk.take(study.event(kind, day, now, event_id=event_id, **data), now=now)


AE = {"term": "Fever", "grade": 2, "serious": True, "related": False}


def work(steps: Connection, seed: int, url: str, config: Path, base: datetime, began: float) -> None:
    """Go on until killed, and say a dot for each step done."""
    desk, chance = Desk.open(url), random.Random(seed)
    channels = Channels.from_config(config, sys.stderr)
    codes = [f"ITP-00{number}" for number in range(1, 5)]
    while True:
        now, wall = clocks(base, began)
        code = chance.choice(codes)
        match chance.randrange(4):
            case 0:
                happen(desk, code, now, chance)
            case 1:
                desk.wake(code, now)
            case 2:
                hand_over(desk.store, desk.protocol, channels, now, subject=code, wall=wall)
            case _:
                hand_over(desk.store, desk.protocol, channels, now, wall=wall)
        steps.send_bytes(b".")
