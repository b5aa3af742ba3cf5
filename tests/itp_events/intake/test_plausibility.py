"""The plausibility of a visit's date: refusals, confirmations, and the visit that was probably meant."""

from typing import Any

import pytest

from itp_events.errors import Refused
from tests.itp_events.journey import Journey

pytestmark = pytest.mark.requirement("INT-02")


def refused(study: Journey, visit: str, on: str, *, at: str = "2026-03-01", **data: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        study.done(visit, on, at=at, **data)
    return caught.value


def test_an_infusion_before_the_enrolment_day_is_refused_also_when_confirmed() -> None:
    study = Journey()
    study.enrol("2026-01-05")
    assert refused(study, "INF1", "2026-01-04", confirmed=True).rule == "before-enrolment"


@pytest.mark.parametrize("on", ["2026-01-12", "2026-01-11"])
def test_an_infusion_must_be_later_than_the_one_before_it_also_when_confirmed(on: str) -> None:
    study = Journey().treated("2026-01-05", "2026-01-12")
    assert refused(study, "INF3", on, confirmed=True).rule == "infusion-order"


def test_an_earlier_infusion_recorded_late_must_be_earlier() -> None:
    study = Journey().treated("2026-01-05")
    study.until("2026-02-20")  # INF2 counts as missed
    study.done("INF3", "2026-02-10", at="2026-02-20", confirmed=True)
    problem = refused(study, "INF2", "2026-02-10", at="2026-02-21")
    assert problem.rule == "infusion-order"
    assert "must be earlier than INF3, done on 2026-02-10" in str(problem)


def test_a_visit_before_the_window_of_the_one_before_it_has_opened_asks_to_be_confirmed() -> None:
    study = Journey().in_follow_up()
    problem = refused(study, "FU-M2", "2026-03-05", at="2026-03-06")
    assert problem.rule == "too-early"
    assert "the window of FU-M1 has opened" in str(problem)
    study.done("FU-M2", "2026-03-05", at="2026-03-06", confirmed=True)


def test_a_visit_on_the_day_on_which_the_window_of_the_one_before_it_opens_is_plausible() -> None:
    study = Journey().in_follow_up()
    opens = study.plan("2026-03-01").visit("FU-M1")["opens"]
    study.done("FU-M2", opens, at="2026-03-25")


def test_a_cancelled_visit_is_not_the_one_before() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12")
    study.decided("stop-treatment", "2026-01-14")
    study.done("FU-D14", "2026-01-24", at="2026-01-25")


def test_a_refusal_names_the_visit_that_was_probably_meant() -> None:
    study = Journey().in_follow_up()
    said = str(refused(study, "FU-M2", "2026-03-08", at="2026-03-09"))
    assert "was FU-D14 meant, whose window is 6 to 12 Mar 2026†?" in said
    assert said.endswith("(† assumption, to be confirmed by the site)")


def test_a_visit_recorded_already_names_the_one_that_was_probably_meant() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12")
    problem = refused(study, "INF2", "2026-01-26", at="2026-01-27")
    assert problem.rule == "recorded-once"
    assert "was INF3 meant" in str(problem)


def test_an_enrolment_cannot_be_corrected_to_a_day_after_an_infusion() -> None:
    study = Journey().treated("2026-01-05")
    again = study.enrolment("2026-01-06", at="2026-01-07")
    verdicts = study.judge(study.void(study.log[0], "2026-01-07"), again).verdicts
    assert [v.error.rule for v in verdicts if isinstance(v.error, Refused)] == [
        "together",
        "before-enrolment",
    ]
