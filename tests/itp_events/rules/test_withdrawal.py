"""Every row of the withdrawal table: effect, DSDECOD and term; flags, decisions and dispositions."""

from collections import Counter
from datetime import date
from typing import Any

import pytest

from itp_events.errors import Refused
from itp_events.events import Event, Exited, Flagged, Missed, TreatmentStopped, Voided
from itp_events.rules.subject import Subject
from tests.itp_events.journey import Journey
from tests.support.study import FOLLOW_UP, INFUSIONS

pytestmark = pytest.mark.requirement("WDR-08")

Json = dict[str, Any]


def started() -> Journey:
    """INF1 and INF2 given on time, on 5 and 12 Jan 2026."""
    return Journey().treated("2026-01-05", "2026-01-12")


def now(study: Journey) -> Json:
    """The plan right after the last thing that was stated."""
    return study.plan(max(event.time for event in study.log))


def flagged(study: Journey) -> list[tuple[str, str | None]]:
    """The flags of the plan: criterion and decision."""
    return [(flag["criterion"], flag["decision"]) for flag in now(study)["flags"]]


def exit_of(study: Journey) -> tuple[str, str | None]:
    """DSDECOD and criterion of the exit."""
    end = now(study)["exit"]
    return end["decode"], end["criterion"]


def stop_of(study: Journey) -> tuple[str, str]:
    """DSDECOD and criterion of the stop that the service recorded last."""
    stop = study.own(TreatmentStopped)[-1]
    return stop.decode, stop.criterion


def cancelled(study: Journey) -> list[str]:
    """The visits cancelled, as of the last thing that was stated."""
    return [row["code"] for row in now(study)["visits"] if row["status"] == "cancelled"]


# consent-withdrawn


@pytest.mark.requirement("WDR-01")
@pytest.mark.parametrize(
    ("guardian", "decode"), [(False, "WITHDRAWAL BY SUBJECT"), (True, "WITHDRAWAL BY PARENT/GUARDIAN")]
)
def test_consent_withdrawn_for_the_study_is_an_exit(guardian: bool, decode: str) -> None:
    study = started()
    study.withdrew("2026-01-14", guardian=guardian)
    assert exit_of(study) == (decode, "consent-withdrawn")
    assert now(study)["status"] == "withdrawn"
    assert now(study)["state"] == f"Withdrawn: {decode}"
    assert study.own(Exited)[0].decode == decode


@pytest.mark.requirement("WDR-01")
@pytest.mark.parametrize(
    ("guardian", "decode"), [(False, "WITHDRAWAL BY SUBJECT"), (True, "WITHDRAWAL BY PARENT/GUARDIAN")]
)
def test_consent_withdrawn_for_treatment_cancels_the_infusions_and_follow_up_goes_on(
    guardian: bool, decode: str
) -> None:
    study = started()
    study.withdrew("2026-01-14", scope="treatment", guardian=guardian)
    assert stop_of(study) == (decode, "consent-withdrawn")
    assert cancelled(study) == ["INF3", "INF4", "INF5"]
    assert (now(study)["exit"], now(study)["status"]) == (None, "in-follow-up")
    assert study.plan("2026-01-15").visit("FU-D14")["anchor"] == {
        "code": "INF2",
        "on": "2026-01-12",
        "basis": "actual",
    }


# death, pregnancy


@pytest.mark.requirement("WDR-02")
def test_death_is_an_exit() -> None:
    study = started()
    study.died("2026-01-14")
    assert exit_of(study) == ("DEATH", "death")


@pytest.mark.requirement("WDR-03")
def test_the_subjects_pregnancy_stops_treatment() -> None:
    study = started()
    study.pregnant("2026-01-14")
    assert stop_of(study) == ("PREGNANCY", "pregnancy")
    assert cancelled(study) == ["INF3", "INF4", "INF5"]


@pytest.mark.requirement("WDR-03")
def test_a_partners_pregnancy_is_an_alert_only() -> None:
    study = started()
    study.pregnant("2026-01-14", partner=True)
    assert cancelled(study) == []
    assert study.own(TreatmentStopped) == []
    assert study.audiences("sae") == {"investigator": 1, "sponsor": 1}


