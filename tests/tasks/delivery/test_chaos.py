"""Several processes work on the same subjects, the provider is moody, and one after the other is killed."""

import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from tasks.database import queries
from tests.support import Receiver
from tests.support.hand_over import hand_over
from tests.support.receiver import Request
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk
from tests.tasks.worker import clocks

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


def start(arguments: list[str], seed: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.tasks.worker", *arguments[:2], str(seed), *arguments[2:]]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def work_and_be_killed(arguments: list[str]) -> None:
    """Some workers at a time; each is killed after some steps, in the middle of whatever it does then."""
    running = [start(arguments, seed) for seed in range(WORKERS)]
    for seed in range(WORKERS, WORKERS + KILLS):
        steps = random.randrange(10, 60)
        victim = running.pop(0)
        assert victim.stdout
        assert len(victim.stdout.read(steps)) == steps, "a worker ended by itself"
        running.append(start(arguments, seed))
        end(victim)
    for worker in running:
        end(worker)


def end(worker: "subprocess.Popen[bytes]") -> None:
    with worker:
        worker.kill()


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
        work_and_be_killed([database_url, str(config), ENROLLED_AT.isoformat(), str(began)])
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
