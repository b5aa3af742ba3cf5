"""Each form records exactly what it says, once; a refusal keeps what was entered."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from itp_events.events import Event, Voided
from tasks.database.queries import all_subjects, history
from tasks.database.schema import cards
from tests.support.api import Door, done, served
from tests.support.pages import Person, person, said

pytestmark = pytest.mark.requirement("PAG-01")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with served(Path(tmp_path_factory.mktemp("pages")) / "data") as door:
        for number in range(1, 36):
            door.enrol(f"ITP-0{number:02}", 3)
        yield door


@pytest.fixture(scope="module")
def coordinator(door: Door) -> Person:
    return person(door, "recorder")


@pytest.fixture(scope="module")
def investigator(door: Door) -> Person:
    return person(door, "investigator", "inv.wu")


def facts(door: Door, code: str) -> list[Event]:
    return [each for each in history(door.study.store, code) if not each.own]


def newest(door: Door, code: str) -> dict[str, Any]:
    event = facts(door, code)[-1]
    assert event.source == "web"
    return {"type": event.type, **event.to_json()["data"]}


def yesterday(door: Door) -> str:
    return f"{(door.now - timedelta(days=1)).date()}"


ON = "(yesterday)"
CASES: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("book", {"visit": "INF1", "on": ON}, {"type": "itp.visit.booked", "visit": "INF1", "on": ON}),
    (
        "done",
        {
            "visit": "INF1",
            "on": ON,
            "weight_kg": "61.5",
            "platelets": "41",
            "bleeding": "2",
            "cells_given": "6.2e9",
        },
        {
            "type": "itp.visit.completed",
            "visit": "INF1",
            "on": ON,
            "weight_kg": 61.5,
            "platelets": 41,
            "bleeding": 2,
            "cells_given": 6200000000,
            "confirmed": False,
        },
    ),
    (
        "missed",
        {"visit": "INF1", "reason": "旅行"},
        {"type": "itp.visit.missed", "visit": "INF1", "reason": "旅行"},
    ),
    (
        "unscheduled",
        {"on": ON, "reason": "bleeding"},
        {"type": "itp.visit.unscheduled", "on": ON, "reason": "bleeding"},
    ),
    (
        "adverse-event",
        {"ae": "AE-1", "term": "fever", "on": ON, "grade": "2", "serious": "no", "related": "yes"},
        {
            "type": "itp.adverse-event.reported",
            "ae": "AE-1",
            "term": "fever",
            "on": ON,
            "grade": 2,
            "serious": False,
            "related": True,
        },
    ),
    ("contact", {"on": ON, "reached": "no"}, {"type": "itp.contact.attempted", "on": ON, "reached": False}),
    (
        "medication",
        {"kind": "rescue", "drug": "IVIG", "on": ON, "detail": "1 g/kg"},
        {"type": "itp.medication.changed", "kind": "rescue", "drug": "IVIG", "on": ON, "detail": "1 g/kg"},
    ),
    ("pregnancy", {"on": ON}, {"type": "itp.pregnancy.reported", "on": ON, "partner": False}),
    (
        "consent-given",
        {"kind": "consent", "version": "2.0", "on": ON},
        {"type": "itp.consent.given", "kind": "consent", "version": "2.0", "on": ON},
    ),
    (
        "consent-withdrawn",
        {"on": ON, "scope": "treatment", "guardian": "yes"},
        {"type": "itp.consent.withdrawn", "on": ON, "scope": "treatment", "guardian": True},
    ),
    ("death", {"on": ON}, {"type": "itp.subject.died", "on": ON}),
]


@pytest.mark.parametrize(("number", "case"), [*enumerate(CASES, 1)], ids=[case[0] for case in CASES])
def test_a_form_records_exactly_what_it_says(
    door: Door, coordinator: Person, number: int, case: tuple[str, dict[str, str], dict[str, Any]]
) -> None:
    form, entered, recorded = case
    code, day = f"ITP-0{number:02}", yesterday(door)
    values = {name: day if value == ON else value for name, value in entered.items()}
    page = coordinator.answered(coordinator.send(f"/s/{code}/{form}", **values))
    assert "Recorded" in page
    wanted = {name: day if value == ON else value for name, value in recorded.items()}
    assert newest(door, code) == {**wanted, "by": "crc.li"}


def test_an_enrolment_is_recorded_with_its_screening(door: Door, coordinator: Person) -> None:
    day = yesterday(door)
    coordinator.open("/enrol")
    answer = coordinator.again("/enrol", **eligible("ITP-101", day))
    assert "ITP-101" in coordinator.answered(answer)
    recorded = newest(door, "ITP-101")
    assert recorded["screening"]["failed"] == {
        "first_line": True, "second_line": True, "rituximab": True, "splenectomy": False
    }  # fmt: skip
    assert recorded["screening"]["maintenance"] == {"drug": "danazol", "stable_weeks": 6}
    assert (recorded["weight_kg"], recorded["on"], recorded["by"]) == (61.5, day, "crc.li")


def eligible(code: str, day: str, **other: str) -> dict[str, str]:
    return {
        "subject": code,
        "site": "01",
        "on": day,
        "consent_on": day,
        "consent_by": "subject",
        "weight_kg": "61.5",
        "screening__age_years": "34",
        "screening__sex": "female",
        "screening__itp_months": "14",
        "screening__failed__first_line": "yes",
        "screening__failed__second_line": "yes",
        "screening__failed__rituximab": "yes",
        "screening__failed__splenectomy": "no",
        "screening__maintenance__drug": "danazol",
        "screening__maintenance__stable_weeks": "6",
        "screening__alt_x_uln": "0.8",
        "screening__ast_x_uln": "0.9",
        "screening__bilirubin_x_uln": "0.7",
        "screening__creatinine_x_uln": "0.9",
        "screening__childbearing": "yes",
        "screening__pregnancy_test": "negative",
        "screening__breastfeeding": "no",
        "screening__contraception": "yes",
        **other,
    }


def test_an_enrolment_that_fails_criteria_names_each_and_keeps_what_was_entered(
    door: Door, coordinator: Person
) -> None:
    coordinator.open("/enrol")
    failing = eligible("ITP-102", yesterday(door), screening__age_years="91", screening__bilirubin_x_uln="9")
    answer = coordinator.again("/enrol", **failing)
    assert answer.status_code == 409
    text = said(answer)
    assert "age 91 years" in text
    assert "bilirubin 9" in text
    assert 'value="ITP-102"' in answer.text
    assert 'value="danazol"' in answer.text


def test_every_wrong_field_is_named_and_linked_and_the_rest_is_kept(door: Door, coordinator: Person) -> None:
    answer = coordinator.send("/s/ITP-020/done", visit="INF1", on="", weight_kg="heavy", platelets="-4")
    assert answer.status_code == 422
    for path, words in (("on", "is needed"), ("weight_kg", "must be a number"), ("platelets", "at least 0")):
        assert f'<a href="#{path}">' in answer.text
        assert words in answer.text
    assert 'value="heavy"' in answer.text
    assert len(facts(door, "ITP-020")) == 1


def test_a_form_pressed_twice_or_sent_again_after_going_back_counts_once(
    door: Door, coordinator: Person
) -> None:
    day = yesterday(door)
    first = coordinator.send("/s/ITP-021/contact", on=day, reached="no")
    second = coordinator.again("/s/ITP-021/contact", on=day, reached="no")
    changed = coordinator.again("/s/ITP-021/contact", on=day, reached="yes")
    assert "said=recorded" in first.headers["location"]
    assert "counts once" in coordinator.answered(second)
    assert "what it said then stands" in coordinator.answered(changed)
    assert len(facts(door, "ITP-021")) == 2
    assert newest(door, "ITP-021")["reached"] is False


def test_of_two_people_at_the_same_moment_the_second_reads_who_was_first(
    door: Door, coordinator: Person
) -> None:
    other = person(door, "recorder", "crc.he", "zh-CN")
    other.open("/s/ITP-022/done")
    coordinator.send("/s/ITP-022/done", visit="INF1", on=yesterday(door))
    answer = other.again("/s/ITP-022/done", visit="INF1", on=yesterday(door))
    assert answer.status_code == 409
    assert "crc.li 刚刚已录入相同内容" in said(answer)
    differing = other.again("/s/ITP-022/done", visit="INF1", on=yesterday(door), platelets="41")
    assert "INF1 已录入完成于" in said(differing)
    assert len(facts(door, "ITP-022")) == 2


SAME: list[tuple[str, dict[str, str]]] = [
    ("book", {"visit": "INF1", "on": ON}),
    ("contact", {"on": ON, "reached": "yes"}),
    (
        "adverse-event",
        {"ae": "AE-1", "term": "fever", "on": ON, "grade": "2", "serious": "no", "related": "no"},
    ),
    ("death", {"on": ON}),
]


@pytest.mark.parametrize(("number", "case"), [*enumerate(SAME, 1)], ids=[case[0] for case in SAME])
def test_what_two_people_state_at_the_same_moment_is_stated_once(
    door: Door, number: int, case: tuple[str, dict[str, str]]
) -> None:
    form, entered = case
    code, path = f"ITP-03{number}", f"/s/ITP-03{number}/{form}"
    values = {name: yesterday(door) if value == ON else value for name, value in entered.items()}
    people = [person(door, "recorder", each, "zh-CN") for each in ("crc.li", "crc.he")]
    for each in people:
        each.open(path)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda each: each.again(path, **values), people))
    assert sorted(each.status_code for each in answers) == [303, 409]
    refused = next(each for each in answers if each.status_code == 409)
    assert "刚刚已录入相同内容，只计一次" in said(refused)
    assert len(facts(door, code)) == 2


def test_the_same_may_be_stated_again_after_it_was_taken_back(door: Door, coordinator: Person) -> None:
    code, other = "ITP-035", person(door, "recorder", "crc.he")
    contact = {"on": yesterday(door), "reached": "no"}
    page = coordinator.answered(coordinator.send(f"/s/{code}/contact", **contact))
    path = next(part.split('"')[0] for part in page.split('href="')[1:] if "/correct/" in part)
    coordinator.send(path, **contact, alone="yes", why="another subject was meant")
    assert "Recorded" in other.answered(other.send(f"/s/{code}/contact", **contact))


def test_a_subject_that_left_meanwhile_is_told_in_a_sentence(door: Door, coordinator: Person) -> None:
    coordinator.open("/s/ITP-023/book")
    form = dict(coordinator.last)
    coordinator.send("/s/ITP-023/death", on=yesterday(door))
    coordinator.last = form
    answer = coordinator.again("/s/ITP-023/book", visit="INF1", on=f"{door.now.date()}")
    assert answer.status_code == 409
    assert "ended on" in said(answer)


def test_a_corrected_date_is_a_void_and_a_restatement(door: Door, coordinator: Person) -> None:
    code, day = "ITP-024", yesterday(door)
    early = f"{(door.now - timedelta(days=2)).date()}"
    coordinator.send(f"/s/{code}/done", visit="INF1", on=day, platelets="41")
    page = coordinator.open(f"/s/{code}")
    path = next(part.split('"')[0] for part in page.split('href="')[1:] if "/correct/" in part)
    assert f'value="{day}"' in coordinator.open(path)
    without = coordinator.again(path, visit="INF1", on=early, platelets="41")
    assert without.status_code == 422
    coordinator.open(path)
    answer = coordinator.again(path, visit="INF1", on=early, platelets="41", why="typed the wrong day")
    assert "Recorded" in coordinator.answered(answer)
    void, again = facts(door, code)[-2:]
    assert isinstance(void.data, Voided)
    assert void.data.reason == "typed the wrong day"
    assert newest(door, code)["on"] == early
    assert again.restates == facts(door, code)[1].key
    twice = coordinator.again(path, visit="INF1", on=early, platelets="41", why="typed the wrong day")
    assert twice.status_code in (303, 404, 409)
    assert len(facts(door, code)) == 4


def test_an_investigator_decides_seeing_the_facts_and_signs(door: Door, investigator: Person) -> None:
    code, day = "ITP-025", yesterday(door)
    report = {
        "ae": "AE-1",
        "term": "anaphylaxis",
        "on": day,
        "grade": "3",
        "serious": "yes",
        "related": "yes",
    }
    investigator.send(f"/s/{code}/adverse-event", **report)
    page = investigator.open(f"/s/{code}/decide")
    assert "anaphylaxis" in page
    assert "3, severe" in page
    assert 'value="continue"' in page
    assert 'value="complete"' not in page
    given = {"decision": "stop-treatment", "reason": "not safe", "on": day}
    unsigned = investigator.again(f"/s/{code}/decide", **given, token="wrong")
    assert unsigned.status_code == 401
    assert "not safe" in unsigned.text
    answer = investigator.again(f"/s/{code}/decide", **given, token=investigator.token)
    assert "Recorded" in investigator.answered(answer)
    recorded = newest(door, code)
    assert recorded == {"type": "itp.withdrawal.decided", "by": "inv.wu", **given}


def test_a_deviation_is_assessed_by_the_investigator_alone(
    door: Door, coordinator: Person, investigator: Person
) -> None:
    code = "ITP-026"
    door.post(done("INF1", door.now, code))
    door.post(done("INF3", door.now, code, confirmed=True))
    assert coordinator.client.get(f"/s/{code}/assess").status_code == 403
    assert investigator.open("/deviations")


def test_a_submission_offers_the_reported_events(door: Door, coordinator: Person) -> None:
    code, day = "ITP-027", yesterday(door)
    report = {"ae": "AE-1", "term": "fever", "on": day, "grade": "3", "serious": "yes", "related": "no"}
    coordinator.send(f"/s/{code}/adverse-event", **report)
    assert "report of serious adverse event AE-1" in coordinator.open("/today")
    assert '<option value="AE-1" selected>' in coordinator.open(f"/s/{code}/submission")
    assert "Recorded" in coordinator.answered(coordinator.again(f"/s/{code}/submission", ae="AE-1", on=day))
    assert newest(door, code)["type"] == "itp.sae.submitted"


def test_the_page_of_the_day_knows_every_subject_also_those_whose_cards_are_not_made_yet(
    door: Door, coordinator: Person
) -> None:
    with door.api.study.store.writing() as connection:
        connection.execute(cards.delete())
    listed = {row.code for row in all_subjects(door.api.study.store)}
    assert len(listed) > 20
    page = coordinator.open("/find")
    assert {code for code in listed if code in page} == listed
