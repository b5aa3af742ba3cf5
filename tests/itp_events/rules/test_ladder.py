"""The ladder of a visit that nobody recorded: its audiences, its days, its end and its pauses."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itp_events.events import Completed, Missed, Voided
from itp_events.rules.state import subject_state
from tests.itp_events.journey import Journey
from tests.support.study import Study

pytestmark = pytest.mark.requirement("LAD-01")

# INF3 of `overdue()`: window 25 to 31 Jan 2026, a Saturday. Rungs on 2, 3 and 6 Feb; missed on 20 Feb.


def overdue(until: str = "2026-01-31") -> Journey:
    """INF2 done on 14 Jan 2026 and nothing since."""
    study = Journey().treated("2026-01-05", "2026-01-14")
    study.until(until)
    return study


def missed(study: Journey) -> list[tuple[str, str]]:
    """Which visits the service counted as missed, and when."""
    return [
        (study.local(event.time), event.data.visit)
        for event in study.log
        if event.own and isinstance(event.data, Missed)
    ]


def ladder(study: Journey, at: datetime) -> list[tuple[str, datetime]]:
    """The rungs of INF3 as they stand at an instant, each with the instant at which it is due."""
    planned = next(each for each in subject_state(study.folded(), at).visits if each.code == "INF3")
    return [(rung.step, due) for rung, due in planned.climb.rungs] if planned.climb else []


# The rungs


def test_the_ladder_tells_the_coordinator_the_investigator_and_the_sponsor() -> None:
    """Day +1, +3 and +6 after the window's last day; Sunday 1 Feb moves to the Monday."""
    study = overdue()
    study.until("2026-02-19")
    assert study.sent("rung", "INF3") == [
        ("2026-02-02 09:00", "rung-1", "coordinator"),
        ("2026-02-03 09:00", "rung-2", "investigator"),
        ("2026-02-06 09:00", "rung-3", "sponsor"),
    ]


@pytest.mark.requirement("CAL-01")
def test_rungs_stay_a_working_day_apart_over_holidays() -> None:
    """INF4 closes on 14 Feb 2026, before nine days without work: the rungs follow one another after it."""
    study = Journey().treated("2026-01-05", "2026-01-14", "2026-01-28")
    study.until("2026-03-01")
    assert study.days("rung", "INF4") == ["2026-02-24", "2026-02-25", "2026-02-26"]


@pytest.mark.requirement("CAL-01")
def test_a_worked_saturday_is_a_day_for_a_rung() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12", "2026-01-27")  # INF4: 10 Feb, closes on the 13th
    study.until("2026-02-15")
    assert study.days("rung", "INF4") == ["2026-02-14"]


def test_no_rung_before_the_window_has_closed() -> None:
    study = overdue("2026-01-31 23:59")
    assert study.sent("rung", "INF3") == []


# The automatic miss


@pytest.mark.requirement("WIN-09")
def test_an_unanswered_visit_is_missed_on_day_20_after_its_window() -> None:
    study = overdue()
    study.until("2026-02-20 08:59")
    assert missed(study) == []
    study.until("2026-02-20 09:00")
    assert missed(study) == [("2026-02-20 09:00", "INF3")]
    assert study.own(Missed)[0].by == "service"


def test_two_missed_infusions_in_a_row_both_escalate_fully() -> None:
    """INF2's miss is known only after INF3's window closed: INF3's ladder counts from that day."""
    study = Journey().treated("2026-01-05")  # INF2 closes on 13 Jan, INF3 (26 Jan by plan) on the 29th
    study.until("2026-03-01")
    assert study.days("rung", "INF2") == ["2026-01-14", "2026-01-16", "2026-01-19"]
    assert study.days("rung", "INF3") == ["2026-02-03", "2026-02-05", "2026-02-09"]
    assert missed(study) == [("2026-02-02 09:00", "INF2"), ("2026-02-22 09:00", "INF3")]


def test_a_late_completion_of_the_anchor_starts_the_ladder_on_the_day_it_is_recorded() -> None:
    study = Journey().treated("2026-01-05")
    study.done("INF2", "2026-01-13", at="2026-02-01")  # INF3: 27 Jan, closed on the 30th
    study.until("2026-02-12")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-04", "2026-02-09"]


