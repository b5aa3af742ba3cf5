"""Another version of the protocol in a running study: what it judges, what it asks for, what stays."""

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itp_events.errors import BadInput, Refused
from itp_events.events import Event, NoticeWithdrawn
from itp_events.protocol.model import Protocol
from tests.support.study import Json, Study, altered, issued

pytestmark = pytest.mark.requirement("AMD-01")


def _second(data: Json) -> None:
    """INF3 three weeks after INF2, a wider window of INF2, a visit less, a consent anew."""
    data["version"] = "2"
    data["amendment"] = {
        "effective_on": "2026-01-10",
        "consents": ["consent", "assent"],
        "source": "synopsis",
    }
    data["alerts"]["re-consent"] = {
        "audiences": ["coordinator"],
        "every_working_days": 2,
        "source": "assumption",
    }
    data["visits"][1] |= {"after": "P9D"}
    data["visits"][2] |= {"target": "P3W"}
    data["visits"] = [visit for visit in data["visits"] if visit["code"] != "FU-M2"]
    data["withdrawal"][3]["grade"] = 3


def versions() -> Protocol:
    """Version 1, with 2 beside it."""
    first = Study().protocol
    return altered(_second).beside([first, altered(_second)])


def amended(*visits: str, protocol: Protocol | None = None, **data: object) -> Study:
    """A subject of 5 January 2026 under version 1, with some visits done on their targets."""
    study = Study(protocol=protocol or versions())
    study.enrol("2026-01-05", **data)
    study.decide("2026-01-05 12:00")
    study.on_target(*visits)
    return study


def assigned(study: Study, at: str, version: str = "2", **data: object) -> Event:
    """The subject is assigned to a version."""
    return study.state("itp.protocol.assigned", None, at, version=version, reason="amendment 1", **data)


def test_a_subject_is_enrolled_under_the_version_in_force_on_that_day() -> None:
    """Version 2 is in force from 10 January on."""
    for on, version in (("2026-01-09", "1"), ("2026-01-10", "2")):
        study = Study(protocol=versions())
        study.enrol(on)
        study.decide(f"{on} 12:00")
        assert study.plan("2026-02-01")["protocol"]["version"] == version


def test_no_version_in_force_refuses_the_enrolment() -> None:
    study = Study(protocol=altered(_second))
    with pytest.raises(Refused, match="no protocol version is in force on 2026-01-05"):
        study.enrol("2026-01-05")


def test_a_version_is_assigned_from_the_day_on_which_it_is_in_force() -> None:
    study = amended("INF1")
    with pytest.raises(Refused, match="is in force from 10 Jan 2026"):
        assigned(study, "2026-01-09 23:00")
    assigned(study, "2026-01-10 00:30")
    with pytest.raises(Refused, match="follows protocol version '2' already"):
        assigned(study, "2026-01-11")


def test_a_visit_done_before_keeps_the_version_that_held() -> None:
    """INF2 four days late is late by version 1, although version 2 would have allowed it."""
    study = amended("INF1")
    study.done("INF2", "2026-01-17")
    assigned(study, "2026-01-19")
    plan = study.plan("2026-01-20")
    assert (plan.visit("INF2")["deviation_days"], plan.visit("INF2")["version"]) == (4, "1")
    assert (plan.window("INF3")[1], plan.visit("INF3")["version"]) == ("2026-02-07", "2")


def test_a_visit_done_before_and_entered_after_is_judged_by_the_version_that_held() -> None:
    study = amended("INF1")
    assigned(study, "2026-01-19")
    assert study.plan("2026-01-20").window("INF2")[2] == "2026-01-21"
    study.done("INF2", "2026-01-17", at="2026-01-20")
    assert study.plan("2026-01-20 12:00").visit("INF2")["deviation_days"] == 4


def test_on_the_day_of_the_assignment_the_instants_decide() -> None:
    """What was recorded before the assignment is not judged anew, what is recorded after it is."""
    for at, deviation in (("2026-01-19 09:00", 6), ("2026-01-19 15:00", 0)):
        study = amended("INF1")
        if at.endswith("15:00"):
            assigned(study, "2026-01-19 12:00")
        study.done("INF2", "2026-01-19", at=at)
        if at.endswith("09:00"):
            assigned(study, "2026-01-19 12:00")
        assert study.plan("2026-01-20").visit("INF2")["deviation_days"] == deviation


