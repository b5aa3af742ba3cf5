"""An event and its corrections are one: unchanged content goes on, changed content is judged anew."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itp_events.decisions import decide
from itp_events.events import Event, parse_event, parse_recorded
from itp_events.notices.wanted import WantedNotice
from tests.itp_events.journey import Journey
from tests.support.study import Study

pytestmark = pytest.mark.requirement("COR-02")

State = Callable[[Journey], Event]


def started() -> Journey:
    return Journey().treated("2026-01-05", "2026-01-12")


def told(study: Journey) -> list[tuple[str, str, str]]:
    """Everything that left, whatever it was about."""
    return study.sent()


UNCHANGED: dict[str, tuple[State, dict[str, Any]]] = {
    "serious event, its term": (
        lambda s: s.adverse_event("2026-01-14", serious=True, related=True),
        {"term": "Fever of unknown origin"},
    ),
    "pregnancy, its date": (lambda s: s.pregnant("2026-01-14", partner=True), {"on": "2026-01-13"}),
    "medication, its detail": (lambda s: s.medication("rescue", "2026-01-14"), {"detail": "40 mg daily"}),
    "visit, its weight": (lambda s: s.done("INF3", "2026-01-19", at="2026-01-19"), {"weight_kg": 60.0}),
    "decision, its reason": (
        lambda s: s.decided("withdraw", "2026-01-14"),
        {"reason": "judged by the investigator and the sponsor"},
    ),
    "consent, who states it": (lambda s: s.withdrew("2026-01-14"), {}),
    "death, its event": (lambda s: s.died("2026-01-14"), {"ae": "AE-9"}),
    "enrolment, its weight": (lambda s: s.log[0], {"weight_kg": 61.0}),
}


@pytest.mark.parametrize("what", UNCHANGED)
def test_a_correction_without_a_change_that_matters_to_a_notice_is_not_told(what: str) -> None:
    state, changed = UNCHANGED[what]
    study, other = started(), started()
    wrong = state(study)
    state(other)
    study.corrected(wrong, max("2026-01-14 23:00", f"{study.local(wrong.time)[:10]} 23:00"), **changed)
    study.until("2026-01-30")
    other.until("2026-01-30")
    assert told(study) == told(other)


CHANGED: dict[str, tuple[State, dict[str, Any], str, int]] = {
    "serious event, its grade": (
        lambda s: s.adverse_event("2026-01-14", serious=True, related=True), {"grade": 4}, "flag", 4
    ),
    "pregnancy, whose": (lambda s: s.pregnant("2026-01-14", partner=True), {"partner": False}, "sae", 4),
    "medication, the drug": (
        lambda s: s.medication("rescue", "2026-01-14"), {"drug": "dexamethasone"}, "flag", 4
    ),
    "visit, its date": (lambda s: s.done("INF3", "2026-01-20"), {"on": "2026-01-19"}, "out-of-window", 4),
    "exit, its date": (lambda s: s.withdrew("2026-01-14"), {"on": "2026-01-13"}, "exit", 8),
    "death, its date": (lambda s: s.died("2026-01-14"), {"on": "2026-01-13"}, "exit", 8),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_a_correction_that_matters_to_a_notice_is_told(what: str) -> None:
    state, changed, step, count = CHANGED[what]
    study = started()
    wrong = state(study)
    study.corrected(wrong, f"{study.local(wrong.time)[:10]} 23:00", **changed)
    assert sum(study.audiences(step).values()) == count


def test_the_clock_of_a_corrected_event_goes_on_from_its_first_report() -> None:
    study = started()
    wrong = study.adverse_event("2026-01-14", at="2026-01-14 15:30", serious=True)
    study.corrected(wrong, "2026-01-15 03:30", term="Fever of unknown origin")
    study.until("2026-01-20")
    assert {at for at, _, _ in study.sent("sae-20h")} == {"2026-01-15 11:30"}
    assert {at for at, _, _ in study.sent("sae-24h")} == {"2026-01-15 15:30"}


def test_the_next_notice_has_the_content_of_the_correction() -> None:
    study = started()
    wrong = study.adverse_event("2026-01-14", at="2026-01-14 15:30", serious=True, term="Fewer")
    study.corrected(wrong, "2026-01-15 03:30", term="Fever")
    study.until("2026-01-20")
    assert [data.facts["term"] for _, data in study.notices("sae-20h")] == ["Fever", "Fever"]


def test_a_further_report_continues_the_event_as_a_correction_does() -> None:
    study = started()
    study.adverse_event("2026-01-14", serious=True, related=True)
    study.decided("continue", "2026-01-15")
    study.adverse_event(
        "2026-01-16", serious=True, related=True, term="Fever, still", outcome="not-recovered"
    )
    assert study.audiences("sae") == {"investigator": 1, "sponsor": 1}
    assert [flag["decision"] for flag in study.plan("2026-01-17")["flags"]] == ["continue"]
    study.adverse_event("2026-01-18", serious=True, related=True, grade=4)
    assert study.audiences("sae") == {"investigator": 2, "sponsor": 2}
    assert [flag["decision"] for flag in study.plan("2026-01-19")["flags"]] == ["continue", None]


def test_a_correction_is_judged_against_the_event_that_it_corrects_directly() -> None:
    """Grade 3, then 4, then 3 again: each change is told."""
    study = started()
    third = study.adverse_event("2026-01-14", serious=True, grade=3)
    fourth = study.corrected(third, "2026-01-15", grade=4)
    study.corrected(fourth, "2026-01-16", grade=3)
    assert study.audiences("sae") == {"investigator": 3, "sponsor": 3}


def test_correcting_the_last_visit_ends_the_study_as_before_and_flags_nothing() -> None:
    study = Journey().in_follow_up()
    for month, on in (
        ("D14", "2026-03-09"),
        ("M1", "2026-03-23"),
        ("M2", "2026-04-23"),
        ("M3", "2026-05-25"),
    ):
        study.done(f"FU-{month}", on)
    for month, on in (("M6", "2026-08-24"), ("M9", "2026-11-23"), ("M12", "2027-02-23")):
        last = study.done(f"FU-{month}", on)
    study.adverse_event("2027-03-20", serious=True, related=True)
    study.until("2027-05-31")
    before = told(study)
    study.corrected(last, "2027-06-01", platelets=140)
    assert told(study) == before
    plan = study.plan("2027-06-02")
    assert (plan["state"], plan["exit"]["on"], plan["flags"]) == ("Completed", "2027-02-23", [])


def test_an_exit_that_was_voided_and_is_restated_days_later_under_its_visit_is_not_told_again() -> None:
    study = Journey().in_follow_up()
    last = study.done("FU-M12", "2027-02-23", confirmed=True)
    assert sum(study.audiences("exit").values()) == 4
    study.voided(last, "2027-02-24")
    study.record(study.again(last, "2027-02-26"))
    study.until("2027-03-10")
    assert sum(study.audiences("exit").values()) == 4


def test_in_the_same_batch_the_code_of_the_visit_may_have_been_wrong() -> None:
    study = started()
    wrong = study.booked("INF3", "2026-02-09", at="2026-01-14 11:00")
    again = study.corrected(wrong, "2026-01-14 12:00", visit="INF4")
    assert study.folded().chain.before[again.key].event == wrong


def test_a_number_of_an_adverse_event_corrected_in_one_batch_keeps_its_clock_and_its_submission() -> None:
    study = started()
    wrong = study.adverse_event("2026-01-14", at="2026-01-14 15:30", serious=True, ae="AE-7")
    study.submitted("AE-7", "2026-01-14", at="2026-01-14 18:00")
    study.corrected(wrong, "2026-01-15 03:30", ae="AE-1")
    study.until("2026-01-20")
    assert study.audiences("sae") == {"investigator": 1, "sponsor": 1}
    assert study.sent("sae-20h") == study.sent("sae-24h") == []


def worse_since(study: Journey) -> Event:
    """A submitted event becomes fatal; its first report, which is returned, had a typing error."""
    first = study.adverse_event("2026-01-14", serious=True, term="Fevre")
    study.submitted("AE-1", "2026-01-14", at="2026-01-14 12:00")
    study.adverse_event("2026-01-15", serious=True, grade=5)
    return first


def test_an_earlier_report_corrected_leaves_the_event_as_bad_as_the_newest_report_says() -> None:
    study, other = started(), started()
    first = worse_since(study)
    worse_since(other)
    study.corrected(first, "2026-01-15 20:00", term="Fever")
    assert study.until("2026-01-15 21:00").state == "On hold: death-unrecorded"
    other.until("2026-01-15 21:00")
    assert told(study) == told(other)
    for each in (study, other):
        each.adverse_event("2026-01-16", serious=True, grade=5, term="Sepsis")
        each.until("2026-01-30")
    assert told(study) == told(other)


def test_a_booking_restated_unchanged_does_not_overtake_a_newer_one() -> None:
    study = started()
    first = study.booked("INF3", "2026-01-27", at="2026-01-13")
    study.booked("INF3", "2026-01-28", at="2026-01-14")
    study.corrected(first, "2026-01-15")
    assert study.plan("2026-01-16").visit("INF3")["booked"] == "2026-01-28"


def test_a_decision_restated_unchanged_answers_the_flags_known_at_the_first() -> None:
    study = started()
    study.medication("rescue", "2026-01-14")
    decision = study.decided("continue", "2026-01-15")
    study.medication("rescue", "2026-01-16", drug="dexamethasone")
    study.corrected(decision, "2026-01-17", reason="one dose only")
    flags = study.plan("2026-01-18")["flags"]
    assert [flag["decision"] for flag in flags] == ["continue", None]


@pytest.mark.parametrize("minutes", [0, 1, 3, 5])
def test_an_event_reported_by_itself_minutes_after_a_void_is_no_restatement(
    minutes: int,
) -> None:
    """It came in no batch with the void: another serious event is told of, and has a clock of its own."""
    study = started()
    wrong = study.adverse_event("2026-01-14", at="2026-01-14 11:00", serious=True, related=True, ae="AE-1")
    study.voided(wrong, "2026-01-14 11:10")
    at = f"2026-01-14 11:{10 + minutes}"
    study.adverse_event("2026-01-14", at=at, serious=True, related=True, ae="AE-2")
    assert study.audiences("sae") == {"investigator": 2, "sponsor": 2}
    assert study.audiences("flag") == {"investigator": 2, "coordinator": 2}
    study.until("2026-01-20")
    assert {data.facts["ae"] for _, data in study.notices("sae-24h")} == {"AE-2"}


def test_a_restatement_in_a_batch_is_noted_and_read_back_from_the_log() -> None:
    study = started()
    wrong = study.adverse_event("2026-01-14", serious=True, ae="AE-1")
    again = study.corrected(wrong, "2026-01-15", ae="AE-2")
    kept = next(event for event in study.log if event.key == again.key)
    assert parse_recorded(kept.to_json()).restates == wrong.key
    assert parse_event(kept.to_json()).restates is None  # what a sender says of it has no meaning


def test_another_event_within_five_minutes_is_no_correction_of_an_earlier_one() -> None:
    study = started()
    study.medication("rescue", "2026-01-14", at="2026-01-14 11:00")
    study.medication("rescue", "2026-01-14", at="2026-01-14 11:02", drug="dexamethasone")
    assert study.folded().chain.before == {}


@given(
    st.lists(
        st.tuples(st.sampled_from(["term", "outcome"]), st.sampled_from([0, 0, 2, 40])),
        min_size=1,
        max_size=5,
    )
)
def test_any_number_of_corrections_that_matter_to_no_notice_are_not_told(
    corrections: list[tuple[str, int]],
) -> None:
    study, other = started(), started()
    event = study.adverse_event("2026-01-14", at="2026-01-14 09:00", serious=True, related=True)
    other.adverse_event("2026-01-14", at="2026-01-14 09:00", serious=True, related=True)
    now = study.instant("2026-01-14 09:00")
    for number, (field, minutes) in enumerate(corrections):
        now += timedelta(minutes=minutes)
        value = f"Fever {number}" if field == "term" else "recovering"
        event = study.corrected(event, now, **{field: value})
    study.until("2026-01-20")
    other.until("2026-01-20")
    assert study.sent() == other.sent()


def test_a_correction_of_an_earlier_report_does_not_ask_again_what_a_further_report_asked() -> None:
    study = started()
    first = study.adverse_event("2026-01-14", serious=True)
    study.adverse_event("2026-01-15", serious=True, related=True)
    since = study.plan("2026-01-16")["flags"][0]["since"]
    study.corrected(first, "2026-01-20", related=True)
    study.until("2026-01-21")
    assert [flag["since"] for flag in study.plan("2026-01-21")["flags"]] == [since]
    assert study.audiences("flag") == {"investigator": 1, "coordinator": 1}


@pytest.mark.parametrize("minutes", [1, 60])
def test_a_further_report_goes_on_from_what_the_one_before_said_then(minutes: int) -> None:
    """The first report is corrected afterwards: the further one says nothing new, and is not told again."""
    study = started()
    first = study.adverse_event("2026-01-14", serious=True, related=True)
    study.decided("continue", "2026-01-15")
    study.adverse_event("2026-01-16", serious=True, related=True, term="Fever, still")
    study.voided(first, "2026-01-20 10:00")
    study.record(
        study.again(first, study.instant("2026-01-20 10:00") + timedelta(minutes=minutes), related=False)
    )
    study.until("2026-01-21")
    flags = study.plan("2026-01-21")["flags"]
    assert [(flag["since"], flag["decision"]) for flag in flags] == [("2026-01-14T03:00:00Z", "continue")]
    keys = [data.notice for _, data in study.notices("sae")]
    assert len(keys) == len(set(keys)) == 4  # the first report, and its correction


def test_reports_under_one_number_are_one_event_also_when_a_correction_gave_one_that_number() -> None:
    study = started()
    other = study.adverse_event("2026-01-14", ae="AE-4", at="2026-01-14 11:00")
    study.adverse_event("2026-01-15", ae="AE-3", serious=True, at="2026-01-15 11:00")
    study.corrected(other, "2026-01-19 11:00", ae="AE-3", serious=True)
    study.until("2026-01-25")
    assert {at for at, _, _ in study.sent("sae-24h")} == {"2026-01-16 11:00"}


def test_the_number_of_an_event_corrected_leaves_the_others_under_the_old_number_as_they_are() -> None:
    """A fatal event was reported under the number of another: that one does not hide it."""
    study = started()
    wrong = study.adverse_event("2026-01-14", ae="AE-1", serious=True, grade=5)
    study.adverse_event("2026-01-15", ae="AE-1", grade=2)
    study.corrected(wrong, "2026-01-16", ae="AE-2")
    assert study.plan("2026-01-17")["state"] == "On hold: death-unrecorded"


def test_a_report_that_is_corrected_to_another_number_takes_its_clock_along() -> None:
    """What was reported under the old number afterwards is another event, with a clock of its own."""
    study = started()
    wrong = study.adverse_event("2026-01-14", ae="AE-1", serious=True, at="2026-01-14 11:00")
    study.adverse_event("2026-01-14", ae="AE-1", serious=True, at="2026-01-14 12:00")
    study.corrected(wrong, "2026-01-14 13:00", ae="AE-2")
    study.until("2026-01-20")
    told_of = {(data.facts["ae"], study.local(event.time)) for event, data in study.notices("sae-24h")}
    assert told_of == {("AE-2", "2026-01-15 11:00"), ("AE-1", "2026-01-15 12:00")}


def test_an_event_under_a_number_that_was_taken_from_another_before_is_told_though_it_says_the_same() -> None:
    """AE-1 was a wrong number for what is AE-2: the AE-1 that comes later is an event of its own."""
    study = started()
    wrong = study.adverse_event("2026-01-14", ae="AE-1", serious=True, at="2026-01-14 11:00")
    study.corrected(wrong, "2026-01-14 13:00", ae="AE-2")
    study.adverse_event("2026-01-20", ae="AE-1", serious=True, at="2026-01-20 11:00")
    study.until("2026-01-22")
    assert study.days("sae", audience="investigator") == ["2026-01-14", "2026-01-20"]


def test_a_further_report_goes_on_from_a_newer_one_that_came_under_another_number() -> None:
    """Grade 3 was reported under the wrong number: grade 3 again, under the right one, is no news."""
    study = started()
    study.adverse_event("2026-01-12", ae="AE-1", serious=True, grade=2, at="2026-01-13 11:00")
    wrong = study.adverse_event("2026-01-12", ae="AE-4", serious=True, grade=3, at="2026-01-14 11:00")
    study.corrected(wrong, "2026-01-14 12:00", ae="AE-1")
    before = study.sent("sae")
    study.adverse_event("2026-01-12", ae="AE-1", serious=True, grade=3, at="2026-01-15 11:00")
    assert study.sent("sae") == before


SEVERITIES = st.fixed_dictionaries(
    {"grade": st.integers(2, 5), "serious": st.just(True), "related": st.booleans()}
)


@given(st.lists(SEVERITIES, min_size=2, max_size=3), st.randoms(use_true_random=False))
def test_reports_of_one_instant_are_told_under_the_same_keys_in_whatever_order_they_came(
    severities: list[dict[str, Any]], random: Random
) -> None:
    here, there = Study(), Study()
    here.enrol("2026-01-05")
    there.log = list(here.log)
    reports = [
        here.event(
            "itp.adverse-event.reported", "2026-01-07", "2026-01-07 11:00", ae="AE-1", term="Fever", **each
        )
        for each in severities
    ]
    for study, order in ((here, reports), (there, random.sample(reports, len(reports)))):
        for report in order:
            study.record(report)
    assert {each.key for each in wanted(here)} == {each.key for each in wanted(there)}


def wanted(study: Study) -> tuple[WantedNotice, ...]:
    return decide(study.folded(), study.instant("2026-01-10")).wanted_notices


def test_an_eligibility_alert_rests_on_the_criteria_and_not_on_their_values() -> None:
    study = started()
    screening = study.log[0].to_json()["data"]["screening"]
    again = study.corrected(study.log[0], "2026-01-14", screening={**screening, "ast_x_uln": 3.4})
    again = study.corrected(again, "2026-01-15", screening={**screening, "ast_x_uln": 3.5})
    assert sum(study.audiences("eligibility").values()) == 2
    study.corrected(again, "2026-01-16", screening={**screening, "ast_x_uln": 3.5, "alt_x_uln": 3.5})
    assert sum(study.audiences("eligibility").values()) == 4


def test_a_further_report_goes_on_from_what_was_stated_anew_before_it() -> None:
    """The first report is stated milder days after its void: what comes then is worse, and told."""
    study = started()
    first = study.adverse_event("2026-01-14", serious=True, related=True)
    study.adverse_event("2026-01-15", serious=True, related=True, term="Fever, still")
    study.decided("continue", "2026-01-16")
    study.voided(first, "2026-01-19")
    study.adverse_event("2026-01-14", related=True, at="2026-01-20")
    study.adverse_event("2026-01-21", serious=True, related=True)
    flags = study.plan("2026-01-22")["flags"]
    assert [(flag["since"][:10], flag["decision"]) for flag in flags] == [
        ("2026-01-14", "continue"),
        ("2026-01-21", None),
    ]


def test_an_infusion_declared_missed_and_done_after_all_with_another_dose_is_told() -> None:
    study = started()
    missed = study.missed("INF3", "2026-01-30")
    done = study.event("itp.visit.completed", "2026-01-26", "2026-02-02", visit="INF3", cells_given=1e9)
    study.record(study.void(missed, "2026-02-02"), done)
    assert study.audiences("dose-deviation") == {"investigator": 1, "coordinator": 1}


def test_an_enrolment_corrected_in_its_weight_leaves_the_ladder_of_the_first_infusion_as_it_was() -> None:
    study, other = Journey(), Journey()
    for each in (study, other):
        each.enrol(at="2026-01-05 08:00")
        each.until("2026-01-14 12:00")  # the window closed on the 12th, the first rung was sent
    enrolment = next(event for event in study.log if not event.own)
    study.corrected(enrolment, "2026-01-14 12:00", weight_kg=61.0)
    for each in (study, other):
        each.until("2026-02-20")
    assert study.sent("rung") == other.sent("rung")