@pytest.mark.parametrize("kind", ["itp.visit.completed", "itp.subject.enrolled"])
def test_a_correction_that_leaves_the_date_of_the_anchor_puts_no_rung_and_no_miss_off(kind: str) -> None:
    """INF2 hangs on INF1: 11 to 13 Jan. INF1 on the enrolment: 5 to 12 Jan."""
    service = Journey().treated(*["2026-01-05"] * (kind == "itp.visit.completed"))
    wrong = next(event for event in service.log if event.type == kind)
    service.until("2026-01-15 12:00")
    data = {**wrong.to_json()["data"], "weight_kg": 58.0}
    on = data.pop("on")
    visit = "INF2" if kind == "itp.visit.completed" else "INF1"
    before = service.plan("2026-01-15 12:00").steps("forecast", visit)
    again = service.event(kind, on, "2026-01-15 12:05", **data)
    service.record(service.void(wrong, "2026-01-15 12:05"), again, now="2026-01-15 12:05")
    assert service.plan("2026-01-15 12:05").steps("forecast", visit) == before
    service.until("2026-01-20")
    assert [step for _, step, _ in service.sent("rung", visit)] == ["rung-1", "rung-2", "rung-3"]


def test_an_anchor_restated_for_another_date_is_resolved_by_that_and_one_restated_unchanged_is_not() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    wrong = study.log[-1]
    study.voided(wrong, "2026-01-15")
    study.done("INF1", "2026-01-05", at="2026-01-20")
    assert study.plan("2026-01-20 12:00").steps("notices", "INF2")[0][2] == "2026-01-14T01:00:00Z"
    study.record(
        study.void(study.log[-1], "2026-01-22"),
        study.event("itp.visit.completed", "2026-01-06", "2026-01-22", visit="INF1"),
    )
    assert study.plan("2026-01-22 12:00").steps("forecast", "INF2")[0][2] == "2026-01-23T01:00:00Z"


# Acknowledgement


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_holds_until_the_next_working_day_by_default() -> None:
    """Rung 2 comes on that day, rung 3 keeps its three days after rung 2."""
    study = overdue("2026-02-02 09:00")
    study.acknowledged("INF3", "2026-02-02 10:00")
    study.until("2026-02-19")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-03", "2026-02-06"]


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_puts_the_next_rung_off_to_its_date_and_later_rungs_keep_their_spacing() -> None:
    study = overdue("2026-02-02 09:00")
    study.acknowledged("INF3", "2026-02-02 10:00", until="2026-02-10")
    study.until("2026-02-19")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-10", "2026-02-13"]


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_before_the_first_rung_puts_off_the_first() -> None:
    study = overdue()
    study.acknowledged("INF3", "2026-02-01 12:00", until="2026-02-04")
    study.until("2026-02-19")
    assert study.days("rung", "INF3") == ["2026-02-04", "2026-02-06", "2026-02-09"]


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_moves_the_automatic_miss_to_at_least_7_days_after_it() -> None:
    study = overdue("2026-02-07")
    study.acknowledged("INF3", "2026-02-07 10:00", until="2026-02-17")
    study.until("2026-03-02")
    assert missed(study) == [("2026-02-24 09:00", "INF3")]


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_never_brings_the_automatic_miss_forward() -> None:
    study = overdue("2026-02-02 09:00")
    study.acknowledged("INF3", "2026-02-02 10:00")
    study.until("2026-03-02")
    assert missed(study) == [("2026-02-20 09:00", "INF3")]


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_after_every_rung_sends_none_again() -> None:
    study = overdue("2026-02-07")
    study.acknowledged("INF3", "2026-02-07 10:00", until="2026-02-17")
    study.until("2026-03-02")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-03", "2026-02-06"]


@pytest.mark.requirement("LAD-02")
def test_a_second_acknowledgement_puts_off_the_same_rungs_once_more() -> None:
    study = overdue("2026-02-02 09:00")
    study.acknowledged("INF3", "2026-02-02 10:00", until="2026-02-05")
    study.acknowledged("INF3", "2026-02-04 10:00", until="2026-02-10")
    study.until("2026-02-19")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-10", "2026-02-13"]


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_until_a_day_whose_morning_has_passed_holds_until_the_next_working_day() -> None:
    """Rung 2 would have been due on the 3rd at 09:00, before anybody acknowledged: nobody would be told."""
    study = overdue("2026-02-02 09:00")
    study.acknowledged("INF3", "2026-02-02 10:00", until="2026-02-02")
    study.until("2026-02-19")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-03", "2026-02-06"]


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_until_the_morning_that_comes_sends_the_next_rung_then() -> None:
    study = overdue("2026-02-02 09:00")
    study.acknowledged("INF3", "2026-02-04 08:59", until="2026-02-04")
    study.until("2026-02-19")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-03", "2026-02-04"]


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_on_the_day_on_which_the_anchor_became_known_puts_off_the_first_rung() -> None:
    study = Journey().treated("2026-01-05")
    study.done("INF2", "2026-01-13", at="2026-02-02 10:00")  # INF3: 27 Jan, closed on the 30th
    study.acknowledged("INF3", "2026-02-02 12:00", until="2026-02-05")
    study.until("2026-02-14")
    assert study.days("rung", "INF3") == ["2026-02-05", "2026-02-09", "2026-02-10"]  # the 7th: Saturday


