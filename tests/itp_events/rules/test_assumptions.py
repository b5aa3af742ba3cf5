"""A date rests on an assumption by its own rule, or by the date that it is counted from."""

from collections.abc import Iterator

import pytest

from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.state import SubjectState, subject_state
from tests.support.study import FOLLOW_UP, INFUSIONS, Study, altered

pytestmark = pytest.mark.requirement("WIN-05", "WIN-10")


def state(study: Study, at: str) -> SubjectState:
    return subject_state(study.folded(), study.instant(at))


def targets(found: SubjectState) -> Iterator[str]:
    return (each.code for each in found.visits if target_assumed(each, found.visits))


def windows(found: SubjectState) -> Iterator[str]:
    return (each.code for each in found.visits if window_assumed(each, found.visits))


@pytest.fixture
def study() -> Study:
    study = Study()
    study.enrol("2026-01-05", first_infusion_on="2026-01-06")
    return study


def test_an_agreed_first_infusion_is_a_fact_and_so_are_the_dates_counted_from_it(study: Study) -> None:
    assert [*targets(state(study, "2026-01-05"))] == [*FOLLOW_UP]


def test_a_first_infusion_without_agreement_is_assumed_and_so_are_the_dates_projected_from_it() -> None:
    study = Study()
    study.enrol("2026-01-05")
    assert [*targets(state(study, "2026-01-05"))] == [*INFUSIONS, *FOLLOW_UP]
    study.done("INF1", "2026-01-05")
    assert [*targets(state(study, "2026-01-06"))] == ["INF1", *FOLLOW_UP]


def test_a_date_counted_from_a_missed_visit_is_assumed_until_a_visit_is_done(study: Study) -> None:
    study.done("INF1", "2026-01-06")
    study.missed("INF2", "2026-01-15")
    assert [*targets(state(study, "2026-01-16"))] == ["INF3", "INF4", "INF5", *FOLLOW_UP]
    study.done("INF3", "2026-01-27")
    assert [*targets(state(study, "2026-01-28"))] == ["INF3", *FOLLOW_UP]


def test_a_window_is_assumed_by_its_own_rule_or_with_its_target(study: Study) -> None:
    study.done("INF1", "2026-01-06")
    assert [*windows(state(study, "2026-01-07"))] == ["INF1", *FOLLOW_UP]
    study.missed("INF2", "2026-01-15")
    assert "INF3" in windows(state(study, "2026-01-16"))


def test_a_reading_that_the_site_has_confirmed_is_no_assumption() -> None:
    def confirmed(data: dict[str, list[dict[str, object]]]) -> None:
        for visit in data["visits"]:
            visit.pop("reading", None)

    study = Study(protocol=altered(confirmed))
    study.enrol("2026-01-05", first_infusion_on="2026-01-06")
    assert [*targets(state(study, "2026-01-05"))] == []
