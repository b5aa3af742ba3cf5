"""Every date is explained in words: its anchor, its rule and the rule's source."""

import re
from datetime import date

import pytest

from itp_events.protocol.model import Visit
from itp_events.rules.explain import day, days, reason, span
from itp_events.rules.state import subject_state
from tests.support.study import INFUSIONS, Study, altered

pytestmark = pytest.mark.requirement("WIN-10")


def explained(study: Study, visit: str, at: str) -> str:
    state = subject_state(study.folded(), study.instant(at))
    return reason(next(planned for planned in state.visits if planned.code == visit), state.visits)


@pytest.fixture
def study() -> Study:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    return study


def test_an_actual_anchor_is_explained_by_the_day_it_was_done(study: Study) -> None:
    study.done("INF2", "2026-01-13")
    assert explained(study, "INF3", "2026-01-14") == (
        "target 27 Jan 2026 (synopsis), window 24 to 30 Jan 2026 (synopsis): "
        "2 weeks after INF2, done on 13 Jan 2026"
    )


@pytest.mark.requirement("WIN-05")
def test_a_projected_anchor_says_that_it_is_still_open(study: Study) -> None:
    assert explained(study, "INF3", "2026-01-06").endswith(
        "2 weeks after INF2, still open: projected from its target 12 Jan 2026"
    )


@pytest.mark.requirement("WIN-05")
def test_a_missed_anchor_says_that_its_target_counts(study: Study) -> None:
    study.missed("INF2", "2026-01-14")
    assert explained(study, "INF3", "2026-01-15").endswith(
        "2 weeks after INF2, which was missed: its target 12 Jan 2026 counts"
    )


def test_an_assumption_never_looks_like_a_fact(study: Study) -> None:
    found = explained(study, "FU-M1", "2026-01-06")
    assert "target 23 Mar 2026† (synopsis, counted in calendar months)" in found
    assert "window 16 to 30 Mar 2026† (assumption)" in found
    assert "1 month after INF5" in found


@pytest.mark.requirement("WIN-03")
def test_infusion_1_is_explained_by_the_enrolment() -> None:
    study = Study()
    study.enrol("2026-01-05")
    assert explained(study, "INF1", "2026-01-06") == (
        "target 5 Jan 2026† (assumption), window 5 to 12 Jan 2026† (assumption): "
        "on the day of enrolment on 5 Jan 2026"
    )


@pytest.mark.requirement("WIN-03")
def test_a_first_infusion_agreed_at_enrolment_is_explained_as_that() -> None:
    study = Study()
    study.enrol("2026-01-05", first_infusion_on="2026-01-09")
    found = explained(study, "INF1", "2026-01-06")
    assert found.startswith("target 9 Jan 2026 (agreed), window 5 to 12 Jan 2026† (assumption)")
    assert "on the day of enrolment" not in found
    assert found.endswith("planned for 9 Jan 2026 at enrolment on 5 Jan 2026")


@pytest.mark.requirement("WIN-06")
def test_after_a_stop_follow_up_is_explained_by_the_last_infusion_given(study: Study) -> None:
    study.pregnant("2026-01-08")
    assert explained(study, "FU-D14", "2026-01-09").endswith("14 days after INF1, done on 5 Jan 2026")


def test_a_done_visit_whose_anchor_was_voided_is_marked_until_it_is_restated(study: Study) -> None:
    wrong = study.done("INF2", "2026-01-12")
    study.done("INF3", "2026-01-26")
    study.voided(wrong, "2026-01-27")
    assert explained(study, "INF3", "2026-01-28").endswith(
        "2 weeks after INF2, not recorded any more: its target 12 Jan 2026 counts until it is stated again"
    )
    study.done("INF2", "2026-01-13", at="2026-01-28")
    assert explained(study, "INF3", "2026-01-29").endswith("2 weeks after INF2, done on 13 Jan 2026")


def test_every_visit_of_every_phase_has_an_explanation_that_names_both_sources(study: Study) -> None:
    study.on_target(*INFUSIONS[1:])
    for visit in study.protocol.visits:
        found = explained(study, visit.code, "2026-03-01")
        assert re.search(rf"target [^(]+ \({visit.source.target}[,)]", found)
        assert f"({visit.source.window})" in found


@pytest.mark.requirement("WIN-05")
def test_a_visit_counted_from_a_missed_one_rests_on_an_assumption_and_so_does_all_after_it(
    study: Study,
) -> None:
    study.missed("INF2", "2026-01-14")
    for visit in ("INF3", "INF4", "INF5"):
        assert re.match(
            r"target [^(]+† \(synopsis\), window [^(]+† \(synopsis\)", explained(study, visit, "2026-01-15")
        )
    study.done("INF3", "2026-01-26")
    assert "†" in explained(study, "INF3", "2026-01-27")
    assert "†" not in explained(study, "INF4", "2026-01-27")


# Words


def test_a_date_cannot_be_misread() -> None:
    assert day(date(2026, 2, 1)) == "1 Feb 2026"


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (date(2026, 1, 23), date(2026, 1, 29), "23 to 29 Jan 2026"),
        (date(2026, 1, 29), date(2026, 2, 4), "29 Jan to 4 Feb 2026"),
        (date(2026, 12, 29), date(2027, 1, 4), "29 Dec 2026 to 4 Jan 2027"),
    ],
)
def test_a_span_of_dates_repeats_only_what_differs(first: date, last: date, words: str) -> None:
    assert days(first, last) == words


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("P0D", "0 days"),
        ("P1D", "1 day"),
        ("P14D", "14 days"),
        ("P1W", "1 week"),
        ("P2W", "2 weeks"),
        ("P1M", "1 month"),
        ("P12M", "12 months"),
        ("P1Y", "12 months"),
        ("P1M7D", "1 month and 7 days"),
    ],
)
def test_a_duration_is_said_the_way_the_protocol_file_writes_it(written: str, words: str) -> None:
    protocol = altered(lambda data: data["visits"][1].update({"target": written}))
    inf2: Visit = protocol.by_code["INF2"]
    assert span(inf2.target) == words