@pytest.mark.requirement("WDR-03")
def test_a_mans_pregnancy_is_his_partners_and_must_say_so() -> None:
    """Taken for his own it would stop his treatment."""
    study = Journey()
    study.enrol(
        at="2026-01-05 08:00", screening={"sex": "male", "pregnancy_test": None, "breastfeeding": None}
    )
    with pytest.raises(Refused, match="is a man; if his partner is pregnant, state partner: true"):
        study.pregnant("2026-01-14")
    study.pregnant("2026-01-14", partner=True)
    assert study.audiences("sae") == {"investigator": 1, "sponsor": 1}


# The criteria that raise a flag


@pytest.mark.requirement("WDR-04")
@pytest.mark.parametrize(
    ("serious", "related", "grade", "raised"),
    [
        (True, True, 1, True),
        (False, True, 4, True),
        (True, True, 5, True),
        (False, True, 3, False),
        (True, False, 4, False),
        (True, False, 5, False),
    ],
)
def test_an_adverse_event_flags_when_related_and_serious_or_of_grade_4(
    serious: bool, related: bool, grade: int, raised: bool
) -> None:
    study = started()
    study.adverse_event("2026-01-14", serious=serious, related=related, grade=grade)
    assert flagged(study) == ([("adverse-event", None)] if raised else [])


MEDICATION = [
    ("rescue", "rescue-medication", "LACK OF EFFICACY"),
    ("prohibited", "prohibited-medication", "PROTOCOL DEVIATION"),
    ("maintenance", "maintenance-changed", "PROTOCOL-SPECIFIED WITHDRAWAL CRITERION MET"),
]


@pytest.mark.requirement("WDR-05")
@pytest.mark.parametrize(("kind", "criterion", "decode"), MEDICATION)
def test_a_medication_of_each_kind_raises_its_flag_with_its_dsdecod(
    kind: str, criterion: str, decode: str
) -> None:
    study = started()
    study.medication(kind, "2026-01-14")
    assert flagged(study) == [(criterion, None)]
    assert (now(study)["status"], now(study)["state"]) == ("on-hold", f"On hold: {criterion}")
    study.decided("withdraw", "2026-01-15")
    assert exit_of(study) == (decode, criterion)


@pytest.mark.requirement("WDR-06")
def test_two_infusions_in_a_row_missed_raise_a_flag() -> None:
    study = Journey().treated("2026-01-05")
    study.missed("INF2", at="2026-01-14")
    assert flagged(study) == []
    study.missed("INF3", at="2026-01-30")
    assert flagged(study) == [("missed-infusions", None)]
    study.decided("withdraw", "2026-01-31")
    assert exit_of(study) == ("PROTOCOL DEVIATION", "missed-infusions")


@pytest.mark.requirement("WDR-06")
def test_two_infusions_missed_with_one_given_between_raise_no_flag() -> None:
    study = Journey().treated("2026-01-05")
    study.missed("INF2", at="2026-01-14")
    study.done("INF3", "2026-01-26")
    study.missed("INF4", at="2026-02-13")
    assert flagged(study) == []


@pytest.mark.requirement("WDR-06")
def test_an_earlier_miss_that_becomes_known_later_leaves_the_flag_raised_without_it() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12")
    wrong = study.folded().completed["INF2"]
    study.missed("INF3", at="2026-01-30")
    study.missed("INF4", at="2026-02-13")
    study.decided("continue", "2026-02-14")
    study.record(
        study.void(wrong, "2026-02-15"),
        study.event("itp.visit.missed", None, "2026-02-15", visit="INF2", reason="another subject's"),
    )
    raised = [(flag["since"][:10], flag["decision"]) for flag in study.plan("2026-02-16")["flags"]]
    assert raised == [("2026-02-13", "continue"), ("2026-02-15", None)]


