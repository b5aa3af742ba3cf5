"""The event catalogue: CloudEvents in, typed data or one clear refusal out."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from itp_events.errors import BadEvent
from itp_events.events import FACT_TYPES, Completed, Enrolled, Pregnancy, parse_event, parse_recorded
from tests.support.study import Json, Study

pytestmark = pytest.mark.requirement("INT-01")

COMPLETED: Json = {
    "specversion": "1.0",
    "id": "8f1c",
    "source": "redcap",
    "type": "itp.visit.completed",
    "subject": "ITP-007",
    "time": "2026-01-12T10:20:00+08:00",
    "data": {"visit": "INF2", "on": "2026-01-12", "by": "crc-01", "platelets": 41},
}
ONE_OF_EACH: dict[str, Json] = {
    "itp.subject.enrolled": Study().enrolment("2026-01-05").to_json()["data"],
    "itp.visit.booked": {"visit": "INF2", "on": "2026-01-12"},
    "itp.visit.completed": {"visit": "INF2", "on": "2026-01-12", "bleeding": False, "cells_given": 6.1e9},
    "itp.visit.missed": {"visit": "INF2", "reason": "travelling"},
    "itp.visit.unscheduled": {"on": "2026-01-12", "reason": "bleeding"},
    "itp.event.voided": {"event": {"source": "redcap", "id": "8f1c"}, "reason": "wrong subject"},
    "itp.adverse-event.reported": {
        "ae": "AE-1",
        "term": "Fever",
        "grade": 3,
        "serious": True,
        "related": False,
        "on": "2026-01-12",
    },
    "itp.sae.submitted": {"ae": "AE-1", "on": "2026-01-12"},
    "itp.pregnancy.reported": {"on": "2026-01-12", "partner": True},
    "itp.medication.changed": {"drug": "IVIG", "kind": "rescue", "on": "2026-01-12", "detail": "1 g/kg"},
    "itp.contact.attempted": {"on": "2026-01-12", "reached": False},
    "itp.consent.withdrawn": {"on": "2026-01-12", "scope": "treatment", "guardian": True},
    "itp.withdrawal.decided": {
        "criterion": "rescue-medication",
        "decision": "withdraw",
        "decode": "LACK OF EFFICACY",
        "reason": "no response",
        "on": "2026-01-12",
    },
    "itp.subject.died": {"on": "2026-01-12"},
    "itp.escalation.acknowledged": {"visit": "INF2", "until": "2026-01-20"},
    "itp.deviation.assessed": {
        "deviation": "missed/INF2",
        "important": True,
        "cause": "snow",
        "action": "none",
    },
    "itp.contact.agreed": {"agreed": True, "language": "zh-CN", "on": "2026-01-12"},
    "itp.visit.answered": {"visit": "INF2", "on": "2026-01-12", "answer": "not-coming"},
    "itp.consent.given": {"kind": "assent", "version": "2", "on": "2026-01-12"},
    "itp.protocol.assigned": {"version": "2", "reason": "amendment"},
}


def of_type(kind: str) -> Json:
    return {**COMPLETED, "type": kind, "data": {"by": "crc-01", **ONE_OF_EACH[kind]}}


def refused(value: object) -> BadEvent:
    with pytest.raises(BadEvent) as caught:
        parse_event(value)
    assert "\n" not in str(caught.value)
    return caught.value


def without(value: Json, path: str) -> Json:
    """A copy of an event with one dotted field taken out."""
    copy: Json = json.loads(json.dumps(value))
    *parents, last = path.split(".")
    inner = copy
    for parent in parents:
        inner = inner[parent]
    del inner[last]
    return copy


def changed(value: Json, path: str, to: Any) -> Json:
    """A copy of an event with one dotted field set."""
    copy: Json = json.loads(json.dumps(value))
    *parents, last = path.split(".")
    inner = copy
    for parent in parents:
        inner = inner[parent]
    inner[last] = to
    return copy


def test_an_event_is_identified_by_source_and_id_and_carries_an_instant() -> None:
    event = parse_event(COMPLETED)
    assert event.key == ("redcap", "8f1c")
    assert event.time == datetime(2026, 1, 12, 2, 20, tzinfo=UTC)
    assert event.subject == "ITP-007"
    assert isinstance(event.data, Completed)
    assert (event.data.visit, event.data.on, event.data.platelets) == ("INF2", date(2026, 1, 12), 41)


def test_the_catalogue_holds_all_types_of_the_study() -> None:
    assert set(FACT_TYPES) == set(ONE_OF_EACH)


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_every_type_is_read_and_written_back_to_an_equal_event(kind: str) -> None:
    event = parse_event(of_type(kind))
    assert event.type == kind
    written = json.loads(json.dumps(event.to_json()))
    assert parse_event(written) == event
    assert written["data"].items() >= of_type(kind)["data"].items()


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_the_speaker_is_always_required(kind: str) -> None:
    refusal = refused(without(of_type(kind), "data.by"))
    assert (refusal.field, refusal.problem) == ("data.by", "this field is required")


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_an_unknown_field_is_refused_by_name(kind: str) -> None:
    refusal = refused(changed(of_type(kind), "data.wieght_kg", 60))
    assert (refusal.field, refusal.problem.partition(";")[0]) == ("data.wieght_kg", "unknown field")


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(kind: str) -> None:
    assert f"did you mean {kind}" in refused({**COMPLETED, "type": kind[:-1]}).problem
    for name in of_type(kind)["data"]:
        refusal = refused(changed(without(of_type(kind), f"data.{name}"), f"data.{name}s", 1))
        shown = refusal.problem if refusal.field == f"data.{name}s" else f"data.{name}s"
        assert name in shown
    beside = refused({**of_type(kind), "by": "crc-01"})
    assert (beside.field, beside.problem) == ("by", "unknown field; did you mean data.by?")


@pytest.mark.parametrize("bleeding", [True, False, 0, 1, 4])
def test_bleeding_is_a_who_grade_or_whether_there_was_any(bleeding: object) -> None:
    data = parse_event(changed(COMPLETED, "data.bleeding", bleeding)).to_json()["data"]
    assert (data["bleeding"], type(data["bleeding"])) == (bleeding, type(bleeding))


def test_one_maintenance_regimen_or_several_are_kept_as_they_were_stated() -> None:
    one, other = {"drug": "danazol", "stable_weeks": 6.0}, {"drug": "prednisone", "stable_weeks": 4.0}
    for stated in (one, [one, other], []):
        event = parse_event(changed(of_type("itp.subject.enrolled"), "data.screening.maintenance", stated))
        assert event.to_json()["data"]["screening"]["maintenance"] == stated


def test_a_wrong_regimen_is_named_by_its_path() -> None:
    enrolment = of_type("itp.subject.enrolled")
    wrong = {"drug": "danazol", "stable_weeks": -1}
    path = "data.screening.maintenance"
    assert refused(changed(enrolment, path, wrong)).field == f"{path}.stable_weeks"
    assert refused(changed(enrolment, path, [wrong])).field == f"{path}.0.stable_weeks"


def test_a_misspelt_field_is_named_before_the_one_that_is_missing_by_it() -> None:
    misspelt = {**COMPLETED, "data": {"by": "crc-01", "vist": "INF2", "on": "2026-01-12"}}
    refusal = refused(misspelt)
    assert (refusal.field, refusal.problem) == (
        "data.vist",
        "unknown field; did you mean visit? (and 1 more: data.visit)",
    )


def test_an_unknown_field_of_the_envelope_or_deep_inside_is_refused_by_name() -> None:
    assert refused({**COMPLETED, "data_base64": "x"}).field == "data_base64"
    assert refused({**COMPLETED, "Source": "x"}).problem == "unknown field; did you mean source?"
    enrolment = changed(of_type("itp.subject.enrolled"), "data.screening.failed.splenectomie", True)
    refusal = refused(enrolment)
    assert refusal.field == "data.screening.failed.splenectomie"
    assert refusal.problem == "unknown field; did you mean splenectomy?"


FURTHER = {
    "datacontenttype": "Application/JSON; charset=utf-8",
    "dataschema": "https://example.org/visit.json",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "knativearrivaltime": "2026-01-06T02:00:01Z",
    "sampledrate": 5,
    "hot": True,
}


def test_further_attributes_of_a_cloudevent_are_kept_and_mean_nothing() -> None:
    event = parse_event({**COMPLETED, **FURTHER, "partitionkey": None})
    assert event == parse_event(COMPLETED)
    written = event.to_json()
    assert written == parse_event(COMPLETED).to_json() | FURTHER
    assert parse_recorded(json.loads(json.dumps(written))).attributes == event.attributes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("traceparent", {"a": 1}),
        ("traceparent", 1.5),
        ("traceparent", 2**31),
        ("traceparent", "x" * 1001),
        ("traceparent", "\0"),
        ("datacontenttype", "text/xml"),
        ("datacontenttype", 1),
        ("x" * 41, "a"),
    ],
)
def test_an_attribute_that_cloudevents_does_not_know_or_that_is_no_text_is_refused(
    name: str, value: object
) -> None:
    assert refused({**COMPLETED, name: value}).field == name


def test_an_event_carries_no_end_of_attributes() -> None:
    assert "at most 40" in str(refused({**COMPLETED, **{f"x{number}": "a" for number in range(41)}}))


def test_an_unknown_type_is_refused_by_name() -> None:
    refusal = refused({**COMPLETED, "type": "itp.visit.complete"})
    assert refusal.field == "type"
    assert "itp.visit.complete" in str(refusal)


@pytest.mark.parametrize("field", ["specversion", "id", "source", "type", "subject", "time", "data"])
def test_every_field_of_the_envelope_is_required(field: str) -> None:
    assert refused(without(COMPLETED, field)).field == field


def test_null_means_absent() -> None:
    event = parse_event(changed(COMPLETED, "data.platelets", None))
    assert isinstance(event.data, Completed)
    assert event.data.platelets is None
    assert refused(changed(COMPLETED, "data.visit", None)).field == "data.visit"
    enrolment = changed(of_type("itp.subject.enrolled"), "data.screening.maintenance", None)
    found = parse_event(enrolment).data
    assert isinstance(found, Enrolled)
    assert found.screening.maintenance is None
    partner = parse_event(changed(of_type("itp.pregnancy.reported"), "data.partner", None)).data
    assert isinstance(partner, Pregnancy)
    assert partner.partner is False  # as if it were not there


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("specversion", "0.3"),
        ("id", ""),
        ("source", 7),
        ("subject", "../etc"),
        ("subject", "Zhang San"),
        ("time", "2026-01-12"),
        ("time", "2026-01-12T10:20:00"),
        ("time", 1768184400),
        ("data", []),
        ("data.on", "12.01.2026"),
        ("data.on", "2026-1-12"),
        ("data.on", "2026-02-30"),
        ("data.on", "2026-01-12T00:00:00+08:00"),
        ("data.on", 20260112),
        ("data.visit", 2),
        ("data.platelets", -1),
        ("data.platelets", "41"),
        ("data.platelets", float("nan")),
        ("data.platelets", float("inf")),
        ("data.bleeding", "no"),
        ("data.bleeding", 5),
        ("data.weight_kg", 0),
        ("data.weight_kg", 4000),
    ],
)
def test_an_impossible_value_is_refused_and_its_field_named(path: str, value: object) -> None:
    assert refused(changed(COMPLETED, path, value)).field == path


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("itp.adverse-event.reported", "data.grade", 6),
        ("itp.adverse-event.reported", "data.grade", 0),
        ("itp.adverse-event.reported", "data.grade", 2.5),
        ("itp.adverse-event.reported", "data.serious", "yes"),
        ("itp.medication.changed", "data.kind", "forbidden"),
        ("itp.consent.withdrawn", "data.scope", "everything"),
        ("itp.withdrawal.decided", "data.decision", "stop"),
        ("itp.withdrawal.decided", "data.decode", "TIRED"),
        ("itp.subject.enrolled", "data.consent_by", "neighbour"),
        ("itp.subject.enrolled", "data.screening.sex", "f"),
        ("itp.subject.enrolled", "data.screening.age_years", 34.5),
        ("itp.subject.enrolled", "data.screening.pregnancy_test", "none"),
    ],
)
def test_a_word_or_number_outside_the_catalogue_is_refused(kind: str, path: str, value: object) -> None:
    assert refused(changed(of_type(kind), path, value)).field == path


def test_a_refusal_names_the_first_field_and_counts_the_others() -> None:
    two = changed(changed(COMPLETED, "data.platelets", -1), "data.on", "soon")
    message = str(refused(two))
    assert "data.on" in message
    assert "data.platelets" in message
    assert "1 more" in message


@pytest.mark.parametrize("value", [None, [], "event", 7, True])
def test_a_value_that_is_no_object_is_no_event(value: object) -> None:
    assert "JSON object" in str(refused(value))


@pytest.mark.parametrize(
    ("time", "utc"),
    [
        ("2026-01-12T10:20:00+08:00", datetime(2026, 1, 12, 2, 20, tzinfo=UTC)),
        ("2026-01-12T02:20:00Z", datetime(2026, 1, 12, 2, 20, tzinfo=UTC)),
        ("2026-01-12t02:20:00z", datetime(2026, 1, 12, 2, 20, tzinfo=UTC)),
        ("2026-01-11T21:20:00.500-05:00", datetime(2026, 1, 12, 2, 20, 0, 500000, tzinfo=UTC)),
    ],
)
def test_an_instant_may_come_with_any_offset(time: str, utc: datetime) -> None:
    assert parse_event({**COMPLETED, "time": time}).time == utc


def test_the_services_own_decisions_are_read_back_under_its_source_only() -> None:
    notice: Json = {
        "by": "service",
        "notice": "ITP-007/INF2/T/coordinator/2026-01-12",
        "kind": "reminder",
        "visit": "INF2",
        "step": "T",
        "audience": "coordinator",
        "due": "2026-01-12T01:00:00Z",
        "facts": {"target": "2026-01-12"},
    }
    own = {**COMPLETED, "source": "itp", "type": "itp.notice.issued", "data": notice}
    assert parse_event(own).own
    assert refused({**own, "source": "redcap"}).field == "type"
    assert refused({**of_type("itp.visit.completed"), "source": "itp"}).field == "type"


def test_every_decision_the_service_records_can_be_read_back_from_its_log() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    study.hands_over = False
    study.live_until("2026-02-10")
    study.done("INF2", "2026-01-12", at="2026-02-10 11:00")
    study.medication("rescue", "2026-02-10", at="2026-02-10 12:00")
    study.decided("withdraw", "2026-02-10", at="2026-02-10 13:00", criterion="rescue-medication")
    study.live_until("2026-02-11")
    assert {event.type for event in study.log if event.own} >= {
        "itp.notice.issued",
        "itp.notice.withdrawn",
        "itp.visit.missed",
        "itp.event.voided",
        "itp.withdrawal.flagged",
        "itp.subject.exited",
    }
    assert [parse_event(json.loads(json.dumps(event.to_json()))) for event in study.log] == study.log