def test_a_visit_of_the_old_version_stays_when_it_was_settled_and_is_gone_else() -> None:
    study = amended("INF1", "INF2", "INF3", "INF4", "INF5", "FU-D14", "FU-M1")
    without = assigned(study, "2026-04-01")
    assert "FU-M2" not in study.plan("2026-04-02").of("status")
    study.voided(without, "2026-04-03")
    study.on_target("FU-M2")
    assigned(study, "2026-05-20")
    plan = study.plan("2026-05-21")
    assert (plan.visit("FU-M2")["status"], plan.visit("FU-M2")["version"]) == ("completed", "1")
    assert list(plan.of("status"))[7:9] == ["FU-M2", "FU-M3"]


def test_a_visit_that_only_the_old_version_has_may_be_entered_late() -> None:
    """It was done before the assignment; a date after it is refused, since the visit is no more."""
    study = amended("INF1", "INF2", "INF3", "INF4", "INF5", "FU-D14", "FU-M1")
    assigned(study, "2026-05-15")
    with pytest.raises(BadInput, match="unknown visit 'FU-M2'"):
        study.done("FU-M2", "2026-05-16")
    study.done("FU-M2", "2026-05-02", at="2026-05-16")
    assert study.plan("2026-05-17").visit("FU-M2")["status"] == "completed"


def test_a_miss_of_the_service_is_judged_by_the_version_that_held() -> None:
    """By version 1 INF2 is missed on 2 February; version 2, assigned after that, does not open it again."""
    study = amended("INF1")
    study.live_until("2026-02-05")
    assigned(study, "2026-02-06")
    assert study.plan("2026-02-07").visit("INF2")["status"] == "missed"
    assert not [event for event in study.decide("2026-02-07").events if event.type == "itp.event.voided"]


def test_a_void_of_the_assignment_resumes_the_old_version() -> None:
    study = amended("INF1", "INF2")
    before = study.plan("2026-01-20")
    study.voided(assigned(study, "2026-01-19"), "2026-01-19 12:00")
    after = study.plan("2026-01-20")
    assert before == after


def test_notices_for_dates_that_no_longer_hold_are_withdrawn_and_what_was_sent_is_not_told_again() -> None:
    """The unsent reminder of INF3 falls away; the sent notices of INF1 and INF2 are not told anew."""
    study = amended("INF1", "INF2")
    study.live_until("2026-01-18")
    told = set(study.handed)
    study.hands_over = False
    decided = study.live_until("2026-01-19 10:00", "2026-01-19")
    waiting = issued(decided)
    assert [key for key in waiting if "/INF3/T-7d/" in key]
    assigned(study, "2026-01-19 11:00")
    decision = study.decide("2026-01-19 11:00")
    gone = [event.data.notice for event in decision.events if isinstance(event.data, NoticeWithdrawn)]
    assert gone == [key for key in waiting if "/INF3/" in key]
    assert not told & set(issued(decision))
    assert [key for key in issued(decision) if "/re-consent/" in key]


def test_extra_wakes_after_an_assignment_change_nothing() -> None:
    study = amended("INF1", "INF2")
    assigned(study, "2026-01-19 11:00")
    first = study.decide("2026-01-19 11:00")
    assert first.events
    assert study.decide("2026-01-19 11:00").events == ()
    assert study.decide("2026-01-19 18:00").events == ()


def test_a_consent_is_asked_for_until_it_is_given() -> None:
    """At once to the coordinator, then every second working day; a consent to version 1 is no answer."""
    study = amended("INF1", "INF2")
    assigned(study, "2026-01-19 11:00")
    study.live_until("2026-01-23 12:00")
    asked = [key for key in study.handed if "/re-consent/" in key]
    assert sorted(key.rpartition("/")[2] for key in asked) == ["2026-01-19", "2026-01-21", "2026-01-23"]
    study.state("itp.consent.given", "2026-01-24", kind="consent", version="1")
    assert study.decide("2026-01-26").wanted_notices[-1].step == "re-consent"
    study.state("itp.consent.given", "2026-01-26", kind="consent", version="2")
    plan = study.plan("2026-01-30")
    assert "re-consent" not in {row["step"] for row in plan["notices"] + plan["forecast"]}
    assert plan["consents"] == [
        {"kind": "consent", "version": "2", "since": "2026-01-19T03:00:00Z", "given_on": "2026-01-26"}
    ]