@pytest.mark.requirement("WDR-06")
def test_the_services_own_misses_count_for_two_in_a_row() -> None:
    study = Journey().treated("2026-01-05")
    study.until("2026-02-22 09:00")
    assert flagged(study) == [("missed-infusions", None)]
    assert [data.visit for data in study.own(Missed)] == ["INF2", "INF3"]


@pytest.mark.requirement("WDR-06")
def test_a_late_completion_of_a_missed_infusion_takes_the_flag_back() -> None:
    study = Journey().treated("2026-01-05")
    study.until("2026-02-22 09:00")
    study.done("INF3", "2026-01-27", at="2026-02-23")
    assert flagged(study) == []
    assert len(study.own(Voided)) == 2  # the miss, and the flag that stood on it


# lost-to-follow-up: FU-M1 of `silent()` closes on 30 March; 14 days after that is 13 April 2026


def silent() -> Journey:
    study = Journey().in_follow_up()
    study.done("FU-D14", "2026-03-09")
    return study


def tried(study: Journey, *dates: str, reached: bool = False) -> None:
    for on in dates:
        study.contact(on, reached=reached)


@pytest.mark.requirement("WDR-08")
def test_a_long_history_of_contacts_costs_no_more_than_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event is judged on all before it, so whatever is put in order there costs the history's square."""
    happened, asked, contacts = Subject.happened, Counter[str](), 80

    def counted(subject: Subject, event: Event) -> date:
        asked["times"] += 1
        return happened(subject, event)

    monkeypatch.setattr(Subject, "happened", counted)
    study = started()
    tried(study, *["2026-01-14"] * contacts, reached=True)
    now(study)
    assert asked["times"] < contacts * contacts / 2


@pytest.mark.requirement("WDR-07")
def test_three_days_of_attempts_while_a_visit_is_14_days_silent_raise_the_flag() -> None:
    study = silent()
    tried(study, "2026-04-13", "2026-04-14")
    assert flagged(study) == []
    tried(study, "2026-04-15")
    assert flagged(study) == [("lost-to-follow-up", None)]
    study.decided("withdraw", "2026-04-16")
    assert exit_of(study) == ("LOST TO FOLLOW-UP", "lost-to-follow-up")


@pytest.mark.requirement("WDR-07")
def test_attempts_before_the_14_days_raise_the_flag_when_they_are_over() -> None:
    study = silent()
    tried(study, "2026-04-01", "2026-04-02", "2026-04-03")
    study.until("2026-04-12 23:59")
    assert study.own(Flagged) == []
    study.until("2026-04-14")
    [flag] = study.own(Flagged)
    assert (flag.criterion, str(flag.on)) == ("lost-to-follow-up", "2026-04-13")


@pytest.mark.requirement("WDR-07")
def test_attempts_on_one_day_count_once() -> None:
    study = silent()
    for hour in ("09:00", "12:00", "15:00"):
        study.contact("2026-04-15", reached=False, at=f"2026-04-15 {hour}")
    assert flagged(study) == []


@pytest.mark.requirement("WDR-07")
@pytest.mark.parametrize("how", ["reached", "attended", "unscheduled"])
def test_a_contact_reached_or_a_visit_attended_starts_the_count_anew(how: str) -> None:
    study = silent()
    tried(study, "2026-04-13", "2026-04-14")
    if how == "reached":
        tried(study, "2026-04-15", reached=True)
    elif how == "unscheduled":
        study.unscheduled("2026-04-15")
    else:
        study.done("FU-M2", "2026-04-17")  # FU-M1 stays silent
    tried(study, "2026-04-18", "2026-04-19")
    assert flagged(study) == []
    tried(study, "2026-04-20")
    assert flagged(study) == [("lost-to-follow-up", None)]


@pytest.mark.requirement("WDR-07")
def test_an_attempt_that_becomes_known_after_the_subject_was_met_flags_nothing() -> None:
    study = silent()
    tried(study, "2026-04-14", "2026-04-15")
    study.done("FU-M2", "2026-04-17")
    study.contact("2026-04-13", reached=False, at="2026-04-20")
    assert flagged(study) == []


