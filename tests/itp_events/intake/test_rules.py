"""The study's rules: each refuses the events that break it and lets the others pass."""

from collections.abc import Callable

import pytest

from itp_events.errors import BadEvent, NotEligible, Refused
from tests.support.study import FOLLOW_UP, INFUSIONS, Study

pytestmark = pytest.mark.requirement("INT-02")


@pytest.fixture
def study() -> Study:
    """A subject enrolled on 5 January whose first infusion was given that day."""
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    return study


def refused(tell: Callable[[], object], rule: str) -> str:
    """The message of the refusal by `rule`; a refusal is one line."""
    with pytest.raises(Refused) as caught:
        tell()
    assert caught.value.rule == rule
    message = str(caught.value)
    assert "\n" not in message
    return message


# Anchors


@pytest.mark.parametrize(("visit", "anchor"), [("INF3", "INF2"), ("INF5", "INF4")])
def test_a_visit_cannot_be_recorded_before_its_anchor(study: Study, visit: str, anchor: str) -> None:
    message = refused(lambda: study.done(visit, "2026-01-20"), "anchor-first")
    assert visit in message
    assert anchor in message


def test_a_visit_cannot_be_declared_missed_before_its_anchor(study: Study) -> None:
    refused(lambda: study.missed("INF3", "2026-01-20"), "anchor-first")


@pytest.mark.parametrize("visit", FOLLOW_UP)
def test_follow_up_cannot_be_recorded_before_treatment_has_ended(study: Study, visit: str) -> None:
    assert "treatment" in refused(lambda: study.done(visit, "2026-01-20"), "anchor-first")


def test_a_visit_may_be_recorded_once_its_anchor_is_missed(study: Study) -> None:
    study.missed("INF2", "2026-01-14")
    study.done("INF3", "2026-01-26")


def test_a_visit_may_be_recorded_once_the_service_counts_its_anchor_as_missed(study: Study) -> None:
    refused(lambda: study.done("INF3", "2026-02-02", at="2026-02-02 08:59"), "anchor-first")
    study.done("INF3", "2026-02-02", at="2026-02-02 09:01")


def test_follow_up_may_be_recorded_once_treatment_is_stopped(study: Study) -> None:
    study.pregnant("2026-01-10")
    study.done("FU-D14", "2026-01-19")


def test_a_visit_cannot_take_place_before_its_anchor_did(study: Study) -> None:
    study.done("INF2", "2026-01-12")
    assert "2026-01-12" in refused(
        lambda: study.done("INF3", "2026-01-11", at="2026-01-13"), "infusion-order"
    )


# Once


def test_a_completed_visit_is_recorded_once(study: Study) -> None:
    message = refused(lambda: study.done("INF1", "2026-01-06"), "recorded-once")
    assert "INF1" in message
    assert "void" in message


def test_a_visit_declared_missed_cannot_be_completed_and_the_reverse(study: Study) -> None:
    study.missed("INF2", "2026-01-14")
    refused(lambda: study.done("INF2", "2026-01-13", at="2026-01-15"), "recorded-once")
    refused(lambda: study.missed("INF1", "2026-01-15"), "recorded-once")


def test_a_miss_of_the_service_does_not_stand_in_the_way_of_the_truth(study: Study) -> None:
    study.live_until("2026-02-03")
    study.done("INF2", "2026-01-13", at="2026-02-03 10:00")


def test_a_person_may_state_the_reason_of_a_miss_that_the_service_made(study: Study) -> None:
    study.live_until("2026-02-03")
    study.missed("INF2", "2026-02-03 10:00", reason="in another hospital")


def test_a_subject_is_enrolled_once(study: Study) -> None:
    message = refused(lambda: study.enrol("2026-01-06"), "second-enrolment")
    assert "ITP-001" in message
    assert "5 Jan 2026" in message


def test_nothing_is_recorded_of_a_subject_that_is_not_enrolled() -> None:
    message = refused(lambda: Study().done("INF1", "2026-01-05"), "enrolment")
    assert "ITP-001 is not enrolled" in message


# Dates


def test_a_date_after_the_local_date_of_its_report_is_refused(study: Study) -> None:
    message = refused(lambda: study.done("INF2", "2026-01-12", at="2026-01-11 23:00"), "date-ahead")
    assert "2026-01-12" in message
    assert "2026-01-11" in message


