"""The link in every notice: one page, for one subject and one purpose, for a time."""

import re
from datetime import timedelta

import pytest

from tasks.delivery.links import Matter
from tests.support.api import Door
from tests.support.pages import person, said
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("PAG-01")


def link(door: Door, matter: Matter, days: int = 1) -> str:
    return door.api.links.open(matter, door.now + timedelta(days=days)).removeprefix(door.api.links.base)


VISIT = Matter("ITP-001", "INF1", "T")


def test_a_reminder_carries_a_link_and_three_taps_lead_to_booked(door: Door, receiver: Receiver) -> None:
    door.enrol()
    messages = wait_until(lambda: receiver.at("coordinator"), "a reminder to the coordinator")
    path = re.search(r"http://[^ ]+(/n/\S+)", messages[0].body["message"])
    assert path
    who = person(door, "recorder")
    first = who.open(path[1])
    assert "Nothing is recorded about it" in first
    assert re.search(r"<p>.*: target .*, window .* to .*</p>", first)
    second = re.search(r'href="(/s/ITP-001/book\?visit=INF1)"', first)
    assert second
    form = who.open(second[1])
    on = re.search(r'name="on"[^>]*value="([-\d]+)"', form)
    assert on, "the form proposes a date"
    answer = who.again("/s/ITP-001/book", visit="INF1", on=on[1])
    assert "Recorded" in who.answered(answer)
    taken = who.open(path[1])
    assert "by crc.li" in taken
    assert re.search(r"<p>.*: booked for .*</p>", taken)


def test_a_link_opens_without_signing_in_and_shows_no_result(door: Door) -> None:
    door.enrol()
    who = person(door, "recorder")
    day = f"{(door.now - timedelta(days=1)).date()}"
    who.send("/s/ITP-001/done", visit="INF1", on=day, platelets="41")
    who.client.cookies.clear()
    page = who.open(link(door, VISIT))
    assert "by crc.li" in page
    assert "window" not in page
    assert "41" not in re.sub(r"<[^>]+>|/n/\S+", "", page)
    assert who.client.get("/s/ITP-001").status_code == 303


def test_an_expired_or_changed_link_is_a_sentence(door: Door) -> None:
    door.enrol()
    expired = door.get(link(door, VISIT, days=-1))
    assert expired.status_code == 410
    assert "has expired" in said(expired)
    changed = door.get(link(door, VISIT)[:-3] + "abc")
    assert changed.status_code == 403
    assert door.get(link(door, VISIT).replace("/n/", "/acknowledge/")).status_code == 403


def test_the_notice_of_an_adverse_event_leads_to_its_submission(door: Door) -> None:
    door.enrol()
    assert (
        "/s/ITP-001/submission?ae=AE-1" in door.get(link(door, Matter("ITP-001", None, "sae", "AE-1"))).text
    )


def offered(page: str) -> list[str]:
    """The actions of the page of a notice in their order, the primary one marked with a star."""
    part = page.partition('<div class="actions">')[2].partition("</div>")[0]
    found = re.findall(r'<a class="button( second)?"[^>]*>([^<]*)<span', part)
    return [text if second else f"*{text}" for second, text in found]


@pytest.mark.parametrize(
    ("language", "free", "booked", "asked", "correct"),
    [
        ("en", ["*Book", "Done", "Missed"], ["*Done", "Move", "Missed"], "What happened?", "*Correct"),
        (
            *("zh-CN", ["*预约", "已完成", "未进行"], ["*已完成", "改期", "未进行"]),
            *("实际情况如何？", "*更正"),
        ),
    ],
)
@pytest.mark.parametrize("form", ["done", "missed"])
def test_what_the_page_of_a_notice_offers_follows_from_what_is_recorded(
    door: Door, language: str, free: list[str], booked: list[str], asked: str, correct: str, form: str
) -> None:
    door.enrol()
    who = person(door, "recorder", language=language)
    notice, day = link(door, VISIT), f"{(door.now - timedelta(days=1)).date()}"
    page = who.open(notice)
    assert offered(page) == free
    assert asked in page
    who.answered(who.send("/s/ITP-001/book", visit="INF1", on=day))
    assert offered(who.open(notice)) == booked
    values = {"on": day} if form == "done" else {"reason": "travel"}
    who.answered(who.send(f"/s/ITP-001/{form}", visit="INF1", **values))
    page = who.open(notice)
    assert offered(page) == [correct]
    assert asked not in page
    to = re.search(r'href="(/s/ITP-001/correct/\d+)"', page)
    assert to
    assert 'name="why"' in who.open(to[1])


@pytest.mark.parametrize(
    ("language", "kind", "legend"),
    [("en", "Booked, ", "† assumption, to be confirmed by the site"), ("zh-CN", "已预约，", "† 为假定")],
)
def test_the_page_of_a_notice_explains_its_signs_and_writes_as_its_language_does(
    door: Door, language: str, kind: str, legend: str
) -> None:
    door.enrol()
    who = person(door, "recorder", language=language)
    pages = [who.open(link(door, Matter("ITP-001", code, "T"))) for code in door.study.protocol.by_code]
    assert any(legend in page for page in pages)
    assert all(legend in page for page in pages if "†" in page)
    who.answered(who.send("/s/ITP-001/book", visit="INF1", on=f"{door.now.date()}"))
    assert kind in who.open(link(door, VISIT))
