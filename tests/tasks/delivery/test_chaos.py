"""Several processes work on the same subjects, the provider is moody, and one after the other is killed."""

import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import pytest

from tasks.database import queries
from tests.support import Receiver
from tests.support.hand_over import hand_over
from tests.support.receiver import Request
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk
from tests.tasks.forked import forked_and_heard
from tests.tasks.worker import clocks, work

pytestmark = pytest.mark.requirement("DLV-01")

WORKERS, KILLS = 3, 6
MARK = "[possibly repeated] "


@dataclass
class MoodyReceiver(Receiver):
    """Accepts most messages, refuses some, and accepts some without an answer."""

    accepted: list[Request] = field(default_factory=list)
    calm: bool = False

    def _take(self, request: Request) -> int | None:
        mood = 0 if self.calm else random.randrange(10)
        if mood == 1:
            return 503
        self.accepted.append(request)
        return None if mood == 2 else 200


class Worker(NamedTuple):
    """One of the processes, and what is heard of its steps."""

    process: BaseProcess
    steps: Connection

    @classmethod
    def start(cls, seed: int, *where: object) -> "Worker":
        return cls(*forked_and_heard(work, seed, *where))

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.steps.close()


def work_and_be_killed(url: str, config: Path, base: datetime, began: float) -> None:
    """Some workers at a time; each is killed after some steps, in the middle of whatever it does then."""
    where = url, config, base, began
    running = [Worker.start(seed, *where) for seed in range(WORKERS)]
    for seed in range(WORKERS, WORKERS + KILLS):
        victim = running.pop(0)
        for _ in range(random.randrange(10, 60)):
            # Fails with EOFError when the worker ended by itself.
            assert victim.steps.recv_bytes() == b"."
        running.append(Worker.start(seed, *where))
        victim.end()
    for worker in running:
        worker.end()


def test_nothing_is_lost_and_what_may_be_repeated_is_marked(
    desk: Desk, database_url: str, tmp_path: Path
) -> None:
    audiences = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")
    with MoodyReceiver() as receiver:
        config = tmp_path / "apprise.txt"
        desk.configure(config, *(f"{name}={receiver.apprise_url(name)}" for name in audiences))
        for number in range(1, 5):
            study = Study(code=f"ITP-00{number}")
            study.last_id = 10 * number
            desk.take(study.enrol())
        began = time.monotonic()
        work_and_be_killed(database_url, config, ENROLLED_AT, began)
        receiver.calm = True
        now, wall = clocks(ENROLLED_AT, began)
        # In doubt a message is repeated after an hour at last.
        for minutes in range(0, 130, 5):
            hand_over(desk.store, desk.protocol, desk.channels, now, wall=wall + timedelta(minutes=minutes))
    check_log(desk)
    check_messages(desk, receiver.accepted)


def check_log(desk: Desk) -> None:
    for row in queries.all_subjects(desk.store):
        lines = queries.log_lines(desk.store, row.code)
        assert [line.seq for line in lines] == list(range(1, row.seq + 1))
        desk.wake(row.code, row.advanced_at)
        assert len(queries.log_lines(desk.store, row.code)) == row.seq


def check_messages(desk: Desk, accepted: list[Request]) -> None:
    said: dict[tuple[str, str, str], int] = defaultdict(int)
    for request in accepted:
        if not request.body["title"].startswith(MARK):
            said[request.path, request.body["title"], request.body["message"]] += 1
    issued: Counter[tuple[str, str, str]] = Counter()
    arrived = {(request.path, request.body["title"].removeprefix(MARK)) for request in accepted}
    for notice in (each for row in queries.all_subjects(desk.store) for each in desk.notices(row.code)):
        assert notice.status in ("delivered", "withdrawn")
        if notice.handed_at:
            issued[f"/{notice.audience}", notice.title or "", notice.body or ""] += 1
        if notice.status == "delivered":
            assert (f"/{notice.audience}", notice.title) in arrived
    assert accepted
    assert {text: count for text, count in said.items() if count > issued[text]} == {}