@pytest.mark.parametrize(
    "tell",
    [
        lambda study: study.adverse_event("2026-01-12", at="2026-01-11"),
        lambda study: study.contact("2026-01-12", reached=False, at="2026-01-11"),
        lambda study: study.withdrew("2026-01-12", at="2026-01-11"),
        lambda study: study.died("2026-01-12", at="2026-01-11"),
        lambda study: study.pregnant("2026-01-12", at="2026-01-11"),
        lambda study: study.medication("rescue", "2026-01-12", at="2026-01-11"),
        lambda study: study.unscheduled("2026-01-12", at="2026-01-11"),
        lambda study: study.decided("withdraw", "2026-01-12", at="2026-01-11"),
    ],
)
def test_no_event_may_be_dated_after_its_own_report(study: Study, tell: Callable[[Study], object]) -> None:
    refused(lambda: tell(study), "date-ahead")


def test_an_enrolment_ahead_of_its_report_is_refused() -> None:
    study = Study()
    refused(lambda: study.enrol("2026-01-06", at="2026-01-05"), "date-ahead")


def test_bookings_and_acknowledgements_may_name_a_day_ahead(study: Study) -> None:
    study.booked("INF2", "2026-01-12", at="2026-01-06")
    study.acknowledged("INF2", "2026-01-15", until="2026-01-20")


@pytest.mark.requirement("CON-01")
def test_a_date_before_consent_is_refused(study: Study) -> None:
    message = refused(lambda: study.adverse_event("2025-12-19", at="2026-01-06"), "before-consent")
    assert "2025-12-20" in message
    study.adverse_event("2025-12-20", at="2026-01-06")


def test_a_time_in_the_future_is_refused_at_the_door(study: Study) -> None:
    event = study.event("itp.contact.attempted", "2026-01-12", "2026-01-12 11:00:01", reached=True)
    (verdict,) = study.judge(event, now="2026-01-12 11:00:00").verdicts
    assert isinstance(verdict.error, Refused)
    assert verdict.error.rule == "future"
    study.record(event, now="2026-01-12 11:00:01")


def test_an_event_that_calls_itself_the_services_own_is_refused(study: Study) -> None:
    forged = study.event("itp.visit.missed", None, "2026-01-14", source="itp", visit="INF2", reason="no")
    refused(lambda: study.record(forged), "source")


@pytest.mark.requirement("WIN-03")
def test_first_infusion_on_must_lie_in_the_window_of_inf1() -> None:
    for outside in ("2026-01-04", "2026-01-13"):
        study = Study()
        message = refused(
            lambda: study.enrol("2026-01-05", first_infusion_on=outside),  # noqa: B023
            "first-infusion",
        )
        assert "2026-01-05 to 2026-01-12" in message
    for inside in ("2026-01-05", "2026-01-12"):
        Study().enrol("2026-01-05", first_infusion_on=inside)


# Visits that the protocol does not have


@pytest.mark.requirement("INT-01")
@pytest.mark.parametrize(
    "tell",
    [
        lambda study: study.done("INF6", "2026-01-12"),
        lambda study: study.missed("INF6", "2026-01-12"),
        lambda study: study.booked("INF6", "2026-01-20", at="2026-01-12"),
        lambda study: study.acknowledged("INF6", "2026-01-15"),
    ],
)
def test_an_unknown_visit_is_bad_input_and_names_the_field_and_the_visits(
    study: Study, tell: Callable[[Study], object]
) -> None:
    with pytest.raises(BadEvent) as caught:
        tell(study)
    assert caught.value.field == "data.visit"
    assert "INF6" in str(caught.value)
    assert "FU-M12" in str(caught.value)


# After the exit


@pytest.fixture
def ended(study: Study) -> Study:
    study.withdrew("2026-01-20")
    return study


@pytest.mark.parametrize(
    "tell",
    [
        lambda study: study.done("INF2", "2026-01-21"),
        lambda study: study.missed("INF2", "2026-01-21"),
        lambda study: study.booked("INF2", "2026-01-25", at="2026-01-21"),
        lambda study: study.unscheduled("2026-01-21"),
        lambda study: study.medication("rescue", "2026-01-21"),
        lambda study: study.contact("2026-01-21", reached=True),
        lambda study: study.withdrew("2026-01-21"),
        lambda study: study.decided("withdraw", "2026-01-21"),
        lambda study: study.acknowledged("INF2", "2026-01-21"),
    ],
)
def test_after_the_exit_the_study_takes_nothing_more(ended: Study, tell: Callable[[Study], object]) -> None:
    message = refused(lambda: tell(ended), "after-exit")
    assert "20 Jan 2026" in message
    assert "WITHDRAWAL BY SUBJECT" in message