@pytest.mark.requirement("WDR-07")
def test_a_contact_restated_unchanged_starts_the_count_where_it_did() -> None:
    study = silent()
    reached = study.contact("2026-04-13", reached=True, at="2026-04-13 11:00")
    tried(study, "2026-04-14", "2026-04-15")
    study.contact("2026-04-13", reached=False, at="2026-04-16 11:00")
    since = now(study)["flags"][0]["since"]
    study.corrected(reached, "2026-04-20")
    assert [flag["since"] for flag in now(study)["flags"]] == [since]


@pytest.mark.requirement("WDR-07")
def test_no_attempt_flags_while_every_visit_is_recorded() -> None:
    study = silent()
    study.done("FU-M1", "2026-03-23")
    tried(study, "2026-04-13", "2026-04-14", "2026-04-15")
    assert flagged(study) == []


@pytest.mark.requirement("WDR-07")
def test_the_services_own_miss_counts_as_nothing_recorded_but_a_declared_one_does_not() -> None:
    own, declared = silent(), silent()
    own.until("2026-04-20")  # FU-M1 missed on the 19th
    declared.missed("FU-M1", at="2026-04-02")
    for study in (own, declared):
        tried(study, "2026-04-21", "2026-04-22", "2026-04-23")
    assert flagged(own) == [("lost-to-follow-up", None)]
    assert flagged(declared) == []


@pytest.mark.requirement("WDR-07")
def test_a_contact_reached_after_the_decision_does_not_undo_it() -> None:
    """The count starts anew from there; what was flagged and decided before stays as it was decided."""
    study = Journey().treated("2026-01-05", "2026-01-12")
    study.until("2026-02-12")  # INF3 closed on 29 Jan
    tried(study, "2026-02-12", "2026-02-13", "2026-02-14")
    study.decided("stop-treatment", "2026-02-15")
    assert stop_of(study) == ("LOST TO FOLLOW-UP", "lost-to-follow-up")
    tried(study, "2026-02-16", reached=True)
    assert flagged(study) == [("lost-to-follow-up", "stop-treatment")]
    assert now(study)["dispositions"][0]["decode"] == "LOST TO FOLLOW-UP"


# investigator-decision


def test_the_investigator_may_withdraw_a_subject_without_a_flag() -> None:
    study = started()
    study.decided("withdraw", "2026-01-14", reason="moves abroad")
    assert exit_of(study) == ("PHYSICIAN DECISION", "investigator-decision")
    assert now(study)["exit"]["term"] == "moves abroad"


def test_the_investigator_may_stop_treatment_without_a_flag() -> None:
    study = started()
    study.decided("stop-treatment", "2026-01-14", reason="platelets stable")
    assert stop_of(study) == ("PHYSICIAN DECISION", "investigator-decision")
    assert study.own(TreatmentStopped)[0].term == "platelets stable"


# Decisions


@pytest.mark.requirement("WDR-09")
@pytest.mark.parametrize(
    ("given", "decode"),
    [
        ({}, "LACK OF EFFICACY"),
        ({"decode": "ADVERSE EVENT"}, "ADVERSE EVENT"),
        ({"criterion": "rescue-medication"}, "LACK OF EFFICACY"),
        ({"criterion": "investigator-decision"}, "PHYSICIAN DECISION"),
        ({"criterion": "rescue-medication", "decode": "PHYSICIAN DECISION"}, "PHYSICIAN DECISION"),
    ],
)
def test_a_decisions_dsdecod_is_its_own_else_the_criterions_else_physician_decision(
    given: Json, decode: str
) -> None:
    study = started()
    study.medication("rescue", "2026-01-14")
    study.decided("withdraw", "2026-01-15", **given)
    assert exit_of(study)[0] == decode


def test_a_decision_without_criterion_answers_every_open_flag() -> None:
    study = started()
    study.medication("rescue", "2026-01-14")
    study.medication("prohibited", "2026-01-15")
    study.decided("continue", "2026-01-16")
    assert flagged(study) == [("rescue-medication", "continue"), ("prohibited-medication", "continue")]
    assert now(study)["status"] == "on-treatment"