@pytest.mark.requirement("LAD-02")
def test_an_acknowledgement_from_before_the_anchor_was_corrected_moves_no_rung_of_the_new_ladder() -> None:
    """INF3 hung on 14 Jan; from 4 Feb on it hangs on the 15th, and its ladder counts from that day."""
    study = overdue("2026-02-02 09:00")
    study.acknowledged("INF3", "2026-02-02 10:00", until="2026-02-03")
    wrong = next(
        event for event in study.log if isinstance(event.data, Completed) and event.data.visit == "INF2"
    )
    study.corrected(wrong, "2026-02-04 10:00", on="2026-01-15")
    forecast = study.plan("2026-02-04 10:00").steps("forecast", "INF3")
    assert forecast == [
        ("rung-1", "coordinator", "2026-02-05T01:00:00Z"),
        ("rung-2", "investigator", "2026-02-09T01:00:00Z"),
        ("rung-3", "sponsor", "2026-02-10T01:00:00Z"),
    ]


@pytest.mark.requirement("LAD-02")
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 19 * 24 - 1), st.none() | st.integers(0, 14))
def test_whatever_an_acknowledgement_says_every_rung_that_was_not_due_comes_after_it(
    hours: int, days: int | None
) -> None:
    study = overdue()
    at = study.instant("2026-02-01") + timedelta(hours=hours)
    due = [rung for rung, when in ladder(study, at) if when <= at]
    until = None if days is None else str(study.site.date_of(at) + timedelta(days=days))
    study.acknowledged("INF3", at, until)
    after = ladder(study, at)
    assert [rung for rung, when in after if when <= at] == due
    assert all(when >= at for rung, when in after if rung not in due)


# What pauses it


@pytest.mark.requirement("LAD-03")
def test_a_hold_pauses_the_ladder_of_an_infusion_and_its_automatic_miss() -> None:
    study = overdue("2026-02-02 09:00")
    study.medication("rescue", "2026-02-02", at="2026-02-02 12:00")
    study.until("2026-06-01")
    assert study.days("rung", "INF3") == ["2026-02-02"]
    assert missed(study) == []


@pytest.mark.requirement("LAD-03")
def test_the_ladder_goes_on_when_the_hold_is_decided() -> None:
    """Ten days of hold put what was left of the ladder off by ten days."""
    study = overdue("2026-02-02 09:00")
    study.medication("rescue", "2026-02-02", at="2026-02-02 12:00")
    study.decided("continue", "2026-02-12")
    study.until("2026-03-10")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-13", "2026-02-24"]  # 16 to 23 Feb: no work
    assert missed(study) == [("2026-03-02 09:00", "INF3")]


@pytest.mark.requirement("LAD-03")
def test_two_flags_that_wait_at_once_are_one_hold() -> None:
    study = overdue("2026-02-02 09:00")
    study.medication("rescue", "2026-02-02", at="2026-02-02 12:00")
    study.medication("prohibited", "2026-02-04")
    study.decided("continue", "2026-02-12")
    study.until("2026-03-10")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-13", "2026-02-24"]
    assert missed(study) == [("2026-03-02 09:00", "INF3")]


@pytest.mark.requirement("LAD-03")
def test_a_hold_lasts_until_its_last_flag_is_decided() -> None:
    study = overdue("2026-02-02 09:00")
    study.medication("rescue", "2026-02-02", at="2026-02-02 12:00")
    study.medication("prohibited", "2026-02-04")
    study.decided("continue", "2026-02-06", criterion="rescue-medication")
    study.until("2026-02-12")
    assert study.days("rung", "INF3") == ["2026-02-02"]
    study.decided("continue", "2026-02-12", criterion="prohibited-medication")
    study.until("2026-03-10")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-13", "2026-02-24"]