def test_after_the_exit_safety_and_corrections_are_still_recorded(ended: Study) -> None:
    reported = ended.adverse_event("2026-01-22", serious=True)
    ended.submitted("AE-1", "2026-01-22", at="2026-01-22 15:00")
    ended.pregnant("2026-01-23")
    ended.died("2026-01-24")
    ended.voided(reported, "2026-01-25")


def test_an_event_from_before_the_exit_may_be_entered_after_it(ended: Study) -> None:
    ended.done("INF2", "2026-01-12", at="2026-01-25")
    ended.contact("2026-01-19", reached=True, at="2026-01-25")


# Acknowledgements


@pytest.mark.requirement("LAD-02")
def test_only_an_overdue_visit_can_be_acknowledged(study: Study) -> None:
    assert "INF2" in refused(lambda: study.acknowledged("INF2", "2026-01-13"), "acknowledgement")
    refused(lambda: study.acknowledged("INF3", "2026-01-13"), "acknowledgement")
    study.acknowledged("INF2", "2026-01-14")


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_reaches_at_most_fourteen_days_ahead(study: Study) -> None:
    message = refused(lambda: study.acknowledged("INF2", "2026-01-15", until="2026-01-30"), "acknowledgement")
    assert "2026-01-29" in message
    study.acknowledged("INF2", "2026-01-15", until="2026-01-29")


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_does_not_reach_back(study: Study) -> None:
    refused(lambda: study.acknowledged("INF2", "2026-01-15", until="2026-01-14"), "acknowledgement")


@pytest.mark.requirement("LAD-02")
def test_a_recorded_visit_is_not_acknowledged(study: Study) -> None:
    study.missed("INF2", "2026-01-14")
    refused(lambda: study.acknowledged("INF2", "2026-01-15"), "recorded-once")


# Bookings


def test_a_visit_that_is_recorded_cannot_be_booked(study: Study) -> None:
    refused(lambda: study.booked("INF1", "2026-01-12", at="2026-01-06"), "recorded-once")


def test_a_visit_that_is_cancelled_cannot_be_booked(study: Study) -> None:
    study.pregnant("2026-01-08")
    assert "INF2 counts as cancelled" in refused(
        lambda: study.booked("INF2", "2026-01-12", at="2026-01-09"), "booking"
    )


def test_a_visit_may_be_booked_outside_its_window_and_booked_again(study: Study) -> None:
    study.booked("INF2", "2026-01-16", at="2026-01-06")
    study.booked("INF2", "2026-01-12", at="2026-01-07")
    assert study.plan("2026-01-08").visit("INF2")["booked"] == "2026-01-12"


# The investigator's decisions


@pytest.mark.requirement("WDR-08")
@pytest.mark.parametrize("decision", ["continue", "withdraw", "stop-treatment"])
def test_a_decision_about_a_criterion_needs_its_flag(study: Study, decision: str) -> None:
    message = refused(
        lambda: study.decided(decision, "2026-01-07", criterion="rescue-medication"), "decision"
    )
    assert "rescue-medication" in message


@pytest.mark.requirement("WDR-08")
def test_to_continue_needs_a_flag(study: Study) -> None:
    refused(lambda: study.decided("continue", "2026-01-07"), "decision")
    study.medication("rescue", "2026-01-07")
    study.decided("continue", "2026-01-08")
    refused(lambda: study.decided("continue", "2026-01-09"), "decision")


@pytest.mark.requirement("WDR-08")
def test_the_investigator_may_withdraw_or_stop_without_a_flag(study: Study) -> None:
    study.decided("stop-treatment", "2026-01-07")
    study.decided("withdraw", "2026-01-08")


@pytest.mark.requirement("INT-01")
def test_an_unknown_criterion_is_bad_input(study: Study) -> None:
    study.medication("rescue", "2026-01-07")
    with pytest.raises(BadEvent) as caught:
        study.decided("continue", "2026-01-08", criterion="bad-mood")
    assert caught.value.field == "data.criterion"
    assert "rescue-medication" in str(caught.value)


def test_treatment_that_has_ended_cannot_be_stopped(study: Study) -> None:
    study.on_target(*INFUSIONS[1:])
    refused(lambda: study.decided("stop-treatment", "2026-02-24"), "decision")