def test_a_decision_with_a_criterion_answers_that_flag_only() -> None:
    study = started()
    study.medication("rescue", "2026-01-14")
    study.medication("prohibited", "2026-01-15")
    study.decided("continue", "2026-01-16", criterion="rescue-medication")
    assert flagged(study) == [("rescue-medication", "continue"), ("prohibited-medication", None)]
    assert now(study)["state"] == "On hold: prohibited-medication"


def test_continue_clears_a_flag_for_the_facts_known_by_then_and_a_new_fact_flags_again() -> None:
    study = started()
    study.medication("rescue", "2026-01-14")
    study.medication("rescue", "2026-01-15", drug="immunoglobulin")
    study.decided("continue", "2026-01-16")
    assert flagged(study) == [("rescue-medication", "continue")]
    study.medication("rescue", "2026-01-17")
    assert flagged(study) == [("rescue-medication", "continue"), ("rescue-medication", None)]


def test_a_flag_that_stop_treatment_answers_brings_follow_up() -> None:
    study = started()
    study.adverse_event("2026-01-14", serious=True, related=True)
    study.decided("stop-treatment", "2026-01-15")
    assert stop_of(study) == ("ADVERSE EVENT", "adverse-event")
    assert now(study)["status"] == "in-follow-up"


def test_status_is_on_hold_in_follow_up_too() -> None:
    study = Journey().in_follow_up()
    study.medication("rescue", "2026-03-01")
    assert now(study)["status"] == "on-hold"
    study.decided("continue", "2026-03-02")
    assert now(study)["status"] == "in-follow-up"


@pytest.mark.requirement("COR-03")
def test_a_void_of_the_fact_takes_the_flag_back() -> None:
    study = started()
    fact = study.medication("rescue", "2026-01-14")
    study.voided(fact, at="2026-01-15")
    assert flagged(study) == []
    assert [void.event.id for void in study.own(Voided)] == [
        f"ITP-001/flagged/rescue-medication/{fact.source}:{fact.id}"
    ]


# What a stop means for the plan


def test_a_stop_cancels_follow_up_windows_that_had_closed_on_its_date() -> None:
    """Not missed: nobody could have come to a visit whose window was not known."""
    study = started()
    study.medication("rescue", "2026-01-20")
    study.decided("stop-treatment", "2026-03-20")  # from 12 Jan: D14, M1 and M2 (to 19 March) are past
    assert cancelled(study) == ["INF3", "INF4", "INF5", "FU-D14", "FU-M1", "FU-M2"]
    assert study.own(Missed) == []


def test_a_follow_up_window_that_closes_on_the_date_of_the_stop_stays() -> None:
    study = started()
    study.medication("rescue", "2026-01-20")
    study.decided("stop-treatment", "2026-03-19")
    assert "FU-M2" not in cancelled(study)


@pytest.mark.parametrize("how", ["pregnancy", "consent"])
def test_a_stop_changes_nothing_once_treatment_has_ended(how: str) -> None:
    study = Journey().in_follow_up()
    study.done("FU-D14", "2026-03-09")
    study.until("2026-04-02")  # FU-M1 is overdue
    if how == "pregnancy":
        study.pregnant("2026-04-02")
    else:
        study.withdrew("2026-04-02", scope="treatment")
    assert cancelled(study) == []
    study.withdrew("2026-05-01")
    assert study.own(TreatmentStopped) == []
    assert study.sent("treatment-stopped") == []
    assert [each["decode"] for each in now(study)["dispositions"]] == ["COMPLETED", "WITHDRAWAL BY SUBJECT"]


@pytest.mark.requirement("WDR-10")
def test_no_infusion_given_and_none_left_is_an_exit_with_the_disposition_of_the_stop() -> None:
    study = Journey()
    study.enrol("2026-01-05")
    study.pregnant("2026-01-06")
    assert exit_of(study) == ("PREGNANCY", "pregnancy")
    assert len(now(study)["dispositions"]) == 1


