"""Reminders: their instants, audiences and moves over holidays, their successors and their ends."""

from datetime import timedelta

import pytest

from itp_events.events import NoticeIssued
from tests.itp_events.journey import Journey
from tests.support.study import protocol_in

pytestmark = pytest.mark.requirement("REM-01")

# China, 2026: 16 to 20 and 23 February are holidays, Saturday 14 and Saturday 28 are worked.


def due(study: Journey, visit: str) -> list[tuple[str, str, str]]:
    """The reminders of one visit: due instant (site time), step, audience; by instant and audience."""
    found = [data for _, data in study.notices(visit=visit) if data.kind == "reminder"]
    found.sort(key=lambda data: (data.due, data.audience))
    return [(study.local(data.due), data.step, data.audience) for data in found]


def test_an_infusion_is_reminded_7_3_and_1_days_before_on_the_day_and_on_the_last_day() -> None:
    study = Journey().treated("2026-01-05", "2026-01-14")  # INF3: target 28 Jan, a Wednesday; to the 31st
    study.until("2026-02-01")
    assert due(study, "INF3") == [
        ("2026-01-21 09:00", "T-7d", "coordinator"),
        ("2026-01-23 09:00", "T-3d", "cell-lab"),  # the 25th is a Sunday
        ("2026-01-27 09:00", "T-1d", "coordinator"),
        ("2026-01-28 09:00", "T", "coordinator"),
        ("2026-01-31 09:00", "last-day", "coordinator"),
    ]


@pytest.mark.requirement("REM-02")
def test_a_follow_up_visit_is_reminded_14_and_3_days_before_on_the_day_and_on_the_last_day() -> None:
    study = Journey().in_follow_up()  # FU-M6: target 23 Aug, a Sunday; to the 30th
    study.until("2026-08-31")
    assert due(study, "FU-M6") == [
        ("2026-08-07 09:00", "T-14d", "coordinator"),  # the 9th is a Sunday
        ("2026-08-20 09:00", "T-3d", "coordinator"),
        ("2026-08-21 09:00", "T", "coordinator"),
        ("2026-08-30 09:00", "last-day", "coordinator"),  # a Sunday: the last day never moves
    ]


def test_each_reminder_leaves_at_the_instant_it_is_due() -> None:
    study = Journey().treated("2026-01-05", "2026-01-14")
    study.until("2026-02-01")
    left = [(study.local(event.time), study.local(data.due)) for event, data in study.notices(visit="INF3")]
    assert left == [(at, at) for _, at in left]
    assert len(left) == 5


@pytest.mark.requirement("CAL-01")
def test_a_reminder_moves_to_the_working_day_before_over_the_spring_festival() -> None:
    """INF5 falls on 23 Feb 2026, after a week of holidays: T-3d moves to the worked Saturday, the 14th."""
    study = Journey().treated("2026-01-05", "2026-01-12", "2026-01-26", "2026-02-09")
    study.until("2026-02-27")
    assert due(study, "INF5") == [
        ("2026-02-14 09:00", "T-3d", "cell-lab"),
        ("2026-02-14 09:00", "T", "coordinator"),
        ("2026-02-26 09:00", "last-day", "coordinator"),
    ]


@pytest.mark.requirement("REM-05")
def test_of_reminders_that_move_to_the_same_morning_the_newest_is_sent() -> None:
    """T-7d, T-1d and T of INF5 all move to 14 Feb 2026: only T goes out, the others are superseded."""
    study = Journey().treated("2026-01-05", "2026-01-12", "2026-01-26", "2026-02-09")
    study.until("2026-02-27")
    assert study.superseded("INF5") == ["T-7d", "T-1d"]


