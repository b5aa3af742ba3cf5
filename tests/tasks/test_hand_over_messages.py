"""Who takes over from somebody who is away, and who comes back, is told once what is open."""

from pathlib import Path
from typing import Any

import pytest

from itp_events.duty.changes import read_change
from tasks import hand_over_messages
from tasks.database import duty
from tests.support import Receiver
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later

pytestmark = pytest.mark.requirement("DTY-03")

# 11:00 on Monday 5 January at the site.
NOW = ENROLLED_AT


@pytest.fixture
def study() -> Study:
    """What happens to ITP-001, of whom one notice is due at the enrolment."""
    return ReportedLate()


@pytest.fixture
def told(desk: Desk, study: Study, receiver: Receiver, tmp_path: Path) -> Receiver:
    """Two coordinators with an address each, the first of them on duty, and ITP-001 enrolled."""
    desk.configure(
        tmp_path / "apprise.txt",
        *(f"{each.replace('.', '-')}={receiver.apprise_url(each)}" for each in ("crc.li", "crc.wang")),
        f"coordinator={receiver.apprise_url('coordinator')}",
    )
    state(
        desk,
        "rota",
        audience="coordinator",
        site="01",
        days=[1, 2, 3, 4, 5, 6, 7],
        people=["crc.li"],
        first="2026-01-01",
    )
    desk.take(study.enrol())
    return receiver


def state(desk: Desk, what: str, **said: Any) -> int:
    return duty.state(desk.store, read_change({"what": what, **said}), NOW, actor=None, door="cli").id


def away(desk: Desk, first: str = "2026-01-05", last: str | None = "2026-01-07") -> int:
    until = {"last": last} if last else {}
    return state(desk, "absent", person="crc.li", first=first, deputy="crc.wang", **until)


def look(desk: Desk, *, hours: float = 0) -> list[str]:
    now = later(NOW, hours=hours)
    keys = hand_over_messages.tell(desk.store, desk.protocol, now)
    desk.hand_over(later(now, seconds=1), subject=None)
    return keys


def messages(told: Receiver, path: str) -> list[str]:
    said = [f"{each.body['title']}\n{each.body['message']}" for each in told.at(path)]
    return [each for each in said if "what is open" in each]


def test_a_deputy_gets_one_message_with_what_is_open(desk: Desk, told: Receiver) -> None:
    away(desk)
    for hours in range(3):
        look(desk, hours=hours)
    [message] = messages(told, "crc.wang")
    assert message.startswith("You stand in for crc.li: what is open")
    assert "notices for crc.li come to you from Mon 5 Jan 2026 to Wed 7 Jan 2026" in message
    assert "- ITP-001 INF1: target Sun 4 Jan 2026" in message
    assert messages(told, "crc.li") == []


def test_who_comes_back_gets_one_message_on_the_first_morning(desk: Desk, told: Receiver) -> None:
    away(desk)
    look(desk)
    assert look(desk, hours=3 * 24 - 3) == []  # 08:00 at the site
    assert len(look(desk, hours=3 * 24 - 2)) == 1
    look(desk, hours=3 * 24)
    [message] = messages(told, "crc.li")
    assert message.startswith("You are back: what is open")


def test_an_absence_that_lies_ahead_is_told_on_its_first_morning(desk: Desk, told: Receiver) -> None:
    away(desk, first="2026-01-06")
    assert look(desk) == []
    assert len(look(desk, hours=24)) == 1


def test_an_absence_that_was_taken_back_is_not_told(desk: Desk, told: Receiver) -> None:
    number = away(desk)
    [key] = hand_over_messages.tell(desk.store, desk.protocol, NOW)
    state(desk, "void", change=number, reason="the wrong person")
    look(desk, hours=1)
    assert messages(told, "crc.wang") == []
    assert desk.notice(key, code=None).status == "withdrawn"


def test_who_is_back_early_is_told_on_that_day(desk: Desk, told: Receiver) -> None:
    away(desk, last=None)
    look(desk)
    state(desk, "back", person="crc.li", on="2026-01-06")
    look(desk, hours=24)
    assert len(messages(told, "crc.li")) == 1


def test_without_absences_nothing_is_told(desk: Desk, told: Receiver) -> None:
    assert look(desk) == []