@pytest.mark.requirement("WDR-10")
def test_every_infusion_missed_and_none_left_is_an_exit() -> None:
    study = Journey()
    study.enrol("2026-01-05", at="2026-01-05 08:00")
    for visit, at in zip(
        INFUSIONS, ("2026-01-13", "2026-01-14", "2026-01-27", "2026-02-13", "2026-02-27"), strict=True
    ):
        study.missed(visit, at=at)
    study.decided("continue", "2026-03-01")
    assert exit_of(study) == ("PROTOCOL DEVIATION", "missed-infusions")


# Exit


@pytest.mark.requirement("WIN-12")
def test_at_exit_unrecorded_visits_whose_window_had_closed_are_missed_and_the_others_cancelled() -> None:
    study = started()
    study.until("2026-02-02")  # INF3 closed on 29 Jan
    study.withdrew("2026-02-02")
    assert now(study)["visits"][2]["status"] == "missed"
    assert cancelled(study) == ["INF4", "INF5", *FOLLOW_UP]
    assert [(data.visit, data.reason) for data in study.own(Missed)] == [("INF3", "exit")]


@pytest.mark.requirement("WDR-09")
def test_fu_m12_completed_completes_the_journey() -> None:
    study = Journey().at_last_visit()
    study.done("FU-M12", "2027-02-23")
    assert exit_of(study) == ("COMPLETED", None)
    assert (now(study)["status"], now(study)["state"], study.wake) == ("completed", "Completed", None)


@pytest.mark.requirement("WDR-10", "COR-03")
def test_a_voided_exit_resumes_the_journey() -> None:
    study = started()
    end = study.withdrew("2026-01-14")
    assert study.wake is None
    study.voided(end, at="2026-01-15")
    assert now(study)["state"] == "Awaiting INF3"
    study.until("2026-01-27")
    assert study.sent("T", "INF3") == [("2026-01-26 09:00", "T", "coordinator")]


@pytest.mark.requirement("COR-03")
def test_a_voided_fact_voids_the_services_decision_and_the_same_decided_again_is_its_second() -> None:
    study = started()
    end = study.withdrew("2026-01-14")
    study.voided(end, at="2026-01-15")
    study.withdrew("2026-01-14", at="2026-01-16")
    exits = [event.id for event in study.log if event.own and isinstance(event.data, Exited)]
    voids = [void.event.id for void in study.own(Voided)]
    assert voids == exits[:1]
    assert len(exits) == len(set(exits)) == 2


def test_a_decision_whose_criterion_changes_is_voided_and_decided_anew() -> None:
    """The flag that gave the exit its DSDECOD is voided: the exit stands on the decision alone."""
    study = started()
    fact = study.medication("rescue", "2026-01-14")
    study.decided("withdraw", "2026-01-15")
    study.voided(fact, at="2026-01-16")
    exits = [(event.id, event.data.decode) for event in study.log if isinstance(event.data, Exited)]
    first = exits[0][0]
    assert exits == [(first, "LACK OF EFFICACY"), (f"{first}#2", "PHYSICIAN DECISION")]
    assert [void.event.id for void in study.own(Voided)][-1] == first


def test_an_infusion_that_a_stop_cancelled_cannot_be_declared_missed() -> None:
    """It would turn the end of treatment into a completed one."""
    study = Journey().treated("2026-01-05", "2026-01-12", "2026-01-26", "2026-02-09")
    study.withdrew("2026-02-20", scope="treatment")
    with pytest.raises(Refused, match="INF5 is cancelled, for treatment was stopped"):
        study.missed("INF5", at="2026-02-24")
    assert cancelled(study) == ["INF5"]


def test_a_miss_declared_after_a_stop_that_came_in_later_changes_nothing() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12", "2026-01-26", "2026-02-09")
    study.missed("INF5", at="2026-02-24")
    study.withdrew("2026-02-20", scope="treatment", at="2026-02-20")
    assert cancelled(study) == ["INF5"]
    assert now(study)["dispositions"][0]["decode"] == "WITHDRAWAL BY SUBJECT"
    assert now(study)["visits"][5]["anchor"] == {"code": "INF4", "on": "2026-02-09", "basis": "actual"}


