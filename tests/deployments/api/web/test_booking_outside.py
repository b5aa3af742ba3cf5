"""A date outside a visit's window: the form says the window, the answer what follows; it stays listed."""

import re
from datetime import date, timedelta

import pytest

from tests.support.api import Door
from tests.support.pages import person

pytestmark = pytest.mark.requirement("PAG-01")


def waits(page: str) -> str:
    """The part of a subject's page that lists what waits."""
    return page.split("<h2>")[1]


@pytest.mark.parametrize(
    ("language", "window", "outside", "tag"),
    [
        (
            "en",
            "Window of INF1: ",
            "Outside the window by {days} days: that will be a protocol deviation.",
            "{days} days outside the window",
        ),
        ("zh-CN", "INF1 的时间窗：", "超出时间窗 {days} 天：这将是一项方案偏离。", "超出时间窗 {days} 天"),
    ],
)
def test_a_booking_outside_the_window_is_said_to_be_one_and_stays_listed(
    door: Door, language: str, window: str, outside: str, tag: str
) -> None:
    door.enrol()
    who = person(door, "recorder", language=language)
    form = who.open("/s/ITP-001/book?visit=INF1")
    assert window in form
    plan = door.get("/subjects/ITP-001/plan", headers=door.token("reader")).json()
    closes = date.fromisoformat(next(each for each in plan["visits"] if each["code"] == "INF1")["closes"])
    values = {"visit": "INF1", "on": f"{closes + timedelta(days=20)}"}
    page = who.answered(who.again("/s/ITP-001/book", **values))
    assert outside.format(days=20) in page
    listed = waits(page)
    assert tag.format(days=20) in listed
    assert re.search(r'href="/s/ITP-001/book\?visit=INF1"', listed)
    inside = who.answered(who.send("/s/ITP-001/book", visit="INF1", on=f"{closes}"))
    assert tag.format(days=20) not in waits(inside)
    assert outside.partition("{")[0] not in inside.split("<h2>")[0]


@pytest.mark.parametrize(
    ("language", "one", "two"), [("en", ">1 subject<", ">2 subjects<"), ("zh-CN", "共 1 名", "共 2 名")]
)
def test_one_subject_is_not_called_subjects(door: Door, language: str, one: str, two: str) -> None:
    door.enrol("ITP-001")
    door.enrol("ITP-002")
    who = person(door, "recorder", language=language)
    assert one in who.open("/find?code=ITP-001")
    assert two in who.open("/find?code=ITP")