@pytest.mark.requirement("WIN-11", "REM-04")
def test_09_00_is_the_clock_of_the_site_through_daylight_saving() -> None:
    study = Journey(protocol=protocol_in("Europe/Berlin", "DE"))
    study.treated("2026-03-09", "2026-03-16", enrolled="2026-03-09")  # INF3: target Monday, 30 March
    study.until("2026-04-03")
    assert due(study, "INF3")[:2] == [
        ("2026-03-23 09:00", "T-7d", "coordinator"),
        ("2026-03-27 09:00", "T-3d", "cell-lab"),
    ]
    winter, summer = study.notices("T-3d", "INF3")[0][1].due, study.notices("T", "INF3")[0][1].due
    assert (winter.hour, summer.hour) == (8, 7)


# T is the booked date


@pytest.mark.requirement("REM-03")
def test_t_is_the_booked_date() -> None:
    study = Journey().treated("2026-01-05", "2026-01-14")
    study.booked("INF3", "2026-01-29", at="2026-01-16")
    study.until("2026-02-01")
    assert due(study, "INF3")[:3] == [
        ("2026-01-26 09:00", "T-3d", "cell-lab"),
        ("2026-01-28 09:00", "T-1d", "coordinator"),
        ("2026-01-29 09:00", "T", "coordinator"),
    ]


@pytest.mark.requirement("REM-03")
@pytest.mark.parametrize(
    ("visit", "step", "on"), [("INF3", "T-7d", "2026-01-28"), ("FU-M6", "T-14d", "2026-08-20")]
)
def test_the_reminder_to_book_falls_away_once_a_date_is_booked(visit: str, step: str, on: str) -> None:
    study = Journey().treated("2026-01-05", "2026-01-14") if visit == "INF3" else Journey().in_follow_up()
    study.booked(visit, on, at="2026-01-15" if visit == "INF3" else "2026-03-02")
    study.until(on)
    assert study.sent(step, visit) == []


@pytest.mark.requirement("REM-03")
def test_a_booked_date_that_passed_unrecorded_is_a_no_show_on_the_next_working_day() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12")  # INF3: 23 to 29 Jan
    study.booked("INF3", "2026-01-23", at="2026-01-13")  # a Friday
    study.until("2026-02-20")
    assert study.sent("no-show", "INF3") == [("2026-01-26 09:00", "no-show", "coordinator")]


def test_a_visit_without_a_booked_date_has_no_no_show() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12")
    study.until("2026-02-20")
    assert study.sent("no-show") == []


@pytest.mark.requirement("REM-03")
def test_no_no_show_once_the_visit_is_recorded() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12")
    study.booked("INF3", "2026-01-23", at="2026-01-13")
    study.done("INF3", "2026-01-23")
    study.until("2026-02-01")
    assert study.sent("no-show", "INF3") == []


@pytest.mark.requirement("REM-03")
def test_a_booking_beyond_the_window_that_passed_unrecorded_is_a_no_show_too() -> None:
    study = Journey().treated("2026-01-05", "2026-01-12")  # INF3 closes on 29 Jan
    study.booked("INF3", "2026-02-03", at="2026-01-27")
    study.until("2026-02-10")
    assert study.sent("no-show", "INF3") == [("2026-02-04 09:00", "no-show", "coordinator")]


@pytest.mark.requirement("REM-03")
def test_a_new_booking_withdraws_unsent_notices_for_the_date_before() -> None:
    study = Journey()
    study.hands_over = False
    study.treated("2026-01-05", "2026-01-14")
    study.until("2026-01-23 10:00")
    old = study.key("T-3d", "cell-lab", "INF3")
    study.booked("INF3", "2026-01-30", at="2026-01-23 12:00")
    assert study.fate(old) == ["issued", "withdrawn"]


# Until when a reminder is of use


def test_an_enrolment_late_on_the_day_still_brings_the_reminder_of_that_day() -> None:
    """INF1's target is the enrolment day: enrolled at 20:00, the coordinator is reminded at 20:00."""
    study = Journey()
    study.enrol("2026-01-05", at="2026-01-05 20:00")
    assert study.sent("T", "INF1") == [("2026-01-05 20:00", "T", "coordinator")]
    assert set(study.superseded("INF1")) == {"T-7d", "T-1d"}


