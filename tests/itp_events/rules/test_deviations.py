"""Deviations: their conditions, their ids, their importance, and the investigator's assessment."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from itp_events.errors import Refused
from itp_events.events import Completed, Event, Voided, parse_event
from itp_events.intake.batch import judge
from itp_events.protocol.file import load_protocol
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.state import subject_state
from itp_events.rules.subject import fold, not_voided
from tests.itp_events.histories import History, histories
from tests.support.study import INFUSIONS, Study, altered

pytestmark = pytest.mark.requirement("DEV-01")


def found(study: Study, at: str) -> list[Deviation]:
    return list(deviations(subject_state(study.folded(), study.instant(at))))


def ids(study: Study, at: str) -> list[str]:
    return [each.id for each in found(study, at)]


def one(study: Study, at: str) -> Deviation:
    [only] = found(study, at)
    return only


def enrolled(**data: Any) -> Study:
    study = Study()
    study.enrol("2026-01-05", **data)
    study.done("INF1", "2026-01-05")
    return study


def restated(study: Study, event: Event, at: str, **changed: Any) -> Event:
    """Void an event and state it anew in one batch, with some of its data changed."""
    void = study.void(event, at)
    data = event.to_json()["data"] | changed
    again = study.event(event.type, data.pop("on", None), at, **data)
    study.record(void, again)
    return again


# A visit out of its window


def test_a_visit_outside_its_window_is_a_deviation() -> None:
    study = enrolled()
    study.done("INF2", "2026-01-15")
    deviation = one(study, "2026-01-16")
    assert (deviation.id, deviation.category) == ("ITP-001/INF2/window/2026-01-15/+2d", "window")
    assert (deviation.visit, str(deviation.on)) == ("INF2", "2026-01-15")
    assert deviation.term == "INF2 done on 15 Jan 2026, 2 days after the window of 11 to 13 Jan 2026"


def test_a_visit_inside_its_window_is_none() -> None:
    study = enrolled()
    study.done("INF2", "2026-01-13")
    assert found(study, "2026-01-14") == []


@pytest.mark.parametrize(("on", "important"), [("2026-01-20", False), ("2026-01-21", True)])
def test_only_far_outside_its_window_a_visit_is_an_important_deviation(on: str, important: bool) -> None:
    study = enrolled()
    study.done("INF2", on)
    assert one(study, "2026-01-22").important is important


def test_a_corrected_date_makes_another_deviation_and_a_restated_one_the_same() -> None:
    study = enrolled()
    visit = study.done("INF2", "2026-01-15")
    before = ids(study, "2026-01-16")
    visit = restated(study, visit, "2026-01-17", weight_kg=60)
    assert ids(study, "2026-01-18") == before
    restated(study, visit, "2026-01-19", on="2026-01-16")
    assert ids(study, "2026-01-20") == ["ITP-001/INF2/window/2026-01-16/+3d"]


def test_a_deviation_ends_with_the_void_of_its_visit() -> None:
    study = enrolled()
    visit = study.done("INF2", "2026-01-15")
    study.voided(visit, "2026-01-16")
    assert found(study, "2026-01-16 12:00") == []


# Missed, and skipped


def test_a_missed_visit_is_a_deviation_important_in_treatment_only() -> None:
    study = enrolled()
    study.missed("INF2", "2026-01-14", reason="fever")
    deviation = one(study, "2026-01-15")
    assert (deviation.id, deviation.term) == ("ITP-001/INF2/missed", "INF2 missed: fever")
    assert (str(deviation.on), deviation.important) == ("2026-01-13", True)
    treated = enrolled()
    treated.on_target(*INFUSIONS[1:])
    treated.missed("FU-D14", "2026-03-14")
    assert one(treated, "2026-03-15").important is False


def test_a_visit_counted_as_missed_stays_the_same_deviation_when_somebody_gives_the_reason() -> None:
    study = enrolled()
    assert found(study, "2026-01-20") == []
    assert ids(study, "2026-02-10") == ["ITP-001/INF2/missed"]
    study.missed("INF2", "2026-02-11", reason="travelling")
    assert ids(study, "2026-02-12") == ["ITP-001/INF2/missed"]


def test_a_missed_visit_that_took_place_after_all_is_none() -> None:
    study = enrolled()
    assert ids(study, "2026-02-10") == ["ITP-001/INF2/missed"]
    study.done("INF2", "2026-01-12", at="2026-02-11")
    assert found(study, "2026-02-12") == []


def in_follow_up() -> Study:
    """Treatment completed on 23 February; FU-D14 is due on 9 March, until the 12th."""
    study = enrolled()
    study.on_target(*INFUSIONS[1:])
    return study


def test_an_overdue_visit_is_no_deviation_before_it_is_missed_or_passed_over() -> None:
    assert found(in_follow_up(), "2026-03-20") == []


def test_a_visit_passed_over_is_skipped_and_the_same_deviation_when_it_is_missed() -> None:
    study = in_follow_up()
    study.done("FU-M1", "2026-03-23")
    skipped = one(study, "2026-03-24")
    assert (skipped.id, skipped.term.split(":")[0]) == ("ITP-001/FU-D14/missed", "FU-D14 skipped")
    assert "and FU-M1 was done on 23 Mar 2026" in skipped.term
    study.missed("FU-D14", "2026-03-25")
    assert ids(study, "2026-03-26") == ["ITP-001/FU-D14/missed"]


@pytest.mark.parametrize("stopped", ["2026-01-08", "2026-01-13"])
def test_a_visit_cancelled_by_a_stop_by_the_last_day_of_its_window_is_not_skipped(stopped: str) -> None:
    study = enrolled()
    study.decided("stop-treatment", stopped)
    assert found(study, "2026-01-20") == []


def test_an_infusion_whose_window_had_passed_before_the_stop_was_skipped() -> None:
    study = enrolled()
    study.decided("stop-treatment", "2026-01-20")
    skipped = one(study, "2026-01-21")
    assert (skipped.id, str(skipped.on)) == ("ITP-001/INF2/missed", "2026-01-13")
    assert "before treatment was stopped on 20 Jan 2026" in skipped.term


def test_an_infusion_that_had_to_wait_for_a_decision_was_not_skipped() -> None:
    study = enrolled()
    study.medication("rescue", "2026-01-09")
    study.decided("stop-treatment", "2026-01-20", criterion="rescue-medication")
    assert found(study, "2026-01-21") == []


def test_an_infusion_that_waits_for_a_decision_is_not_skipped_when_a_later_visit_was_done() -> None:
    """The flag had stopped treatment, and FU-D14 took place, until the decision was taken back."""
    study = enrolled()
    study.medication("rescue", "2026-01-09")
    stop = study.decided("stop-treatment", "2026-01-14", criterion="rescue-medication")
    study.done("FU-D14", "2026-01-19")
    study.voided(stop, "2026-01-20")
    assert "missed" not in [each.category for each in found(study, "2026-01-21")]


def test_a_visit_left_behind_by_an_exit_is_missed_only_when_its_window_had_closed() -> None:
    study = enrolled()
    study.withdrew("2026-01-14")
    assert ids(study, "2026-01-15") == ["ITP-001/INF2/missed"]


# Dose, hold


def test_a_dose_off_by_more_than_the_limit_is_an_important_deviation() -> None:
    study = enrolled()
    study.done("INF2", "2026-01-12", cells_given=5e9)
    deviation = one(study, "2026-01-13")
    assert deviation.id == "ITP-001/INF2/dose/2026-01-12/5000000000/61.5kg"
    assert deviation.term == "INF2: 5 x 10^9 cells given, 6.15 x 10^9 planned for 61.5 kg"
    assert deviation.important


def test_an_infusion_given_on_hold_is_an_important_deviation() -> None:
    study = enrolled()
    study.medication("rescue", "2026-01-09")
    study.done("INF2", "2026-01-12")
    deviation = one(study, "2026-01-13")
    assert (deviation.id, deviation.important) == ("ITP-001/INF2/on-hold/2026-01-12", True)
    study.decided("continue", "2026-01-14")
    assert ids(study, "2026-01-15") == [deviation.id]


# Eligibility and consent


def test_a_criterion_that_a_correction_shows_unmet_is_an_important_deviation() -> None:
    study = Study()
    enrolment = study.enrol("2026-01-05")
    screening = enrolment.to_json()["data"]["screening"] | {"alt_x_uln": 3.4, "ast_x_uln": 3.2}
    restated(study, enrolment, "2026-01-06", screening=screening)
    assert ids(study, "2026-01-07") == ["ITP-001/eligibility/liver/ALT", "ITP-001/eligibility/liver/AST"]
    first = found(study, "2026-01-07")[0]
    assert (first.visit, str(first.on), first.important) == (None, "2026-01-05", True)
    assert "ALT 3.4 x ULN, limit 3" in first.term


@pytest.mark.requirement("CON-01")
def test_a_consent_that_a_correction_dates_after_a_procedure_is_an_important_deviation() -> None:
    study = Study()
    enrolment = study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    restated(study, enrolment, "2026-01-09", consent_on="2026-01-08")
    deviation = one(study, "2026-01-10")
    assert (deviation.id, deviation.category) == ("ITP-001/consent/consent-late/2026-01-08", "consent")
    assert deviation.term == "consent given on 8 Jan 2026, after the first procedure on 5 Jan 2026"
    assert deviation.important


@pytest.mark.requirement("CON-01")
def test_an_unscheduled_visit_before_the_corrected_consent_is_a_procedure_without_consent() -> None:
    study = Study()
    enrolment = study.enrol("2026-01-05", consent_on="2025-12-20")
    study.unscheduled("2025-12-22", at="2026-01-05 12:00")
    restated(study, enrolment, "2026-01-06", consent_on="2025-12-23")
    assert ids(study, "2026-01-07") == ["ITP-001/consent/consent-late/2025-12-23"]


@pytest.mark.requirement("CON-01")
def test_an_assent_that_a_correction_shows_late_or_missing_is_about_consent() -> None:
    study = Study()
    child = {"age_years": 10, "pregnancy_test": None, "childbearing": False}
    enrolment = study.enrol("2026-01-05", consent_by="guardian", assent_on="2026-01-04", screening=child)
    again = restated(study, enrolment, "2026-01-09", assent_on="2026-01-08")
    assert ids(study, "2026-01-10") == ["ITP-001/consent/assent-late/2026-01-08"]
    restated(study, again, "2026-01-11", assent_on=None)
    assert ids(study, "2026-01-12") == ["ITP-001/consent/assent-missing"]


@pytest.mark.requirement("CON-01")
def test_a_consent_that_falls_due_during_the_study_is_no_deviation_by_itself() -> None:
    study = Study()
    young = {"age_years": 17}
    study.enrol("2026-01-05", consent_by="guardian", assent_on="2026-01-04", screening=young)
    assert found(study, "2026-01-06") == []


# Safety reports


def serious(**data: Any) -> Study:
    """A serious event of which the site became aware on 7 January at 11:00."""
    study = enrolled()
    study.adverse_event("2026-01-06", at="2026-01-07 11:00", serious=True, **data)
    return study


def test_a_safety_report_that_is_not_submitted_within_its_limit_is_an_important_deviation() -> None:
    study = serious()
    assert found(study, "2026-01-08 10:59") == []
    deviation = one(study, "2026-01-08 11:00")
    assert (deviation.id, deviation.visit) == ("ITP-001/safety-report/site/e-3", None)
    assert deviation.term == "report of AE-1 (Fever) due by 8 Jan 2026 11:00: not submitted"
    assert (str(deviation.on), deviation.important) == ("2026-01-08", True)


def test_a_safety_report_submitted_late_stays_the_same_deviation() -> None:
    study = serious()
    [missing] = ids(study, "2026-01-08 11:00")
    study.submitted("AE-1", "2026-01-08", at="2026-01-08 11:01")
    late = one(study, "2026-01-09")
    assert late.id == missing
    assert late.term.endswith("submitted on 8 Jan 2026, entered 8 Jan 2026 11:01")


@pytest.mark.parametrize(
    ("on", "at", "late"),
    [
        ("2026-01-07", "2026-01-07 12:00", False),
        ("2026-01-08", "2026-01-08 11:00", False),
        ("2026-01-07", "2026-01-20 12:00", False),
        ("2026-01-08", "2026-01-08 11:01", True),
        ("2026-01-08", "2026-01-09 09:00", True),
        ("2026-01-09", "2026-01-09 09:00", True),
    ],
)
def test_a_submission_is_in_time_by_its_date_and_on_the_limit_s_day_by_its_entry(
    on: str, at: str, late: bool
) -> None:
    study = serious()
    study.submitted("AE-1", on, at=at)
    assert bool(found(study, "2026-01-21")) is late


def test_a_typing_error_corrected_leaves_a_late_report_the_same_deviation() -> None:
    study = serious(term="Fevre")
    report = study.log[-1]
    before = ids(study, "2026-01-09")
    restated(study, report, "2026-01-09", term="Fever")
    assert ids(study, "2026-01-10") == before
    assert "(Fever)" in one(study, "2026-01-10").term


def test_an_event_that_grows_worse_after_its_submission_owes_a_follow_up_report() -> None:
    study = serious()
    study.submitted("AE-1", "2026-01-07", at="2026-01-07 12:00")
    study.adverse_event("2026-01-06", at="2026-01-12 11:00", serious=True, grade=4)
    deviation = one(study, "2026-01-14")
    assert deviation.term == "follow-up report of AE-1 (Fever) due by 13 Jan 2026 11:00: not submitted"


def test_a_pregnancy_has_the_same_limit() -> None:
    study = enrolled()
    study.pregnant("2026-01-07", partner=True)
    assert one(study, "2026-01-09").term.startswith("report of the pregnancy due by 8 Jan 2026 11:00")


# Importance and assessment


def test_which_category_is_important_is_protocol_data() -> None:
    calm = altered(lambda data: data["deviations"]["missed"].update(important=False))
    study = Study(protocol=calm)
    study.enrol("2026-01-05")
    study.missed("INF1", "2026-01-14")
    assert not one(study, "2026-01-15").important


@pytest.mark.requirement("DEV-02")
def test_the_investigator_s_assessment_decides_the_importance() -> None:
    study = enrolled()
    study.missed("INF2", "2026-01-14")
    assert one(study, "2026-01-15").waits
    study.assessed("ITP-001/INF2/missed", at="2026-01-15", cause="infection", action="none")
    deviation = one(study, "2026-01-16")
    assert (deviation.important, deviation.waits) == (False, False)
    study.assessed("ITP-001/INF2/missed", at="2026-01-17", important=True)
    assert one(study, "2026-01-18").important


def test_the_plan_lists_the_deviations_with_their_assessments() -> None:
    study = enrolled()
    study.missed("INF2", "2026-01-14")
    assert study.plan("2026-01-15")["deviations"][0]["assessed"] is None
    study.assessed("ITP-001/INF2/missed", at="2026-01-15", cause="infection")
    [row] = study.plan("2026-01-16")["deviations"]
    assert row == {
        "id": "ITP-001/INF2/missed",
        "category": "missed",
        "visit": "INF2",
        "on": "2026-01-13",
        "important": False,
        "assessed": {
            "important": False,
            "cause": "infection",
            "action": None,
            "by": "inv-01",
            "at": "2026-01-15T03:00:00Z",
        },
    }


@pytest.mark.requirement("DEV-02")
def test_an_assessment_of_no_deviation_is_refused_and_the_nearest_is_named() -> None:
    study = enrolled()
    study.missed("INF2", "2026-01-14")
    study.missed("INF3", "2026-01-30")
    with pytest.raises(Refused, match="the nearest is 'ITP-001/INF3/missed'") as refusal:
        study.assessed("itp-001/inf3/misssed", at="2026-01-31")
    assert refusal.value.rule == "deviation"
    with pytest.raises(Refused, match="has no deviation 'x', nor any other"):
        enrolled().assessed("x", at="2026-01-06")


def test_a_deviation_is_assessed_after_exit_too() -> None:
    study = enrolled()
    study.missed("INF2", "2026-01-14")
    study.withdrew("2026-01-15")
    study.assessed("ITP-001/INF2/missed", at="2026-01-20")
    assert one(study, "2026-01-21").assessed is not None


@pytest.mark.requirement("DEV-02")
def test_the_void_of_an_assessment_leaves_the_deviation_to_be_assessed() -> None:
    study = enrolled()
    study.missed("INF2", "2026-01-14")
    assessment = study.assessed("ITP-001/INF2/missed", at="2026-01-15")
    study.voided(assessment, "2026-01-16")
    assert one(study, "2026-01-17").waits


@pytest.mark.requirement("DEV-02")
def test_an_assessment_stands_when_the_visit_that_it_assessed_is_entered_late() -> None:
    study = enrolled()
    study.decide("2026-02-10")
    study.assessed("ITP-001/INF2/missed", at="2026-02-10 12:00")
    study.done("INF2", "2026-01-12", at="2026-02-11")
    facts = [event for event in study.log if not event.own]
    verdicts = judge(study.protocol, [], facts, study.instant("2026-02-12")).verdicts
    assert [verdict.error for verdict in verdicts] == [None] * len(facts)


# Always

looked_at = settings(max_examples=max(24, settings().max_examples // 4))
PROTOCOL = load_protocol()


def of_history(facts: list[Event], at: Any) -> list[Deviation]:
    return list(deviations(subject_state(fold(PROTOCOL, facts), at)))


@looked_at
@given(histories(), st.lists(st.integers(0, 9000), min_size=2, max_size=2).map(sorted))
def test_time_alone_ends_no_deviation_and_no_two_share_an_id(history: History, hours: list[int]) -> None:
    note(repr(history))
    early, late = (of_history(history.facts, history.end + timedelta(hours=each)) for each in hours)
    assert len({each.id for each in late}) == len(late)
    assert {each.id for each in early} <= {each.id for each in late}


@looked_at
@given(histories(), st.integers(0, 30), st.integers(0, 400))
def test_a_fact_restated_unchanged_leaves_every_deviation_its_id(
    history: History, pick: int, hours: int
) -> None:
    """What is corrected in nothing that a deviation rests on changes no deviation."""
    note(repr(history))
    facts = not_voided(history.facts)
    event = facts[pick % len(facts)]
    now = history.end + timedelta(hours=hours)
    before = {each.id for each in of_history(history.facts, now)}
    reference = {"by": "crc-02", "event": {"source": event.source, "id": event.id}, "reason": "typing error"}
    raw = event.to_json() | {"time": now.isoformat()}
    void = parse_event(raw | {"id": "void", "type": Voided.type, "data": reference})
    again = parse_event(raw | {"id": "again", "data": raw["data"] | {"by": "crc-02"}})
    accepted = judge(PROTOCOL, history.facts, [void, again], now).accepted
    assume(len(accepted) == 2)
    assert {each.id for each in of_history([*history.facts, *accepted], now)} == before


# Few histories deviate at a visit; the others say nothing of this rule.
@settings(looked_at, suppress_health_check=[HealthCheck.filter_too_much])
@given(histories(), st.integers(0, 30))
def test_a_deviation_of_a_visit_ends_with_the_void_of_that_visit(history: History, pick: int) -> None:
    note(repr(history))
    known = [each for each in of_history(history.facts, history.end) if each.category in ("window", "dose")]
    assume(known)
    deviation = known[pick % len(known)]
    [event] = [
        event
        for event in not_voided(history.facts)
        if isinstance(event.data, Completed) and event.data.visit == deviation.visit
    ]
    void = parse_event(
        event.to_json()
        | {
            "id": "void",
            "type": Voided.type,
            "time": history.end.isoformat(),
            "data": {"by": "crc-02", "reason": "wrong", "event": {"source": event.source, "id": event.id}},
        }
    )
    after = of_history([*history.facts, void], history.end)
    assert deviation.id not in {each.id for each in after}
