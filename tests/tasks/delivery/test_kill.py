"""A sender that is killed with SIGKILL at the moments that matter loses nothing and doubles nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx
import pytest

from deployments.bootstrap.clock import Clock
from itp_events.events import NoticeIssued
from tasks.database import queries
from tests.support import Receiver
from tests.support.api import enrolment
from tests.support.ports import free_port
from tests.support.study import Study
from tests.support.waiting import wait_until
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later, outcomes
from tests.tasks.forked import forked
from tests.tasks.sender import claim_and_die, send

pytestmark = pytest.mark.requirement("LOG-02")

AFTER_THE_LEASE = later(ENROLLED_AT, seconds=61)
Sender = Callable[[Callable[..., None]], BaseProcess]


@pytest.fixture
def study() -> Study:
    """What happens to ITP-001, of whom one notice is due at the enrolment."""
    return ReportedLate()


@pytest.fixture
def sender(desk: Desk, study: Study, told: Receiver, database_url: str, tmp_path: Path) -> Sender:
    """Starts a sender for ITP-001, who has one notice waiting."""
    desk.take(study.enrol())

    def start(step: Callable[..., None]) -> BaseProcess:
        return forked(step, database_url, tmp_path / "apprise.txt", ENROLLED_AT)

    return start


def killed(process: BaseProcess) -> bool:
    process.join(timeout=60)
    return process.exitcode == -signal.SIGKILL


def test_killed_between_commit_and_send_the_notice_is_sent_by_the_next_sender(
    desk: Desk, sender: Sender, told: Receiver
) -> None:
    assert killed(sender(claim_and_die))
    assert told.requests == []
    assert outcomes(desk.attempts()) == [None]
    desk.hand_over(later(ENROLLED_AT, seconds=30), subject=None)
    assert told.requests == []
    desk.hand_over(AFTER_THE_LEASE, subject=None)
    assert [request.body["title"][:20] for request in told.requests] == ["[possibly repeated] "]
    assert outcomes(desk.attempts()) == ["unknown", "sent"]


def test_killed_after_acceptance_and_before_it_was_recorded_the_repetition_is_marked(
    desk: Desk, sender: Sender, told: Receiver
) -> None:
    told.hang()
    process = sender(send)
    told.wait_for(1)
    process.kill()
    assert killed(process)
    told.succeed()
    desk.hand_over(AFTER_THE_LEASE, subject=None)
    first, again = told.requests
    assert again.body["title"] == f"[possibly repeated] {first.body['title']}"
    assert outcomes(desk.attempts()) == ["unknown", "sent"]
    desk.hand_over(later(AFTER_THE_LEASE, hours=1), subject=None)
    assert len(told.requests) == 2


@pytest.mark.requirement("RUN-03")
def test_a_kill_doubles_nothing_in_the_log_or_the_outbox(desk: Desk, sender: Sender, told: Receiver) -> None:
    assert killed(sender(claim_and_die))
    desk.hand_over(AFTER_THE_LEASE, subject=None)
    issued = [
        event for event in queries.history(desk.store, "ITP-001") if isinstance(event.data, NoticeIssued)
    ]
    assert len(issued) == len(desk.notices()) == 1


@pytest.mark.requirement("DLV-03")
def test_killed_and_pointless_meanwhile_the_notice_is_not_sent_again(
    desk: Desk, study: Study, sender: Sender, told: Receiver
) -> None:
    assert killed(sender(claim_and_die))
    desk.take(study.done("INF1", "2026-01-05"))
    desk.hand_over(AFTER_THE_LEASE, subject=None)
    assert "INF1" not in str([request.body["title"] for request in told.requests])
    assert outcomes([row for row in desk.attempts() if "INF1" in row.notice]) == ["unknown"]


@contextmanager
def api(database_url: str, home: Path) -> Iterator[tuple["subprocess.Popen[bytes]", httpx.Client]]:
    """`itp api` over a database, which tells whom the fixture `told` tells."""
    port = free_port()
    ours = {
        "ITP_DATA_DIR": home / "data",
        "ITP_DATABASE_URL": database_url,
        "ITP_API_PORT": port,
        "ITP_APPRISE_CONFIG": home / "apprise.txt",
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
    }
    environment = os.environ | {name: str(value) for name, value in ours.items()}
    command = [str(Path(sys.executable).with_name("itp")), "api"]
    with (home / "api.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    with process, httpx.Client(base_url=address, trust_env=False, verify=False, timeout=30) as client:
        try:
            wait_until(lambda: _serves(process, client, home / "api.log"), "the API to answer")
            yield process, client
        finally:
            process.kill()


def _serves(process: "subprocess.Popen[bytes]", client: httpx.Client, log: Path) -> bool:
    assert process.poll() is None, f"the API ended at once: {log.read_text()}"
    try:
        return client.get("/openapi.json").is_success
    except httpx.TransportError:
        return False


def test_a_door_killed_right_after_its_answer_leaves_its_notice_to_the_next_sender(
    desk: Desk, told: Receiver, database_url: str, tmp_path: Path
) -> None:
    told.hang()
    now = Clock().now()
    stated = enrolment("ITP-001", now - timedelta(days=3))
    with api(database_url, tmp_path) as (process, client):
        assert client.post("/events", json=stated).status_code == httpx.codes.CREATED
        process.kill()
        process.wait(timeout=60)
    assert outcomes(desk.attempts()) == [None], "it was claimed before the answer"
    arrived = len(told.requests)
    told.succeed()
    desk.hand_over(later(now, seconds=55), subject=None)
    assert len(told.requests) == arrived, "nobody else sends it before its lease ends"
    desk.hand_over(later(now, minutes=5), subject=None)
    assert [each.body["title"][:20] for each in told.requests[arrived:]] == ["[possibly repeated] "]
    assert outcomes(desk.attempts()) == ["unknown", "sent"]
    assert [each.status for each in desk.notices()] == ["delivered"]