def test_a_child_is_asked_for_its_assent_too() -> None:
    screening = {"age_years": 12}
    study = Study(protocol=versions())
    study.enrol("2026-01-05", consent_by="guardian", assent_on="2025-12-20", screening=screening)
    study.decide("2026-01-05 12:00")
    assigned(study, "2026-01-19")
    assert {row["kind"] for row in study.plan("2026-01-20")["consents"]} == {"consent", "assent"}


def test_a_visit_under_the_new_version_without_the_consent_is_a_deviation() -> None:
    """INF2, done before the assignment, is none; INF3 is one until the consent is of that day or before."""
    study = amended("INF1", "INF2")
    assigned(study, "2026-01-19")
    study.done("INF3", "2026-02-02")
    study.state("itp.consent.given", "2026-02-03", kind="consent", version="2")
    study.unscheduled("2026-02-04")
    found = [each for each in study.plan("2026-02-05")["deviations"] if each["category"] == "consent"]
    assert [(each["visit"], each["on"], each["important"]) for each in found] == [
        ("INF3", "2026-02-02", True)
    ]
    assert found[0]["id"] == "ITP-001/INF3/consent/new-consent/2/2026-02-02"


def test_a_later_version_without_consents_does_not_take_the_request_back() -> None:
    def third(data: Json) -> None:
        data["version"] = "3"

    first = Study().protocol
    study = amended("INF1", protocol=first.beside([altered(_second), altered(third), first]))
    assigned(study, "2026-01-19")
    assigned(study, "2026-01-21", "3")
    assert [each["given_on"] for each in study.plan("2026-01-22")["consents"]] == [None]
    study.state("itp.consent.given", "2026-01-22", kind="consent", version="3")
    assert [each["given_on"] for each in study.plan("2026-01-23")["consents"]] == ["2026-01-22"]


def test_a_criterion_that_only_the_new_version_has_counts_from_the_assignment() -> None:
    """A related event of grade 3 flags under version 2, and not from the day on which it was reported."""
    study = amended("INF1")
    study.adverse_event("2026-01-12", grade=3, related=True)
    assert study.plan("2026-01-18")["flags"] == []
    assigned(study, "2026-01-19 11:00")
    flags = study.plan("2026-01-20")["flags"]
    assert flags == [{"criterion": "adverse-event", "since": "2026-01-19T03:00:00Z", "decision": None}]


_FACTS = st.lists(
    st.tuples(
        st.sampled_from(["assign 2", "assign 1", "INF2", "consent", "unscheduled", "event"]),
        st.integers(min_value=10, max_value=28),
        st.integers(min_value=0, max_value=3),
    ),
    min_size=2,
    max_size=4,
    unique_by=lambda each: each[0],
)


@settings(max_examples=10)
@given(_FACTS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(facts: list[tuple[str, int, int]], chance: Random) -> None:
    """Whatever the order in which the same events are accepted, the plan is the same."""
    plans = []
    for order in (facts, chance.sample(facts, len(facts))):
        study = amended("INF1")
        for what, day, late in order:
            on, at = f"2026-01-{day}", f"2026-01-{day + late:02} {11 + late}:00"
            kinds: dict[str, tuple[str, Json]] = {
                "assign 2": ("itp.protocol.assigned", {"version": "2", "reason": "amendment"}),
                "assign 1": ("itp.protocol.assigned", {"version": "1", "reason": "back"}),
                "INF2": ("itp.visit.completed", {"visit": "INF2", "confirmed": True}),
                "consent": ("itp.consent.given", {"kind": "consent", "version": "2"}),
                "unscheduled": ("itp.visit.unscheduled", {"reason": "bleeding"}),
                "event": (
                    "itp.adverse-event.reported",
                    {"ae": "1", "term": "x", "grade": 3, "serious": False, "related": True},
                ),
            }
            kind, data = kinds[what]
            dated = None if what.startswith("assign") else on
            event = study.event(kind, dated, at, event_id=f"{what}", **data)
            if study.judge(event, now=datetime(2026, 3, 1, tzinfo=UTC)).verdicts[0].error:
                break
        else:
            plans.append(study.plan("2026-03-01"))
    assert all(each == plans[0] for each in plans)
