import threading
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support import Receiver, free_port
from tests.support.postgres import shut
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later, outcomes

pytestmark = pytest.mark.requirement("DLV-04")


@pytest.fixture
def study() -> Study:
    """What happens to ITP-001, of whom one notice is due at the enrolment."""
    return ReportedLate()


@pytest.fixture
def dead(desk: Desk, study: Study, receiver: Receiver, tmp_path: Path) -> str:
    """The name of the coordinator's recipient, who does not answer; ops does; one notice waits."""
    url = f"json://127.0.0.1:{free_port()}/coordinator"
    desk.configure(tmp_path / "apprise.txt", f"coordinator={url}", f"ops={receiver.apprise_url('ops')}")
    desk.take(study.enrol())
    [recipient] = desk.channels.of("coordinator")
    return recipient.label


def try_for(desk: Desk, minutes: int, start: int = 0) -> None:
    """The sweep, every half minute."""
    for half in range(2 * start, 2 * minutes):
        desk.hand_over(later(ENROLLED_AT, seconds=30 * half), subject=None)


def test_a_channel_that_stays_dead_is_told_to_ops_through_another_one(
    desk: Desk, dead: str, receiver: Receiver
) -> None:
    try_for(desk, 10)
    [request] = receiver.at("ops")
    assert request.body["title"].startswith(f"Notices do not get through: {dead}")
    assert "the provider could not be reached" in request.body["message"]


def test_an_outage_is_told_once(desk: Desk, dead: str, receiver: Receiver) -> None:
    try_for(desk, 60)
    assert len(receiver.at("ops")) == 1
    assert [row.status for row in desk.notices(None)] == ["delivered"]


def test_a_channel_that_fails_for_a_moment_is_not_told(desk: Desk, dead: str, receiver: Receiver) -> None:
    try_for(desk, 4)
    assert receiver.at("ops") == []


def test_the_next_outage_of_a_channel_is_told_again(
    desk: Desk, study: Study, told: Receiver, tmp_path: Path
) -> None:
    ops = tmp_path / "ops.txt"
    with Receiver() as other:
        desk.configure(
            ops, f"coordinator={told.apprise_url('coordinator')}", f"ops={other.apprise_url('ops')}"
        )
        desk.take(study.enrol())
        told.fail()
        try_for(desk, 15)
        told.succeed()
        try_for(desk, 40, start=15)
        assert len(other.requests) == 1
        at = later(ENROLLED_AT, hours=1)
        told.fail()
        desk.take(study.done("INF1", "2026-01-05"), now=at)
        try_for(desk, 90, start=60)
        assert len(other.requests) == 2


def test_when_the_dead_channel_is_that_of_ops_the_console_hears_of_it(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    desk.configure(tmp_path / "apprise.txt", f"coordinator, ops={receiver.apprise_url('all')}")
    desk.take(study.enrol())
    receiver.fail()
    try_for(desk, 10)
    assert desk.out.getvalue().count("Notices do not get through") == 1


def test_what_waits_for_a_dead_channel_gets_through_once_it_answers(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    told.fail()
    try_for(desk, 30)
    told.succeed()
    try_for(desk, 60, start=30)
    assert {row.status for row in desk.notices()} == {"delivered"}
    assert not any("repeated" in request.body["title"] for request in told.at("coordinator"))


def test_once_a_channel_answers_again_nothing_waits_for_it_any_longer(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    told.fail()
    try_for(desk, 30)
    told.succeed()
    other = ReportedLate(code="ITP-002")
    other.last_id = 10
    desk.take(other.enrol())
    desk.hand_over(later(ENROLLED_AT, minutes=31), subject="ITP-002")
    assert [row.status for row in desk.notices()] == ["queued"]
    desk.hand_over(later(ENROLLED_AT, minutes=31, seconds=1), subject=None)
    assert [row.status for row in desk.notices()] == ["delivered"]


def test_an_outcome_waits_for_a_database_that_does_not_answer(
    postgres: URL, postgresql_url: str, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    desk = Desk.open(postgresql_url)
    desk.configure(tmp_path / "apprise.txt", f"coordinator={receiver.apprise_url('coordinator')}")
    desk.take(study.enrol())
    receiver.hang()
    sender = threading.Thread(target=desk.hand_over, args=(ENROLLED_AT,))
    sender.start()
    receiver.wait_for(1)
    with shut(postgres, postgresql_url):
        receiver.succeed()
        sender.join(timeout=1)
        assert sender.is_alive(), "the outcome cannot be recorded yet"
    sender.join(timeout=60)
    assert outcomes(desk.attempts()) == ["sent"]
    desk.hand_over(later(ENROLLED_AT, minutes=2), subject=None)
    assert len(receiver.requests) == 1
    desk.store.close()