@pytest.mark.requirement("LAD-02", "LAD-03")
def test_an_acknowledgement_during_a_hold_sends_no_rung_before_the_hold_is_decided() -> None:
    study = overdue("2026-02-02 09:00")
    study.medication("rescue", "2026-02-02", at="2026-02-02 12:00")
    study.acknowledged("INF3", "2026-02-03 10:00")
    study.until("2026-02-12 10:00")
    assert study.days("rung", "INF3") == ["2026-02-02"]
    study.decided("continue", "2026-02-12")
    assert study.days("rung", "INF3") == ["2026-02-02"]
    study.until("2026-03-10")
    assert study.days("rung", "INF3") == ["2026-02-02", "2026-02-13", "2026-02-24"]


@pytest.mark.requirement("LAD-03")
def test_a_hold_before_the_window_closed_counts_the_ladder_from_the_decision() -> None:
    study = overdue("2026-01-26")
    study.medication("rescue", "2026-01-26")
    study.decided("continue", "2026-02-04")
    study.until("2026-02-14")
    assert study.days("rung", "INF3") == ["2026-02-05", "2026-02-09", "2026-02-10"]  # the 7th: Saturday


@pytest.mark.requirement("LAD-03")
def test_follow_up_ladders_go_on_during_a_hold() -> None:
    study = Journey().in_follow_up()
    study.done("FU-D14", "2026-03-09")
    study.medication("rescue", "2026-03-25")  # FU-M1 closes on 30 March; 5 and 6 April are holidays
    study.until("2026-04-19 09:00")
    assert study.days("rung", "FU-M1") == ["2026-03-31", "2026-04-02", "2026-04-07"]
    assert missed(study) == [("2026-04-19 09:00", "FU-M1")]


# What ends it


@pytest.mark.requirement("LAD-03")
@pytest.mark.parametrize(
    "end",
    [
        lambda study: study.done("INF3", "2026-02-02", at="2026-02-02 10:00"),
        lambda study: study.missed("INF3", at="2026-02-02 10:00"),
        lambda study: study.withdrew("2026-02-02", at="2026-02-02 10:00"),
    ],
    ids=["recorded", "declared missed", "exit"],
)
def test_recording_the_visit_declaring_it_missed_or_exit_ends_the_ladder(
    end: Callable[[Journey], object],
) -> None:
    study = overdue("2026-02-02 09:00")
    end(study)
    study.until("2026-02-25")
    assert study.days("rung", "INF3") == ["2026-02-02"]
    assert ("2026-02-20 09:00", "INF3") not in missed(study)


@pytest.mark.requirement("WIN-09")
def test_late_data_takes_overdue_back() -> None:
    study = overdue("2026-02-05")
    assert study.plan("2026-02-05").visit("INF3")["status"] == "overdue"
    study.done("INF3", "2026-01-30", at="2026-02-05 10:00")
    row = study.plan("2026-02-05 11:00").visit("INF3")
    assert (row["status"], row["deviation_days"]) == ("completed", 0)


def test_an_overdue_state_names_the_visit() -> None:
    assert overdue("2026-02-01").decide("2026-02-01").state == "INF3 overdue"


@pytest.mark.requirement("WIN-09")
def test_a_late_completion_replaces_the_services_miss_and_voids_it() -> None:
    study = overdue("2026-02-21")
    study.done("INF3", "2026-01-30", at="2026-02-24")
    [void] = study.own(Voided)
    assert void.event.id == "ITP-001/INF3/missed/2026-01-28"
    row = study.plan("2026-02-25").visit("INF4")
    assert row["anchor"] == {"code": "INF3", "on": "2026-01-30", "basis": "actual"}


def test_a_miss_that_somebody_declares_replaces_the_services() -> None:
    study = overdue("2026-02-21")
    study.missed("INF3", at="2026-02-24", reason="moved away")
    assert len(study.own(Voided)) == 1
    assert study.plan("2026-02-25").visit("INF3")["status"] == "missed"


def test_a_voided_late_completion_brings_the_services_miss_back_as_its_second() -> None:
    study = overdue("2026-02-21")
    done = study.done("INF3", "2026-01-30", at="2026-02-24")
    study.voided(done, at="2026-02-25")
    identities = [event.id for event in study.log if event.own and isinstance(event.data, Missed)]
    assert identities == ["ITP-001/INF3/missed/2026-01-28", "ITP-001/INF3/missed/2026-01-28#2"]


def test_a_rung_says_how_many_days_the_window_has_been_closed() -> None:
    """Also when a hold moved it."""
    study = Journey().treated("2026-01-05", "2026-01-12")
    study.medication("rescue", "2026-01-20")
    study.decided("continue", "2026-02-05")
    study.until("2026-02-10")
    told = [
        (study.local(event.time)[:10], data.facts["day"]) for event, data in study.notices("rung", "INF3")
    ]
    assert told[0] == ("2026-02-06", 8)