@pytest.mark.requirement("DOS-03")
def test_cells_for_the_first_infusion_are_ordered_at_enrolment_however_far_its_day_is() -> None:
    for first in ("2026-01-05", "2026-01-12"):
        study = Journey()
        study.enrol("2026-01-05", at="2026-01-05 20:00", first_infusion_on=first)
        assert study.sent("T-3d", "INF1") == [("2026-01-05 20:00", "T-3d", "cell-lab")]
        assert study.notices("T-3d", "INF1")[0][1].until == study.instant(first) + timedelta(days=1)


@pytest.mark.requirement("DOS-03")
def test_a_booking_that_moves_the_first_infusion_orders_its_cells_anew() -> None:
    study = Journey()
    study.enrol("2026-01-05")
    study.booked("INF1", "2026-01-09", at="2026-01-05 21:00")
    assert [at for at, *_ in study.sent("T-3d", "INF1")] == ["2026-01-05 11:00", "2026-01-05 21:00"]


@pytest.mark.requirement("REM-05")
def test_a_reminder_is_of_use_until_a_newer_one_to_the_same_audience_is_due() -> None:
    study = Journey()
    study.hands_over = False
    study.treated("2026-01-05", "2026-01-14")
    study.until("2026-01-21 12:00")
    book = study.key("T-7d", "coordinator", "INF3")
    study.until("2026-01-27 08:59")
    assert study.fate(book) == ["issued"]
    study.until("2026-01-27 09:00")
    assert study.fate(book) == ["issued", "withdrawn"]


@pytest.mark.requirement("REM-05")
def test_a_reminder_is_of_use_until_the_window_closes() -> None:
    study = Journey().treated("2026-01-05", "2026-01-14")  # INF3 closes on 31 Jan
    study.awake = False
    study.until("2026-02-01 00:00")
    assert due(study, "INF3") == []
    assert set(study.superseded("INF3")) == {"T-7d", "T-3d", "T-1d", "T", "last-day"}


def test_the_last_day_reminder_ends_with_the_window_also_for_a_booking_beyond_it() -> None:
    """Withdrawn by a hold on the last day, it does not come back for a window that has closed since."""
    study = Journey()
    study.hands_over = False
    study.treated("2026-01-05", "2026-01-14")  # INF3 closes on 31 Jan
    study.until("2026-01-31 10:00")
    key = study.key("last-day", "coordinator", "INF3")
    study.medication("rescue", "2026-01-31")
    study.booked("INF3", "2026-02-05", at="2026-02-01")
    study.decided("continue", "2026-02-02")
    assert study.fate(key) == ["issued", "withdrawn"]


@pytest.mark.requirement("DOS-03")
def test_cell_preparation_is_of_use_until_t() -> None:
    late, in_time = (Journey().treated("2026-01-05", "2026-01-14") for _ in range(2))
    for study, at in ((in_time, "2026-01-27 23:59"), (late, "2026-01-28 00:00")):
        study.awake = False
        study.until(at)
    assert in_time.sent("T-3d", "INF3") == [("2026-01-27 23:59", "T-3d", "cell-lab")]
    assert late.sent("T-3d", "INF3") == []


@pytest.mark.requirement("REM-05")
def test_downtime_over_several_dates_ends_without_a_burst() -> None:
    """Down over T-7d, T-3d, T-1d: one reminder to each audience, the newest, the others superseded."""
    study = Journey().treated("2026-01-05", "2026-01-14")
    study.awake = False
    study.until("2026-01-27 15:00")
    assert due(study, "INF3") == [
        ("2026-01-23 09:00", "T-3d", "cell-lab"),
        ("2026-01-27 09:00", "T-1d", "coordinator"),
    ]
    assert study.superseded("INF3") == ["T-7d"]


