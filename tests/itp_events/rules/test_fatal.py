"""The safety chain: a fatal event asks for the death, a death for its event, and worse is told again."""

from typing import Any

import pytest

from itp_events.errors import Refused
from tests.itp_events.journey import Journey

pytestmark = pytest.mark.requirement("SAF-05")

BOTH = {"investigator": 1, "sponsor": 1}


def started() -> Journey:
    return Journey().treated("2026-01-05")


FATAL: list[dict[str, Any]] = [{"grade": 5}, {"grade": 3, "outcome": "fatal"}]


@pytest.mark.parametrize("how", FATAL)
def test_a_fatal_event_that_is_not_serious_is_refused(how: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        started().adverse_event("2026-01-07", serious=False, **how)
    assert caught.value.rule == "fatal-serious"


@pytest.mark.parametrize("how", FATAL)
def test_until_the_death_is_recorded_nothing_is_proposed_or_ordered_and_the_investigator_is_asked(
    how: dict[str, Any],
) -> None:
    study = started()
    study.adverse_event("2026-01-07", serious=True, **how)
    before = len(study.sent())
    plan = study.plan("2026-01-08 11:00")
    assert (plan["status"], plan["state"]) == ("on-hold", "On hold: death-unrecorded")
    assert {row["suggested"] for row in plan["visits"]} == {None}
    study.until("2026-01-14 10:00")
    later = {step for _, step, _ in study.sent()[before:]}
    assert later == {"sae-20h", "sae-24h", "death-unrecorded"}
    # Saturday the 10th and Sunday the 11th are no working days.
    assert study.days("death-unrecorded") == [
        "2026-01-08",
        "2026-01-09",
        "2026-01-12",
        "2026-01-13",
        "2026-01-14",
    ]
    assert study.audiences("death-unrecorded") == {"investigator": 5}


def test_a_fatal_event_stands_down_the_cells_that_were_ordered() -> None:
    study = started()
    study.until("2026-01-09 10:00")
    assert study.audiences("T-3d", "INF2") == {"cell-lab": 1}
    study.adverse_event("2026-01-09", serious=True, grade=5, at="2026-01-09 12:00")
    assert study.audiences("stand-down", "INF2") == {"cell-lab": 1, "coordinator": 1}
    assert study.notices("stand-down")[0][1].facts["because"] == "fatal"


def test_the_death_answers_and_ends_the_study() -> None:
    study = started()
    study.adverse_event("2026-01-07", serious=True, grade=5)
    study.died("2026-01-07", at="2026-01-08 15:00", ae="AE-1")
    study.until("2026-01-20")
    assert study.days("death-unrecorded") == ["2026-01-08"]
    assert study.plan("2026-01-20")["exit"]["decode"] == "DEATH"


def test_ladders_and_the_automatic_miss_pause_in_follow_up_too_and_go_on_when_the_event_was_no_death() -> (
    None
):
    study = Journey().in_follow_up()
    study.until("2026-03-10")
    study.adverse_event("2026-03-11", serious=True, grade=5)
    study.until("2026-04-20")
    assert study.sent("rung", "FU-D14") == []
    assert study.plan("2026-04-20").visit("FU-D14")["status"] == "overdue"
    study.adverse_event("2026-04-20", serious=True, grade=4, outcome="recovering")
    study.until("2026-05-01")
    assert [step for _, step, _ in study.sent("rung", "FU-D14")] == ["rung-1", "rung-2", "rung-3"]
    assert study.plan("2026-05-01").visit("FU-D14")["status"] == "overdue"


@pytest.mark.requirement("SAF-06")
def test_a_death_asks_for_the_event_that_led_to_it_though_another_serious_event_was_reported() -> None:
    study = started()
    study.adverse_event("2026-01-07", serious=True, term="Fracture")
    study.submitted("AE-1", "2026-01-07", at="2026-01-07 12:00")
    study.died("2026-01-20")
    study.until("2026-01-25")
    assert study.audiences("sae-20h") == study.audiences("sae-24h") == BOTH
    assert all(data.facts["death"] for _, data in study.notices("sae-24h"))


@pytest.mark.requirement("SAF-06")
def test_a_death_whose_event_is_not_fatal_still_asks() -> None:
    study = started()
    study.adverse_event("2026-01-07", serious=True, term="Fracture")
    study.submitted("AE-1", "2026-01-07", at="2026-01-07 12:00")
    study.died("2026-01-20", ae="AE-1")
    study.until("2026-01-25")
    assert study.audiences("sae-24h") == BOTH


@pytest.mark.requirement("SAF-06")
def test_a_submission_under_the_deaths_own_id_stops_its_clock() -> None:
    study = started()
    death = study.died("2026-01-20")
    study.submitted(death.id, "2026-01-20", at="2026-01-20 12:00")
    study.until("2026-01-25")
    assert study.sent("sae-20h") == study.sent("sae-24h") == []


@pytest.mark.requirement("SAF-02")
def test_the_clock_runs_from_the_instant_at_which_the_site_became_aware() -> None:
    study = started()
    aware_at = "2026-01-20T10:00:00+08:00"
    study.adverse_event("2026-01-20", at="2026-01-20 20:00", serious=True, aware_at=aware_at)
    study.until("2026-01-25")
    assert {at for at, _, _ in study.sent("sae-20h")} == {"2026-01-21 06:00"}
    assert {at for at, _, _ in study.sent("sae-24h")} == {"2026-01-21 10:00"}


@pytest.mark.requirement("SAF-02")
def test_a_limit_that_had_passed_when_the_report_came_is_told_at_once_with_its_own_instant() -> None:
    study = started()
    study.adverse_event(
        "2026-01-20", at="2026-01-23 10:00", serious=True, aware_at="2026-01-20T10:00:00+08:00"
    )
    assert study.sent("sae-24h") == [
        ("2026-01-23 10:00", "sae-24h", "investigator"),
        ("2026-01-23 10:00", "sae-24h", "sponsor"),
    ]
    assert {study.local(data.due) for _, data in study.notices("sae-24h")} == {"2026-01-21 10:00"}
    assert study.sent("sae-20h") == []


@pytest.mark.requirement("SAF-06")
def test_the_event_behind_a_death_has_no_more_time_than_the_death_had() -> None:
    study = started()
    study.died("2026-01-20", at="2026-01-20 10:00")
    study.adverse_event("2026-01-20", at="2026-01-23 10:00", serious=True, grade=5)
    due = [study.local(data.due) for event, data in study.notices("sae-24h") if "AE-1" in str(data.facts)]
    assert set(due) == {"2026-01-21 10:00"}


@pytest.mark.requirement("SAF-02")
def test_awareness_after_the_report_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        started().adverse_event("2026-01-07", serious=True, aware_at="2026-01-07T12:00:00+08:00")
    assert caught.value.rule == "aware-ahead"


WORSE: list[dict[str, Any]] = [{"grade": 4}, {"related": True}, {"outcome": "fatal"}]


@pytest.mark.requirement("SAF-03")
@pytest.mark.parametrize("how", WORSE)
def test_an_event_that_grows_worse_after_its_submission_has_a_new_clock_for_the_follow_up_report(
    how: dict[str, Any],
) -> None:
    study = started()
    study.adverse_event("2026-01-07", serious=True)
    study.submitted("AE-1", "2026-01-07", at="2026-01-07 12:00")
    study.adverse_event("2026-01-20", at="2026-01-20 10:00", serious=True, **how)
    study.until("2026-01-25")
    assert study.sent("sae-24h") == [
        ("2026-01-21 10:00", "sae-24h", "investigator"),
        ("2026-01-21 10:00", "sae-24h", "sponsor"),
    ]
    assert all(data.facts["follow_up"] for _, data in study.notices("sae-24h"))


@pytest.mark.requirement("SAF-03")
@pytest.mark.parametrize(("said", "meant"), [(5, 4), (4, 3)])
def test_a_worse_report_corrected_to_something_less_keeps_its_clock_while_it_is_worse_than_what_was_submitted(
    said: int, meant: int
) -> None:
    study = started()
    study.adverse_event("2026-01-07", serious=True, grade=2)
    study.submitted("AE-1", "2026-01-07", at="2026-01-07 12:00")
    worse = study.adverse_event("2026-01-20", at="2026-01-20 10:00", serious=True, grade=said)
    study.corrected(worse, "2026-01-20 16:00", grade=meant)
    study.until("2026-01-25")
    assert {at for at, _, _ in study.sent("sae-24h")} == {"2026-01-21 10:00"}


@pytest.mark.requirement("SAF-03")
def test_a_worse_report_corrected_to_what_was_submitted_owes_no_follow_up_report() -> None:
    study = started()
    study.adverse_event("2026-01-07", serious=True, grade=2)
    study.submitted("AE-1", "2026-01-07", at="2026-01-07 12:00")
    worse = study.adverse_event("2026-01-20", at="2026-01-20 10:00", serious=True, grade=4)
    study.corrected(worse, "2026-01-20 16:00", grade=2)
    study.until("2026-01-25")
    assert study.sent("sae-24h") == []


@pytest.mark.requirement("SAF-03")
def test_a_submission_made_before_it_grew_worse_and_entered_after_it_covers_the_first_report_only() -> None:
    study = started()
    study.adverse_event("2026-01-07", serious=True)
    study.adverse_event("2026-01-20", at="2026-01-20 10:00", serious=True, grade=4)
    study.submitted("AE-1", "2026-01-08", at="2026-01-20 12:00")
    study.until("2026-01-25")
    assert [study.local(data.due) for _, data in study.notices("sae-24h") if data.facts.get("follow_up")] == [
        "2026-01-21 10:00"
    ] * 2


@pytest.mark.requirement("SAF-03")
def test_an_event_that_grows_worse_before_its_submission_has_one_clock() -> None:
    study = started()
    study.adverse_event("2026-01-07", at="2026-01-07 10:00", serious=True)
    study.adverse_event("2026-01-07", at="2026-01-07 18:00", serious=True, grade=4)
    study.until("2026-01-10")
    assert study.sent("sae-24h") == [
        ("2026-01-08 10:00", "sae-24h", "investigator"),
        ("2026-01-08 10:00", "sae-24h", "sponsor"),
    ]


def test_an_event_reported_first_as_not_serious_has_its_clock_from_the_first_serious_report() -> None:
    study = started()
    study.adverse_event("2026-01-07", at="2026-01-07 10:00")
    study.adverse_event("2026-01-08", at="2026-01-08 10:00", serious=True)
    study.until("2026-01-12")
    assert {at for at, _, _ in study.sent("sae-24h")} == {"2026-01-09 10:00"}


def test_a_report_stated_anew_later_as_fatal_is_the_newest_whatever_it_restates() -> None:
    study = started()
    first = study.adverse_event("2026-01-07", grade=2)
    study.adverse_event("2026-01-07", grade=3, at="2026-01-08")
    study.voided(first, "2026-01-08 17:45")
    study.adverse_event("2026-01-07", grade=3, serious=True, outcome="fatal", at="2026-01-12")
    assert study.plan("2026-01-13")["state"] == "On hold: death-unrecorded"


def test_the_report_before_a_further_one_counts_as_its_correction_says() -> None:
    """It never was serious: the clock begins with the further report that is."""
    study = started()
    first = study.adverse_event("2026-01-07", serious=True, grade=1)
    study.adverse_event("2026-01-12", serious=True, grade=3, at="2026-01-12 11:30")
    study.voided(first, "2026-01-12 15:33")
    study.adverse_event("2026-01-07", grade=2, at="2026-01-20")
    due = {row[2] for row in study.plan("2026-01-25").steps("notices") if row[0] == "sae-24h"}
    assert due == {"2026-01-13T03:30:00Z"}


def test_the_death_is_asked_for_since_the_event_first_was_fatal() -> None:
    """A report restated as fatal too does not begin the asking anew."""
    study = started()
    first = study.adverse_event("2026-01-07", grade=4)
    study.adverse_event("2026-01-07", grade=5, serious=True, at="2026-01-08")
    study.voided(first, "2026-01-12")
    study.adverse_event("2026-01-07", grade=5, serious=True, at="2026-01-15")
    asked = [
        row[2] for row in study.plan("2026-01-16 12:00").steps("notices") if row[0] == "death-unrecorded"
    ]
    assert asked == [f"2026-01-{day:02}T01:00:00Z" for day in (9, 12, 13, 14, 15, 16)]


def test_the_time_of_a_fatal_event_stays_when_it_turns_out_to_be_one_that_was_then_reported_as_milder() -> (
    None
):
    """Until then nothing could be missed: INF2's window closed on 13 January, after the fatal report."""
    study = started()
    study.adverse_event("2026-01-06", ae="AE-1", grade=4)
    fatal = study.adverse_event("2026-01-08", ae="AE-4", grade=5, serious=True)
    study.adverse_event("2026-02-20", ae="AE-1", grade=3, serious=True)
    study.corrected(fatal, "2026-02-21", ae="AE-1")
    plan = study.plan("2026-02-21 12:00")
    assert (plan["state"], plan.visit("INF2")["status"]) == ("INF2 overdue", "overdue")
    assert plan["deviations"] == [row for row in plan["deviations"] if row["category"] == "safety-report"]