# FU-M12 missed


@pytest.mark.requirement("ALR-04")
def test_fu_m12_missed_awaits_a_disposition() -> None:
    study = Journey().at_last_visit()  # FU-M12 closes on 2 March 2027
    study.until("2027-03-22 09:00")
    assert now(study)["state"] == "Awaiting disposition"
    assert now(study)["exit"] is None


@pytest.mark.requirement("ALR-04")
def test_complete_after_a_missed_fu_m12_is_completed() -> None:
    study = Journey().at_last_visit()
    study.missed("FU-M12", at="2027-03-03")
    study.decided("complete", "2027-03-04")
    assert exit_of(study) == ("COMPLETED", None)


def test_complete_with_a_criterion_that_waits_for_nothing_is_refused() -> None:
    study = Journey().at_last_visit()
    study.missed("FU-M12", at="2027-03-03")
    with pytest.raises(Refused, match="no flag for rescue-medication waits for a decision"):
        study.decided("complete", "2027-03-04", criterion="rescue-medication")


@pytest.mark.requirement("ALR-04")
def test_withdraw_after_a_missed_fu_m12_is_lost_to_follow_up_by_default() -> None:
    study = Journey().at_last_visit()
    study.missed("FU-M12", at="2027-03-03")
    study.decided("withdraw", "2027-03-04")
    assert exit_of(study)[0] == "LOST TO FOLLOW-UP"


@pytest.mark.requirement("ALR-04")
def test_withdraw_after_a_missed_fu_m12_may_say_that_the_subject_is_lost() -> None:
    """The criterion needs no flag there; to go on with a subject whose study is over is refused."""
    study = Journey().at_last_visit()
    study.missed("FU-M12", at="2027-03-03")
    said = r"no flag for lost-to-follow-up waits for a decision on 4 Mar 2027 at \d\d:\d\d \(Asia/Shanghai\)"
    with pytest.raises(Refused, match=said):
        study.decided("continue", "2027-03-04", criterion="lost-to-follow-up")
    study.decided("withdraw", "2027-03-04", criterion="lost-to-follow-up")
    assert exit_of(study) == ("LOST TO FOLLOW-UP", "lost-to-follow-up")


@pytest.mark.requirement("ALR-04")
def test_withdraw_after_a_missed_fu_m12_takes_the_decisions_own_decode() -> None:
    study = Journey().at_last_visit()
    study.missed("FU-M12", at="2027-03-03")
    study.decided("withdraw", "2027-03-04", decode="PHYSICIAN DECISION")
    assert exit_of(study)[0] == "PHYSICIAN DECISION"


def test_a_stop_that_leaves_no_visit_awaits_a_disposition() -> None:
    """On hold for over a year, then stopped: every window is past, and the investigator must choose."""
    study = started()
    study.medication("rescue", "2026-01-14")
    study.decided("stop-treatment", "2027-03-01")
    assert now(study)["state"] == "Awaiting disposition"
    assert study.wake is not None
    study.decided("complete", "2027-03-02")
    assert exit_of(study) == ("COMPLETED", None)


# One disposition per epoch


def dispositions(study: Journey) -> list[tuple[str, str, str]]:
    return [(each["epoch"], each["on"], each["decode"]) for each in now(study)["dispositions"]]


@pytest.mark.requirement("WDR-09")
def test_treatment_may_end_while_follow_up_goes_on() -> None:
    study = started()
    study.pregnant("2026-01-14")
    assert dispositions(study) == [("treatment", "2026-01-14", "PREGNANCY")]
    study.withdrew("2026-02-10")
    assert dispositions(study) == [
        ("treatment", "2026-01-14", "PREGNANCY"),
        ("follow-up", "2026-02-10", "WITHDRAWAL BY SUBJECT"),
    ]


