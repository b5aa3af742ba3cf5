"""The subject's own page: three answers, nothing of the study, nothing stated twice."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from deployments.api.pages.participant import MOST_A_DAY
from itp_events.events import Event
from tasks.database.queries import history
from tasks.delivery.links import Appointment
from tests.support.api import Door, done, event, served
from tests.support.pages import person
from tests.support.participants import reminding_file

pytestmark = pytest.mark.requirement("SUB-03")

CODE = "ITP-007"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """ITP-007, who agreed to reminders; INF2 is booked for the day after the infusion's seventh."""
    with served(tmp_path / "data", protocol=reminding_file(tmp_path / "mine.yaml")) as door:
        door.enrol(CODE, days_ago=3)
        at = door.now - timedelta(days=2)
        on = (at - timedelta(days=1)).date().isoformat()
        stated = [
            event("contact.agreed", CODE, at, {"agreed": True, "on": on}),
            done("INF1", at, CODE),
            event("visit.booked", CODE, at, {"visit": "INF2", "on": booked(door).isoformat()}),
        ]
        assert door.post(stated).status_code == 201
        yield door


def booked(door: Door) -> date:
    return (door.now + timedelta(days=4)).date()


def path(door: Door, **other: object) -> str:
    about = Appointment(**{"subject": CODE, "visit": "INF2", "day": booked(door)} | other)  # type: ignore[arg-type]
    return door.api.links.answer(about).removeprefix(door.api.links.base)


def press(door: Door, answer: str, **other: object) -> httpx.Response:
    return door.client.post(path(door, **other), data={"answer": answer})


def stated(door: Door) -> list[Event]:
    return [each for each in history(door.study.store, CODE) if each.source == "participant-link"]


def test_opening_the_page_shows_the_day_and_states_nothing(door: Door) -> None:
    page = door.get(path(door, language="en"))
    assert page.status_code == 200
    assert f"{booked(door).day} " in page.text
    assert stated(door) == []


@pytest.mark.requirement("SUB-02")
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_page_and_its_address_name_nothing_of_the_study(door: Door, language: str) -> None:
    shown = [door.get(path(door, language=language))]
    shown += [press(door, answer, language=language) for answer in ("coming", "not-coming", "stop", "other")]
    for answer in shown:
        text = re.sub("<style.*?</style>", "", answer.text, flags=re.DOTALL)
        for word in (CODE, "ITP", "INF", "infusion", "trial", "study", "subject", "输注", "研究", "受试者"):
            assert word not in text, word
        assert f'lang="{language}"' in answer.text
        assert CODE.encode().hex() not in answer.url.path
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("answer", ["coming", "not-coming"])
def test_an_answer_is_recorded_once_however_often_it_is_pressed(door: Door, answer: str) -> None:
    with ThreadPoolExecutor(4) as people:
        answers = list(people.map(lambda _: press(door, answer), range(4)))
    answers.append(press(door, answer))
    assert {each.status_code for each in answers} == {200}
    (event,) = stated(door)
    assert (event.type, event.data.by) == ("itp.visit.answered", "participant")
    assert event.data.model_dump(mode="json")["answer"] == answer


def test_the_subject_may_change_their_mind(door: Door) -> None:
    for answer in ("not-coming", "coming", "not-coming"):
        assert press(door, answer).status_code == 200
    assert len(stated(door)) == 3


def test_who_cannot_come_stands_on_the_page_of_the_day(door: Door) -> None:
    press(door, "not-coming")
    shown = person(door, "recorder").open("/today")
    assert "cannot come on this day: book another" in shown


def test_stop_ends_the_reminders(door: Door) -> None:
    assert "no more reminders" in press(door, "stop", language="en").text
    (event,) = stated(door)
    assert (event.type, event.data.model_dump()["agreed"]) == ("itp.contact.agreed", False)
    assert "out of date" in press(door, "coming", language="en").text
    assert len(stated(door)) == 1


@pytest.mark.parametrize(
    "ends",
    [
        ("visit.booked", {"visit": "INF2", "on": "+5"}),
        ("consent.withdrawn", {"on": "0", "scope": "study"}),
        ("subject.died", {"on": "0"}),
    ],
    ids=["moved", "left", "died"],
)
def test_a_message_that_holds_no_more_is_not_answered(door: Door, ends: tuple[str, dict[str, str]]) -> None:
    kind, data = ends
    on = (door.now + timedelta(days=int(data["on"]))).date()
    at = door.now
    assert door.post(event(kind, CODE, at, data | {"on": min(on, on).isoformat()})).status_code == 201
    assert "out of date" in press(door, "coming", language="en").text
    assert "out of date" in door.get(path(door, language="en")).text
    assert stated(door) == []


def test_a_link_that_is_expired_or_changed_says_so_and_nothing_else(door: Door) -> None:
    old = path(door, day=(door.now - timedelta(days=3)).date())
    assert door.get(old).status_code == 410
    assert door.client.post(old, data={"answer": "coming"}).status_code == 410
    assert door.get(path(door)[:-6] + "AAAAAA").status_code == 403
    assert door.get(path(door, subject="ITP-999")).status_code == 403
    assert stated(door) == []


def test_nobody_can_fill_the_record_by_pressing(door: Door) -> None:
    presses = [press(door, ("coming", "not-coming")[n % 2]) for n in range(MOST_A_DAY + 1)]
    assert presses[-1].status_code == 429
    assert len(stated(door)) == MOST_A_DAY


def test_another_answer_is_no_answer(door: Door) -> None:
    assert press(door, "perhaps").status_code == 422
    assert stated(door) == []
