"""Response of platelets by the criteria of the International Working Group."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itp_events.protocol.file import load_protocol
from itp_events.rules.response import Response, ResponseCourse, grade, response_course, responses
from itp_events.rules.state import SubjectState, subject_state
from tests.support.study import INFUSIONS, Study, altered

pytestmark = pytest.mark.requirement("RSP-01")

RULE = load_protocol().response
COUNT = st.none() | st.integers(0, 200).map(float)
BLEEDING = st.sampled_from([None, False, True, 0, 1, 2, 3, 4])


def state(study: Study) -> SubjectState:
    return subject_state(study.folded(), max(event.time for event in study.log))


def at(study: Study, visit: str) -> Response:
    return next(each for each in responses(state(study)) if each.visit == visit)


def course_of(study: Study) -> ResponseCourse:
    return response_course(state(study))


def counted(
    *platelets: float | None, bleeding: Any = False, baseline: float | None = 10, protocol: Any = None
) -> Study:
    """The infusions given on their targets (5, 12, 26 January, 9, 23 February), each with a count."""
    study = Study(protocol=protocol)
    study.enrol("2026-01-05", baseline_platelets=baseline)
    dates = ("2026-01-05", "2026-01-12", "2026-01-26", "2026-02-09", "2026-02-23")
    for visit, on, number in zip(INFUSIONS, dates, platelets, strict=False):
        study.done(visit, on, platelets=number, bleeding=bleeding)
    return study


@pytest.mark.parametrize(
    ("platelets", "bleeding", "baseline", "expected"),
    [
        (100, False, None, "complete"),
        (99, False, 40, "response"),
        (79, False, 40, "none"),
        (30, False, 15, "response"),
        (29, False, 5, "none"),
        (150, True, 10, "none"),
        (150, 1, 10, "none"),
        (150, 0, 10, "complete"),
        (None, False, 10, "not-evaluable"),
        (None, True, 10, "none"),
        (None, None, None, "not-evaluable"),
        (100, False, 60, "complete"),
        (150, None, 10, "not-evaluable"),
        (50, False, None, "not-evaluable"),
        (20, None, None, "none"),
    ],
)
def test_a_count_is_graded_by_the_criteria_of_the_iwg(
    platelets: float | None, bleeding: bool | int | None, baseline: float | None, expected: str
) -> None:
    found, why = grade(RULE, platelets, bleeding, baseline)
    assert found == expected
    assert why


@given(platelets=COUNT, bleeding=BLEEDING, baseline=COUNT)
def test_whoever_bleeds_has_no_response(platelets: float | None, bleeding: Any, baseline: Any) -> None:
    found, _ = grade(RULE, platelets, bleeding, baseline)
    assert found == "none" if bleeding else found in ("complete", "response", "none", "not-evaluable")


def test_the_thresholds_are_the_protocol_s() -> None:
    strict = altered(lambda data: data["response"].update(complete_from=150))
    assert at(counted(10, 120, protocol=strict), "INF2").grade == "response"


# Confirmation


def test_a_response_is_confirmed_by_a_second_count_seven_days_apart() -> None:
    study = counted(10, 40)
    assert (at(study, "INF2").grade, at(study, "INF2").confirmed) == ("response", False)
    assert "not confirmed by a second count at least 7 days apart" in at(study, "INF2").why
    study.done("INF3", "2026-01-26", platelets=35, bleeding=0)
    assert [at(study, visit).confirmed for visit in ("INF2", "INF3")] == [True, True]
    assert "confirmed by INF3" in at(study, "INF2").why


def test_counts_six_days_apart_confirm_nothing() -> None:
    study = counted(10)
    study.done("INF2", "2026-01-12", platelets=40, bleeding=False)
    study.done("INF3", "2026-01-18", platelets=40, bleeding=False)
    assert not at(study, "INF3").confirmed


def test_a_lesser_count_between_two_confirms_neither() -> None:
    study = counted(10, 40, 12, 40)
    assert [at(study, visit).confirmed for visit in ("INF2", "INF4")] == [False, False]


def test_a_response_does_not_confirm_a_complete_response_but_the_other_way_round() -> None:
    study = counted(10, 120, 40)
    assert (at(study, "INF2").grade, at(study, "INF2").confirmed) == ("complete", False)
    assert (at(study, "INF3").grade, at(study, "INF3").confirmed) == ("response", True)


def test_a_visit_that_cannot_be_evaluated_says_why() -> None:
    study = counted(None, None)
    study.missed("INF3", "2026-01-30")
    assert at(study, "INF2").why == "no platelet count recorded"
    assert at(study, "INF3").why == "the visit was missed"
    assert at(study, "INF4").why == "the visit is not recorded"


def test_a_count_on_the_day_of_the_first_infusion_shows_no_response_to_it() -> None:
    study = counted(120, 130)
    assert at(study, "INF1").grade == "not-evaluable"
    assert "before the first infusion could act" in at(study, "INF1").why
    assert not at(study, "INF2").confirmed


# Rescue medication


@pytest.mark.parametrize(
    ("given", "expected"), [("2025-12-28", "complete"), ("2025-12-29", "not-evaluable"), ("2026-02-23", None)]
)
def test_no_response_within_eight_weeks_after_rescue_medication(given: str, expected: str | None) -> None:
    study = counted(10, 120, 120, 120)
    study.medication("rescue", given, at="2026-02-23 12:00", drug="IVIG")
    # Infusion 5 is 57 days after 28 December, and 56 days after 29 December.
    study.done("INF5", "2026-02-23", platelets=150, bleeding=False, at="2026-02-23 13:00")
    assert at(study, "INF5").grade == (expected or "not-evaluable")
    if expected != "complete":
        assert "within 8 weeks of rescue medication (IVIG" in at(study, "INF5").why


def test_a_low_count_is_no_response_after_rescue_medication_too() -> None:
    study = counted(10, 12)
    study.medication("rescue", "2026-01-10", at="2026-01-12 12:00")
    assert at(study, "INF2").grade == "none"


# The course


def test_time_to_response_counts_from_the_first_infusion_to_the_first_of_the_two_counts() -> None:
    found = course_of(counted(10, 40, 120, 130))
    first, complete = found.first("response"), found.first("complete")
    assert first is not None
    assert complete is not None
    assert (first.visit, first.days, first.until) == ("INF2", 7, None)
    assert (complete.visit, complete.days) == ("INF3", 21)


def test_a_response_is_lost_with_the_first_count_that_no_longer_suffices() -> None:
    found = course_of(counted(10, 120, 130, 60, 12))
    complete, response = found.first("complete"), found.first("response")
    assert complete is not None
    assert response is not None
    assert (str(complete.until), complete.ended[:13]) == ("2026-02-09", "lost at INF4:")
    assert (str(response.until), response.ended) == ("2026-02-23", "lost at INF5: below 30")


def test_bleeding_loses_a_response_however_high_the_count() -> None:
    study = counted(10, 120, 130)
    study.done("INF4", "2026-02-09", platelets=140, bleeding=2)
    assert [str(spell.until) for spell in course_of(study).spells] == ["2026-02-09"] * 2
    assert at(study, "INF4").why == "bleeding of WHO grade 2"


def test_rescue_medication_ends_a_response() -> None:
    study = counted(10, 40, 40)
    study.medication("rescue", "2026-02-01", drug="IVIG")
    [spell] = course_of(study).spells
    assert (str(spell.until), spell.ended) == ("2026-02-01", "rescue medication IVIG")


def in_remission(**last: Any) -> Study:
    """Counts of 120 at every infusion and follow-up visit up to month 6, which is on 23 August."""
    study = counted(10, 120, 120, 120, 120)
    visits = {"FU-D14": "2026-03-09", "FU-M1": "2026-03-23", "FU-M2": "2026-04-23", "FU-M3": "2026-05-23"}
    for visit, on in visits.items():
        study.done(visit, on, platelets=120, bleeding=False)
    study.done("FU-M6", "2026-08-23", **{"platelets": 120, "bleeding": False, **last})
    return study


def test_a_response_is_sustained_at_month_6_without_other_treatment() -> None:
    [found] = course_of(in_remission()).sustained
    assert (found.visit, found.held) == ("FU-M6", True)
    assert "response since 12 Jan 2026" in found.why


def test_a_response_is_not_sustained_with_another_treatment() -> None:
    study = in_remission()
    study.medication("prohibited", "2026-06-01", drug="eltrombopag", at="2026-08-24")
    [found] = course_of(study).sustained
    assert (found.held, found.why) == (False, "prohibited drug eltrombopag changed on 1 Jun 2026")


def test_a_response_is_not_sustained_when_it_is_lost() -> None:
    [found] = course_of(in_remission(platelets=20)).sustained
    assert (found.held, found.why) == (False, "below 30")


def test_whether_a_response_is_sustained_is_not_evaluable_without_a_count() -> None:
    [found] = course_of(in_remission(platelets=None)).sustained
    assert (found.held, found.why) == (None, "no platelet count recorded")


# In the plan


def test_the_plan_has_bleeding_and_response_of_every_visit() -> None:
    study = counted(10, 120, bleeding=0)
    plan = study.plan("2026-01-14")
    assert (plan.visit("INF2")["bleeding"], plan.visit("INF3")["bleeding"]) == (0, None)
    assert plan.visit("INF2")["response"] == {
        "grade": "complete",
        "confirmed": False,
        "why": "100 or more, no bleeding; not confirmed by a second count at least 7 days apart",
    }
    assert plan.visit("INF3")["response"]["grade"] == "not-evaluable"


# Always

MEASURED = st.lists(st.tuples(COUNT, BLEEDING), min_size=1, max_size=5)
RESCUES = st.lists(st.integers(0, 60), max_size=2)


def looked_at(
    measured: list[tuple[float | None, Any]], rescues: list[int], baseline: float | None
) -> SubjectState:
    study = Study()
    study.enrol("2026-01-05", baseline_platelets=baseline)
    dates = ("2026-01-05", "2026-01-12", "2026-01-26", "2026-02-09", "2026-02-23")
    for visit, on, (number, bleeding) in zip(INFUSIONS, dates, measured, strict=False):
        study.done(visit, on, platelets=number, bleeding=bleeding)
    for days in rescues:
        given = date(2025, 12, 25) + timedelta(days=days)
        study.medication("rescue", given.isoformat(), at="2026-02-24")
    return state(study)


@given(MEASURED, RESCUES, COUNT)
def test_a_confirmed_response_rests_on_two_counts_far_enough_apart_without_bleeding(
    measured: list[tuple[float | None, Any]], rescues: list[int], baseline: float | None
) -> None:
    what = looked_at(measured, rescues, baseline)
    found = [each for each in responses(what) if each.on]
    for one in found:
        assert one.why
        if one.grade in ("complete", "response"):
            assert not one.bleeding
            assert one.platelets is not None
            assert one.platelets >= (RULE.complete_from if one.grade == "complete" else RULE.response_from)
        if one.confirmed:
            likewise = [each for each in found if each.rank >= one.rank and each.on]
            days = [each.on.toordinal() for each in likewise if each.on]
            assert max(days) - min(days) >= RULE.confirmed_after_days
    for spell in response_course(what).spells:
        assert spell.days > 0
        assert spell.until is None or spell.until > spell.since