@pytest.mark.requirement("WDR-09")
def test_treatment_is_completed_with_infusion_5_and_follow_up_with_m12() -> None:
    study = Journey().at_last_visit()
    assert dispositions(study) == [("treatment", "2026-02-23", "COMPLETED")]
    study.done("FU-M12", "2027-02-23")
    assert dispositions(study)[1] == ("follow-up", "2027-02-23", "COMPLETED")


@pytest.mark.requirement("WDR-09")
def test_treatment_with_an_infusion_voided_after_the_end_is_other_by_the_last_one_given() -> None:
    """On hold all the time, so that the service never counted the infusion as missed before the end."""
    study = Journey().treated("2026-01-05")
    study.medication("rescue", "2026-01-06")
    study.awake = False
    dates = ("2026-01-12", "2026-01-26", "2026-02-09", "2026-02-23")
    for visit, on in zip(INFUSIONS[1:], dates, strict=True):
        study.done(visit, on)
    study.done("FU-M12", "2027-02-23", confirmed=True)
    study.voided(study.folded().completed["INF1"], "2027-03-10")
    found = study.plan("2027-03-11")["dispositions"]
    assert [(each["epoch"], each["on"], each["decode"]) for each in found] == [
        ("treatment", "2026-02-23", "OTHER"),
        ("follow-up", "2027-02-23", "COMPLETED"),
    ]


@pytest.mark.requirement("WDR-09")
def test_an_exit_during_treatment_is_the_disposition_of_treatment_only() -> None:
    study = started()
    study.died("2026-01-14")
    assert dispositions(study) == [("treatment", "2026-01-14", "DEATH")]


def test_continuing_after_missed_infusions_withdraws_nobody_however_late_it_is_decided() -> None:
    """The ladders of the infusions after them were paused, so none of those is missed."""
    study = Journey()
    study.enrol("2026-01-05")
    study.missed("INF1", at="2026-01-13")
    study.missed("INF2", at="2026-01-21")
    study.decided("continue", "2026-03-30", criterion="missed-infusions")
    plan = study.plan("2026-03-30 11:05")
    assert (plan["state"], plan["exit"], plan["dispositions"]) == ("INF3 overdue", None, [])
    study.until("2026-05-01")
    assert study.audiences("exit") == {}


def test_a_criterion_is_met_when_its_last_condition_becomes_known_not_on_the_date_it_speaks_of() -> None:
    """An attempt entered late is the third to be known: no decision before that answered it."""
    study = Journey().treated("2026-01-05")
    for on in ("2026-01-20", "2026-01-22"):
        study.contact(on, reached=False)
    study.until("2026-01-27 12:00")
    study.medication("rescue", "2026-01-27", at="2026-01-28 09:30")
    study.decided("continue", "2026-01-28")
    study.contact("2026-01-21", reached=False, at="2026-01-29 09:30")
    flags = study.plan("2026-01-29 10:00")["flags"]
    assert [(flag["criterion"], flag["since"], flag["decision"]) for flag in flags] == [
        ("rescue-medication", "2026-01-28T01:30:00Z", "continue"),
        ("lost-to-follow-up", "2026-01-29T01:30:00Z", None),
    ]


@pytest.mark.requirement("WDR-09")
def test_treatment_with_an_infusion_missed_ends_as_other_with_the_count() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12", "2026-01-26", "2026-02-09")
    study.missed("INF5", at="2026-02-27 15:00")
    assert study.plan("2026-02-28")["dispositions"] == [
        {"epoch": "treatment", "on": "2026-02-27", "decode": "OTHER", "term": "4 of 5 infusions given"}
    ]
    skipped = Journey().treated("2026-01-05")
    skipped.missed("INF2", at="2026-01-16")
    for visit, on in (("INF3", "2026-01-26"), ("INF4", "2026-02-09"), ("INF5", "2026-02-23")):
        skipped.done(visit, on)
    assert skipped.plan("2026-02-28")["dispositions"] == [
        {"epoch": "treatment", "on": "2026-02-23", "decode": "OTHER", "term": "4 of 5 infusions given"}
    ]
