"""POST /events: once, checked, answered."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import URL

from tasks import advance as advancing
from tasks.database.custody import Move, begin_move
from tasks.database.queries import all_subjects, history
from tests.support.api import Door, done, enrolment, event, served
from tests.support.postgres import shut
from tests.support.receiver import Receiver

pytestmark = pytest.mark.requirement("API-01")

PROBLEM = "application/problem+json"


def facts(door: Door, code: str = "ITP-001") -> list[str]:
    return [each.type for each in history(door.study.store, code) if not each.own]


def test_an_event_is_recorded_once_and_known_from_then_on(door: Door) -> None:
    stated = enrolment("ITP-001", door.now)

    first, again = door.post(stated), door.post(stated)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["outcome"] == "recorded"
    assert first.json()["state"] == "INF1 window open"
    assert again.json() == first.json() | {"status": 200, "outcome": "known"}
    assert facts(door) == ["itp.subject.enrolled"]


def test_an_enrolment_that_fails_criteria_is_a_conflict_that_lists_each_of_them(door: Door) -> None:
    stated = enrolment("ITP-001", door.now)
    stated["data"]["screening"] |= {"age_years": 80, "ast_x_uln": 3.4}

    answer = door.post(stated)

    assert (answer.status_code, answer.headers["content-type"]) == (409, PROBLEM)
    assert answer.json()["type"] == "urn:itp:problem:eligibility"
    assert len(answer.json()["unmet"]) == 2
    assert all_subjects(door.study.store) == []


def test_what_is_against_the_studys_order_is_a_conflict_that_names_the_rule(door: Door) -> None:
    door.enrol()
    answer = door.post(done("INF3", door.now))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:itp:problem:anchor-first")
    assert answer.json()["detail"] == "INF3 cannot be recorded before INF2 is completed or missed"


@pytest.mark.requirement("INT-01")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"data": {"visit": "INF1", "on": "2026-13-01", "by": "crc-01"}}, "data.on"),
        ({"data": {"visit": "INF1", "on": "2026-01-01"}}, "data.by"),
        ({"type": "itp.visit.dreamt"}, "type"),
        ({"time": "2026-01-01T10:00:00"}, "time"),
        ({"time": "0001-01-01T00:00:00+08:00"}, "time"),
        ({"colour_of": "red"}, "colour_of"),
        ({"data": {"visit": "INF1", "on": "0001-01-01", "by": "crc-01"}}, "data.on"),
        ({"id": "a\u0000b"}, "id"),
    ],
)
def test_what_is_malformed_is_answered_with_the_field(door: Door, change: dict[str, Any], field: str) -> None:
    enrolled = door.enrol()
    stated = event("visit.completed", "ITP-001", door.now, {"visit": "INF1", "on": enrolled["data"]["on"]})

    answer = door.client.post("/events", content=json.dumps(stated | change))

    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert answer.json()["field"] == field


@pytest.mark.parametrize(
    "body",
    [
        '{"id": "\\ud800"}',
        "",
        "{",
        "[]",
        "7",
        "[NaN]",
        '{"a": Infinity}',
        '{"id": 1, "id": 2}',
        "[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_json_or_no_event_is_malformed(door: Door, body: str | bytes) -> None:
    answer = door.client.post("/events", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)


def test_an_unknown_visit_is_answered_with_the_field(door: Door) -> None:
    door.enrol()
    answer = door.post(done("INF99", door.now))
    assert (answer.status_code, answer.json()["field"]) == (422, "data.visit")


def test_the_events_of_an_array_are_answered_one_by_one(door: Door) -> None:
    enrolled = door.enrol()
    given = done("INF1", door.now)

    answer = door.post([given, enrolled, {"id": "x", "source": "y"}, done("INF3", door.now)])

    assert answer.status_code == 207
    assert [each["status"] for each in answer.json()] == [201, 200, 422, 409]
    assert answer.json()[2]["id"] == "x"
    assert facts(door) == ["itp.subject.enrolled", "itp.visit.completed"]


def test_an_array_whose_events_have_one_answer_has_that_status(door: Door) -> None:
    stated = [enrolment(f"ITP-00{number}", door.now) for number in (1, 2)]
    assert door.post(stated).status_code == 201
    assert door.post(stated).status_code == 200


def test_too_much_at_once_is_refused_whole(door: Door) -> None:
    stated = enrolment("ITP-001", door.now)
    assert door.post([stated] * 1001).status_code == 413
    assert door.client.post("/events", content=b" " * (2 * 1024 * 1024 + 1)).status_code == 413
    assert all_subjects(door.study.store) == []


def test_a_form_is_no_event(door: Door) -> None:
    assert door.client.post("/events", data={"a": "b"}).status_code == 415


def test_events_are_utf_8_text(door: Door) -> None:
    stated = json.dumps(enrolment("ITP-001", door.now), ensure_ascii=False)
    for charset, status in (("gbk", 415), ("utf-16", 415), ("UTF-8", 201)):
        how = {"content-type": f'application/json; charset="{charset}"'}
        assert door.client.post("/events", content=stated.encode(), headers=how).status_code == status
    answer = door.client.post("/events", content=stated.encode("utf-16"))
    assert (answer.status_code, answer.json()["detail"]) == (422, "the body is not UTF-8 text")


@pytest.mark.requirement("INT-04")
def test_the_same_event_sent_a_hundred_times_in_parallel_counts_once(
    tmp_path: Path, database_url: str
) -> None:
    with served(tmp_path, database_url=database_url) as door:
        stated = enrolment("ITP-001", door.now)
        with ThreadPoolExecutor(20) as pool:
            statuses = list(pool.map(lambda _: door.post(stated).status_code, range(100)))

        assert sorted(statuses) == [200] * 99 + [201]
        assert facts(door) == ["itp.subject.enrolled"]


def test_of_two_conflicting_events_in_parallel_one_wins(tmp_path: Path, database_url: str) -> None:
    with served(tmp_path, database_url=database_url) as door:
        for number in range(10):
            code = f"ITP-{number:03}"
            door.enrol(code)
            rivals = [done("INF1", door.now, code, platelets=each) for each in (10, 20)]
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(door.post, rivals))

            lost = max(answers, key=lambda answer: answer.status_code)
            assert sorted(answer.status_code for answer in answers) == [201, 409]
            assert lost.json()["type"] == "urn:itp:problem:recorded-once"
            assert facts(door, code) == ["itp.subject.enrolled", "itp.visit.completed"]


def test_an_alert_leaves_while_prefect_is_silent(door: Door, receiver: Receiver) -> None:
    door.enrol()
    data = {"ae": "AE-1", "term": "bleeding", "grade": 4, "serious": True, "related": False}
    on = (door.now).date().isoformat()

    door.post(event("adverse-event.reported", "ITP-001", door.now, data | {"on": on}))

    assert receiver.wait_for(1, "sponsor", timeout=5)
    assert receiver.wait_for(1, "investigator", timeout=5)


def test_an_alert_in_a_batch_leaves_while_the_subjects_behind_it_are_recorded(
    door: Door, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.enrol("ITP-001")
    door.enrol("ITP-002")
    record = advancing.record

    def waits_for_the_alert(store: Any, protocol: Any, events: Any, *more: Any) -> Any:
        if any(each.subject == "ITP-002" for each in events):
            assert receiver.wait_for(1, "sponsor", timeout=20)
        return record(store, protocol, events, *more)

    monkeypatch.setattr(advancing, "record", waits_for_the_alert)
    data = {"ae": "AE-1", "term": "bleeding", "grade": 4, "serious": True, "related": False}
    data |= {"on": door.now.date().isoformat()}
    stated = [event("adverse-event.reported", code, door.now, data) for code in ("ITP-002", "ITP-001")]
    answer = door.post([stated[1], stated[0], done("INF3", door.now)])
    assert [each["status"] for each in answer.json()] == [201, 201, 409]


def test_a_page_of_another_site_cannot_make_a_browser_record(door: Door) -> None:
    answer = door.post(enrolment("ITP-001", door.now), headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert all_subjects(door.study.store) == []


def test_a_database_that_does_not_answer_is_told_in_one_line_and_asked_again(
    tmp_path: Path, postgres: URL, postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path, database_url=postgresql_url) as door:
        stated = enrolment("ITP-001", door.now)
        with shut(postgres, postgresql_url):
            answer = door.post(stated)
        assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
        assert answer.headers["Retry-After"]
        assert door.post(stated).status_code == 201
    assert "POST /events: the database does not answer: " in caplog.text
    assert "Traceback" not in caplog.text


STRUCTURED = (
    "application/cloudevents+json",
    'Application/CloudEvents+JSON; Charset="UTF-8"',
    "application/json",
)


@pytest.mark.parametrize("media", STRUCTURED)
def test_a_cloudevent_is_taken_with_whatever_attributes_it_has(door: Door, media: str) -> None:
    further = {"dataschema": "https://example.org/visit.json", "traceparent": "00-4b-00-01", "sequence": "5"}
    stated = enrolment("ITP-001", door.now) | further
    sent = [
        door.client.post("/events", content=json.dumps(each), headers={"content-type": media})
        for each in (
            stated,
            stated | {"traceparent": "another", "knativearrivaltime": "2026-01-06T02:00:01Z"},
        )
    ]
    assert [answer.status_code for answer in sent] == [201, 200]
    [kept] = [each for each in history(door.study.store, "ITP-001") if not each.own]
    assert dict(kept.attributes) == further


def test_a_batch_is_taken_by_its_media_type(door: Door) -> None:
    batch = [enrolment(code, door.now) for code in ("ITP-001", "ITP-002")]
    headers = {"content-type": "application/cloudevents-batch+json; charset=utf-8"}
    answer = door.client.post("/events", content=json.dumps(batch), headers=headers)
    assert [each["status"] for each in answer.json()] == [201, 201]


def in_headers(stated: dict[str, Any]) -> dict[str, str]:
    """The attributes of an event in binary mode."""
    return {f"ce-{name}": quote(value) for name, value in stated.items() if name != "data"}


def test_an_event_in_binary_mode_is_the_same_event(door: Door) -> None:
    stated = enrolment("ITP-001", door.now) | {"source": "研究 hub", "traceparent": "00-4b-00-01"}
    headers = in_headers(stated) | {"content-type": "application/json; charset=utf-8"}
    binary = door.client.post("/events", content=json.dumps(stated["data"]), headers=headers)
    assert (binary.status_code, binary.json()["source"]) == (201, "研究 hub")
    assert door.post(stated).status_code == 200
    without = door.client.post(
        "/events", content=json.dumps(stated["data"]), headers={"ce-specversion": "1.0"}
    )
    assert (without.status_code, without.json()["field"]) == (422, "id")


def test_headers_of_a_structured_event_say_nothing(door: Door) -> None:
    stated = enrolment("ITP-001", door.now)
    headers = in_headers(enrolment("ITP-002", door.now)) | {"content-type": "application/cloudevents+json"}
    answer = door.client.post("/events", content=json.dumps(stated), headers=headers)
    assert (answer.status_code, answer.json()["subject"]) == (201, "ITP-001")


def test_an_unknown_type_field_or_subject_is_answered_with_the_nearest_known(door: Door) -> None:
    stated = enrolment("ITP-001", door.now)
    misspelt = door.post(stated | {"type": "itp.subject.enroled"}).json()["detail"]
    assert "; did you mean itp.subject.enrolled" in misspelt
    wrong = stated | {"data": stated["data"] | {"wieght_kg": 60}}
    assert door.post(wrong).json()["detail"] == "data.wieght_kg: unknown field; did you mean weight_kg?"
    door.post(stated)
    assert door.get("/subjects/itp-01").json()["detail"] == "itp-01 is not enrolled; did you mean ITP-001?"
    assert door.get("/subjects/ITP-404").json()["detail"] == "ITP-404 is not enrolled"


def test_a_door_that_is_open_while_its_study_moves_says_where_the_study_is(door: Door) -> None:
    door.enrol()
    with door.study.store.writing() as connection:
        begin_move(connection, Move("m-1", "moved", "postgresql://elsewhere/study", door.now))
    answer = door.post(done("INF1", door.now))
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("this study was moved to postgresql://elsewhere/study on ")