@pytest.mark.requirement("REM-05")
def test_one_reminder_per_audience_and_visit_at_each_wake() -> None:
    study = Journey().in_follow_up()
    study.awake = False
    for at in ("2026-03-10", "2026-04-20", "2026-05-30", "2026-12-01"):
        before = len(study.log)
        study.until(at)
        study.awake = False
        new = [event.data for event in study.log[before:] if isinstance(event.data, NoticeIssued)]
        sent = [(data.visit, data.audience) for data in new if data.kind == "reminder"]
        assert len(sent) == len(set(sent))


# What runs no reminder


def test_reminders_run_only_from_an_anchor_that_is_known() -> None:
    """While INF2 is neither done nor missed, INF3's dates are a projection: nobody is reminded of it."""
    study = Journey().treated("2026-01-05")
    study.until("2026-01-31")
    assert study.sent(visit="INF3") == []


def test_reminders_run_from_the_target_of_an_anchor_that_was_missed() -> None:
    study = Journey().treated("2026-01-05")
    study.missed("INF2", at="2026-01-14")  # its target, 12 Jan, counts: INF3 on the 26th
    study.until("2026-01-27")
    assert due(study, "INF3")[0] == ("2026-01-19 09:00", "T-7d", "coordinator")


@pytest.mark.requirement("REM-06")
@pytest.mark.parametrize("end", ["recorded", "missed", "exit", "stop"])
def test_no_reminder_after_a_visit_is_recorded_missed_or_after_exit_or_stop(end: str) -> None:
    study = Journey().treated("2026-01-05", "2026-01-14")
    study.until("2026-01-26")
    before = len(due(study, "INF3"))
    ways = {
        "recorded": lambda: study.done("INF3", "2026-01-26"),
        "missed": lambda: study.missed("INF3", at="2026-01-26"),
        "exit": lambda: study.withdrew("2026-01-26"),
        "stop": lambda: study.withdrew("2026-01-26", scope="treatment"),
    }
    ways[end]()
    study.until("2026-02-03")
    assert len(due(study, "INF3")) == before


@pytest.mark.requirement("REM-06")
def test_infusion_reminders_stop_on_hold_and_go_on_after_it() -> None:
    study = Journey().treated("2026-01-05", "2026-01-14")
    study.medication("rescue", "2026-01-22")
    study.until("2026-01-27 18:00")
    assert [step for _, step, _ in due(study, "INF3")] == ["T-7d"]
    study.decided("continue", "2026-01-27", at="2026-01-27 18:30")
    study.until("2026-02-01")
    assert [(study.local(event.time), data.step) for event, data in study.notices(visit="INF3")][1:] == [
        ("2026-01-27 18:30", "T-1d"),
        ("2026-01-27 18:30", "T-3d"),
        ("2026-01-28 09:00", "T"),
        ("2026-01-31 09:00", "last-day"),
    ]


@pytest.mark.requirement("REM-06")
def test_follow_up_reminders_go_on_during_a_hold() -> None:
    study = Journey().in_follow_up()
    study.medication("rescue", "2026-08-01")
    study.until("2026-08-31")
    assert [step for _, step, _ in due(study, "FU-M6")] == ["T-14d", "T-3d", "T", "last-day"]


@pytest.mark.requirement("WIN-08")
def test_a_visit_done_late_moves_the_reminders_of_those_after_it() -> None:
    study = Journey().treated("2026-01-05", "2026-01-16")  # three days out of the window
    study.until("2026-02-03")
    assert study.sent("T", "INF3") == [("2026-01-30 09:00", "T", "coordinator")]


# What cell preparation says


@pytest.mark.requirement("DOS-01")
def test_cell_preparation_states_the_dose_for_the_weight_known_last() -> None:
    study = Journey().treated("2026-01-05")
    study.done("INF2", "2026-01-14", weight_kg=63.0)
    study.until("2026-01-24")
    [(_, notice)] = study.notices("T-3d", "INF3")
    dose = notice.facts["dose"]
    assert dose["cells"] == pytest.approx(6.3e9)
    assert (dose["weight_kg"], dose["weight_on"], dose["weight_source"]) == (63.0, "2026-01-14", "INF2")
