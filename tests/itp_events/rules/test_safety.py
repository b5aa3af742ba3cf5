"""Serious adverse events, pregnancy and death: the clocks run in every state of the subject."""

from collections.abc import Callable

import pytest

from itp_events.events import Event
from tests.itp_events.journey import Journey

pytestmark = pytest.mark.requirement("SAF-01")

BOTH = {"investigator": 1, "sponsor": 1}


def started() -> Journey:
    return Journey().treated("2026-01-05", "2026-01-12")


def test_a_serious_adverse_event_alerts_the_investigator_and_the_sponsor() -> None:
    study = started()
    study.adverse_event("2026-01-14", serious=True)
    assert study.audiences("sae") == BOTH


def test_an_adverse_event_that_is_not_serious_starts_no_clock() -> None:
    study = started()
    study.adverse_event("2026-01-14", grade=3)
    study.until("2026-01-20")
    assert study.sent("sae") == []
    assert study.sent("sae-20h") == []


@pytest.mark.requirement("SAF-02")
def test_the_clock_calls_20_and_24_hours_after_the_events_time() -> None:
    study = started()
    study.adverse_event("2026-01-14", at="2026-01-14 15:30", serious=True)
    study.until("2026-01-20")
    for step, at in (("sae-20h", "2026-01-15 11:30"), ("sae-24h", "2026-01-15 15:30")):
        assert study.sent(step) == [(at, step, "investigator"), (at, step, "sponsor")]


@pytest.mark.requirement("SAF-02")
def test_the_clock_counts_from_the_report_not_from_when_the_service_heard_of_it() -> None:
    study = started()
    study.awake = False
    study.adverse_event("2026-01-14", at="2026-01-14 15:30", serious=True)
    study.until("2026-01-15 12:00")
    assert {at for at, _, _ in study.sent("sae-20h")} == {"2026-01-15 12:00"}
    assert {study.local(data.due) for _, data in study.notices("sae-20h")} == {"2026-01-15 11:30"}


@pytest.mark.requirement("SAF-02")
def test_its_submission_stops_the_clock() -> None:
    study = started()
    study.adverse_event("2026-01-14", at="2026-01-14 15:30", serious=True)
    study.submitted("AE-1", "2026-01-15", at="2026-01-15 11:29")
    study.until("2026-01-20")
    assert study.sent("sae-20h") == study.sent("sae-24h") == []


@pytest.mark.requirement("SAF-02")
def test_a_submission_between_the_two_calls_stops_the_second() -> None:
    study = started()
    study.adverse_event("2026-01-14", at="2026-01-14 15:30", serious=True)
    study.submitted("AE-1", "2026-01-15", at="2026-01-15 12:00")
    study.until("2026-01-20")
    assert study.audiences("sae-20h") == BOTH
    assert study.sent("sae-24h") == []


@pytest.mark.requirement("SAF-02")
def test_the_submission_of_another_event_stops_nothing() -> None:
    study = started()
    study.adverse_event("2026-01-14", ae="AE-1", serious=True)
    study.adverse_event("2026-01-14", ae="AE-2", serious=True)
    study.submitted("AE-2", "2026-01-14", at="2026-01-14 12:00")
    study.until("2026-01-20")
    assert study.audiences("sae-24h") == BOTH


@pytest.mark.requirement("SAF-02")
def test_a_voided_submission_lets_the_clock_go_on() -> None:
    study = started()
    study.adverse_event("2026-01-14", at="2026-01-14 15:30", serious=True)
    submission = study.submitted("AE-1", "2026-01-14", at="2026-01-14 16:00")
    study.voided(submission, at="2026-01-14 17:00")
    study.until("2026-01-20")
    assert study.audiences("sae-24h") == BOTH


@pytest.mark.requirement("SAF-02")
def test_a_voided_adverse_event_has_no_clock() -> None:
    study = started()
    event = study.adverse_event("2026-01-14", serious=True)
    study.voided(event, at="2026-01-14 12:00")
    study.until("2026-01-20")
    assert study.sent("sae-20h") == []


@pytest.mark.requirement("SAF-04")
def test_pregnancy_has_the_same_clock_and_its_submission_names_the_event() -> None:
    study = started()
    event = study.pregnant("2026-01-14", at="2026-01-14 15:30")
    assert study.audiences("sae") == BOTH
    study.until("2026-01-15 12:00")
    assert study.audiences("sae-20h") == BOTH
    study.submitted(event.id, "2026-01-15", at="2026-01-15 12:00")
    study.until("2026-01-20")
    assert study.sent("sae-24h") == []


@pytest.mark.requirement("SAF-02")
@pytest.mark.parametrize("stated", [Journey.pregnant, Journey.died])
def test_a_submission_from_before_a_report_does_not_stop_its_clock(stated: Callable[..., Event]) -> None:
    study = started()
    event = stated(study, "2026-01-13", at="2026-01-14 15:30")
    study.submitted(event.id, "2026-01-14", at="2026-01-14 10:00")
    study.until("2026-01-16")
    assert study.audiences("sae-20h") == study.audiences("sae-24h") == BOTH