@pytest.mark.parametrize("decision", ["withdraw", "stop-treatment", "continue"])
def test_completed_is_the_disposition_of_complete_only(study: Study, decision: str) -> None:
    """Nobody leaves the study early and counts as having completed it."""
    message = refused(lambda: study.decided(decision, "2026-01-07", decode="COMPLETED"), "decision")
    assert message == f"COMPLETED does not fit {decision}: COMPLETED goes with complete, and only with it"


def test_complete_has_no_other_disposition(study: Study) -> None:
    refused(lambda: study.decided("complete", "2026-01-07", decode="LOST TO FOLLOW-UP"), "decision")


def test_complete_answers_a_missed_last_visit_only(study: Study) -> None:
    refused(lambda: study.decided("complete", "2026-01-07"), "decision")
    study.on_target(*INFUSIONS[1:], *FOLLOW_UP[:-1])
    study.missed("FU-M12", "2027-03-03")
    study.decided("complete", "2027-03-04")
    assert study.plan("2027-03-05")["state"] == "Completed"


# Submissions


def test_a_submission_needs_a_report_of_its_event(study: Study) -> None:
    assert "AE-9" in refused(lambda: study.submitted("AE-9", "2026-01-07"), "submission")
    study.adverse_event("2026-01-07", ae="AE-9")
    study.submitted("AE-9", "2026-01-07", at="2026-01-07 12:00")


def test_a_pregnancy_is_submitted_under_the_id_of_its_report(study: Study) -> None:
    reported = study.pregnant("2026-01-07", partner=True)
    study.submitted(reported.id, "2026-01-07", at="2026-01-07 12:00")


# Voids


def test_an_event_that_is_not_in_the_log_cannot_be_voided(study: Study) -> None:
    unknown = study.event("itp.visit.completed", "2026-01-12", visit="INF2", event_id="nowhere")
    assert "nowhere" in refused(lambda: study.voided(unknown, "2026-01-13"), "void")


def test_the_services_own_decision_cannot_be_voided_by_others(study: Study) -> None:
    study.live_until("2026-02-03")
    own = next(event for event in study.log if event.own and event.type == "itp.visit.missed")
    assert "service's own" in refused(lambda: study.voided(own, "2026-02-04"), "void")


def test_a_void_cannot_be_voided(study: Study) -> None:
    done = study.done("INF2", "2026-01-12")
    void = study.voided(done, "2026-01-13")
    assert "state the event again" in refused(lambda: study.voided(void, "2026-01-14"), "void")


def test_an_event_is_voided_once(study: Study) -> None:
    done = study.done("INF2", "2026-01-12")
    study.voided(done, "2026-01-13")
    assert "already" in refused(lambda: study.voided(done, "2026-01-14"), "void")


def test_an_enrolment_alone_cannot_be_voided(study: Study) -> None:
    enrolment = study.log[0]
    assert "one batch" in refused(lambda: study.voided(enrolment, "2026-01-06"), "void")
    assert study.plan("2026-01-07")["state"] == "Awaiting INF2"


def test_a_void_that_leaves_later_visits_without_their_anchor_is_accepted(study: Study) -> None:
    done = study.done("INF2", "2026-01-12")
    study.done("INF3", "2026-01-26")
    study.voided(done, "2026-01-27")


# Enrolment and eligibility


@pytest.mark.requirement("ELI-01")
def test_an_enrolment_that_fails_a_criterion_is_refused() -> None:
    with pytest.raises(NotEligible) as caught:
        Study().enrol("2026-01-05", screening={"alt_x_uln": 3.1})
    assert caught.value.rule == "eligibility"
    assert caught.value.unmet == ("ALT 3.1 x ULN, limit 3†",)


@pytest.mark.requirement("ELI-07")
def test_a_corrected_enrolment_that_fails_a_criterion_is_accepted(study: Study) -> None:
    restated = study.enrolment("2026-01-05", at="2026-01-06", screening={"alt_x_uln": 3.1})
    study.record(study.void(study.log[0], "2026-01-06"), restated)


@pytest.mark.requirement("AMD-01")
def test_a_protocol_version_that_is_not_installed_cannot_be_assigned(study: Study) -> None:
    refused(
        lambda: study.state("itp.protocol.assigned", None, "2026-01-06", version="99", reason="amended"),
        "protocol-version",
    )