@pytest.mark.requirement("SAF-02", "SAF-04")
def test_a_submission_covers_a_pregnancy_whose_report_is_corrected_after_it() -> None:
    study = started()
    wrong = study.pregnant("2026-01-14", at="2026-01-14 15:30", partner=True)
    study.submitted(wrong.id, "2026-01-15", at="2026-01-15 10:00")
    right = study.event("itp.pregnancy.reported", "2026-01-14", "2026-01-16 12:00", partner=False)
    study.record(study.void(wrong, "2026-01-16 12:00"), right)
    study.until("2026-01-20")
    assert study.sent("sae-20h") == study.sent("sae-24h") == []


@pytest.mark.requirement("SAF-04")
def test_a_partners_pregnancy_has_the_same_clock() -> None:
    study = started()
    study.pregnant("2026-01-14", partner=True)
    study.until("2026-01-16")
    assert (study.audiences("sae"), study.audiences("sae-20h"), study.audiences("sae-24h")) == (BOTH,) * 3


def test_the_clock_goes_on_after_exit() -> None:
    study = started()
    study.adverse_event("2026-01-14", at="2026-01-14 15:30", serious=True)
    study.withdrew("2026-01-14", at="2026-01-14 16:00")
    study.until("2026-01-20")
    assert study.audiences("sae-24h") == BOTH
    assert study.wake is None


def test_a_clock_starts_after_exit() -> None:
    study = started()
    study.withdrew("2026-01-14")
    assert study.wake is None
    study.adverse_event("2026-02-01", serious=True)
    study.until("2026-02-05")
    assert (study.audiences("sae"), study.audiences("sae-24h")) == (BOTH, BOTH)
    assert study.wake is None


def test_a_clock_runs_on_hold_and_after_a_stop() -> None:
    study = started()
    study.medication("rescue", "2026-01-14")
    study.decided("stop-treatment", "2026-01-15")
    study.medication("rescue", "2026-01-16")
    study.adverse_event("2026-01-17", serious=True)
    study.until("2026-01-20")
    assert study.audiences("sae-24h") == BOTH


@pytest.mark.requirement("REM-05")
def test_after_downtime_over_both_calls_the_later_one_leaves() -> None:
    study = started()
    study.adverse_event("2026-01-14", serious=True)
    study.awake = False
    study.until("2026-01-16")
    assert study.sent("sae-20h") == []
    assert study.audiences("sae-24h") == BOTH


@pytest.mark.requirement("SAF-06")
def test_a_death_with_no_adverse_event_recorded_asks_for_one() -> None:
    study = started()
    death = study.died("2026-01-14")
    [(_, notice), _] = study.notices("sae")
    assert study.audiences("sae") == BOTH
    assert death.id in notice.notice


@pytest.mark.requirement("SAF-06")
def test_a_death_with_its_adverse_event_recorded_asks_for_none() -> None:
    study = started()
    study.adverse_event("2026-01-14", at="2026-01-14 10:00", serious=True, grade=5)
    death = study.died("2026-01-14")
    assert not any(death.id in notice.notice for _, notice in study.notices("sae"))


@pytest.mark.requirement("SAF-06")
def test_the_alert_of_a_death_is_over_once_its_adverse_event_is_recorded() -> None:
    study = started()
    study.died("2026-01-14")
    key = study.key("sae", "investigator")
    study.adverse_event("2026-01-14", at="2026-01-14 12:00", serious=True, grade=5)
    assert study.fate(key) == ["issued", "closed"]


@pytest.mark.requirement("SAF-03")
def test_of_two_reports_of_one_event_the_first_starts_the_clock() -> None:
    """Also when the second one dates the event earlier."""
    study = Journey().treated("2026-01-05", "2026-01-12")
    study.adverse_event("2026-01-20", serious=True, at="2026-01-20 10:00")
    study.adverse_event("2026-01-19", serious=True, at="2026-01-20 18:00", term="Fever and chills")
    study.until("2026-01-23")
    assert [at for at, _, who in study.sent("sae-24h") if who == "investigator"] == ["2026-01-21 10:00"]


def test_an_alert_of_what_is_milder_after_the_submission_names_no_deadline() -> None:
    study = started()
    study.adverse_event("2026-01-14", serious=True, grade=4)
    study.submitted("AE-1", "2026-01-14", at="2026-01-14 12:00")
    study.adverse_event("2026-01-20", serious=True, grade=3)
    first, *_, last = [data.facts for _, data in study.notices("sae")]
    assert (first["deadline"], first["hours"]) == ("2026-01-15T03:00:00+00:00", 24)
    assert last["grade"] == 3
    assert last["submitted"] is True
    assert not last.keys() & {"deadline", "hours"}


def test_an_alert_of_what_changed_before_the_submission_names_the_deadline_that_runs() -> None:
    study = started()
    study.adverse_event("2026-01-14", serious=True, grade=4, at="2026-01-14 11:00")
    study.adverse_event("2026-01-14", serious=True, grade=3, at="2026-01-14 15:00")
    assert {data.facts["deadline"] for _, data in study.notices("sae")} == {"2026-01-15T03:00:00+00:00"}
