"""Windows: the days on which a visit may take place, counted from the visits that really took place."""

from datetime import date, timedelta

import pytest

from itp_events.events import Missed, Voided
from tests.support.study import FOLLOW_UP, INFUSIONS, Study, altered

pytestmark = pytest.mark.requirement("WIN-02")


def treated(start: str) -> Study:
    """A subject whose five infusions took place on their targets, 49 days from `start` on."""
    study = Study()
    study.enrol(start, consent_on=start)
    study.on_target(*INFUSIONS)
    return study


def after_inf1() -> Study:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    return study


@pytest.mark.requirement("WIN-04")
def test_a_window_is_whole_days_from_target_minus_before_to_target_plus_after() -> None:
    plan = after_inf1().plan("2026-01-06")
    assert plan.window("INF2") == ("2026-01-11", "2026-01-12", "2026-01-13")
    assert plan.window("INF3") == ("2026-01-23", "2026-01-26", "2026-01-29")
    assert plan.window("FU-D14") == ("2026-03-06", "2026-03-09", "2026-03-12")
    assert plan.window("FU-M1") == ("2026-03-16", "2026-03-23", "2026-03-30")


@pytest.mark.requirement("WIN-03")
def test_inf1_may_be_given_from_the_enrolment_day_to_seven_days_after() -> None:
    study = Study()
    study.enrol("2026-01-05")
    assert study.plan("2026-01-06").window("INF1") == ("2026-01-05", "2026-01-05", "2026-01-12")


@pytest.mark.requirement("WIN-03")
def test_first_infusion_on_is_the_target_of_inf1_and_leaves_its_window() -> None:
    study = Study()
    study.enrol("2026-01-05", first_infusion_on="2026-01-09")
    plan = study.plan("2026-01-06")
    assert plan.window("INF1") == ("2026-01-05", "2026-01-09", "2026-01-12")
    assert plan.visit("INF2")["anchor"] == {"code": "INF1", "on": "2026-01-09", "basis": "projected"}
    assert plan.window("INF2") == ("2026-01-15", "2026-01-16", "2026-01-17")


@pytest.mark.requirement("WIN-05")
def test_while_neither_is_known_the_whole_plan_is_projected_from_targets() -> None:
    study = Study()
    study.enrol("2026-01-05")
    plan = study.plan("2026-01-06")
    assert plan.visit("INF1")["anchor"] == {"code": "enrolment", "on": "2026-01-05", "basis": "actual"}
    bases = {code: anchor["basis"] for code, anchor in plan.of("anchor").items()}
    assert {basis for code, basis in bases.items() if code != "INF1"} == {"projected"}
    targets = [plan.visit(code)["target"] for code in INFUSIONS]
    assert targets == ["2026-01-05", "2026-01-12", "2026-01-26", "2026-02-09", "2026-02-23"]
    assert {plan.visit(code)["anchor"]["on"] for code in FOLLOW_UP} == {"2026-02-23"}


@pytest.mark.requirement("WIN-04")
def test_a_late_inf2_moves_every_later_infusion_and_all_follow_up() -> None:
    on_time, late = after_inf1(), after_inf1()
    on_time.done("INF2", "2026-01-12")
    late.done("INF2", "2026-01-15")
    before, after = on_time.plan("2026-01-16"), late.plan("2026-01-16")
    assert after.visit("INF2")["deviation_days"] == 2
    assert after.visit("INF3")["anchor"] == {"code": "INF2", "on": "2026-01-15", "basis": "actual"}
    assert after.window("INF3") == ("2026-01-26", "2026-01-29", "2026-02-01")
    for code in ("INF3", "INF4", "INF5", "FU-D14"):
        moved = date.fromisoformat(after.visit(code)["target"]) - date.fromisoformat(
            before.visit(code)["target"]
        )
        assert moved == timedelta(days=3), code
    assert {after.visit(code)["anchor"]["on"] for code in FOLLOW_UP} == {"2026-02-26"}
    assert after.visit("FU-M12")["target"] == "2027-02-26"


@pytest.mark.requirement("WIN-05")
def test_after_a_missed_infusion_the_next_hangs_on_its_planned_date() -> None:
    study = after_inf1()
    study.done("INF2", "2026-01-13")
    study.missed("INF3", "2026-01-31")
    plan = study.plan("2026-02-01")
    assert plan.visit("INF3")["status"] == "missed"
    assert plan.visit("INF4")["anchor"] == {"code": "INF3", "on": "2026-01-27", "basis": "planned"}
    assert plan.window("INF4") == ("2026-02-07", "2026-02-10", "2026-02-13")


@pytest.mark.requirement("WIN-05", "WIN-06")
def test_after_a_missed_inf5_follow_up_hangs_on_its_target() -> None:
    study = after_inf1()
    study.on_target("INF2", "INF3")
    study.done("INF4", "2026-02-10")
    study.missed("INF5", "2026-03-01")
    plan = study.plan("2026-03-01 12:00")
    for code in FOLLOW_UP:
        assert plan.visit(code)["anchor"] == {"code": "INF5", "on": "2026-02-24", "basis": "planned"}
    assert plan.visit("FU-M1")["target"] == "2026-03-24"
    assert plan["status"] == "in-follow-up"


@pytest.mark.requirement("WIN-06")
def test_follow_up_hangs_on_the_actual_date_of_inf5() -> None:
    study = after_inf1()
    study.on_target("INF2", "INF3", "INF4")
    study.done("INF5", "2026-02-26")
    plan = study.plan("2026-02-27")
    assert {str(plan.visit(code)["anchor"]) for code in FOLLOW_UP} == {
        "{'code': 'INF5', 'on': '2026-02-26', 'basis': 'actual'}"
    }


@pytest.mark.requirement("WIN-04")
@pytest.mark.parametrize(("at", "day"), [("opens", 39), ("closes", 59)])
def test_inf5_is_legitimately_given_from_day_39_to_day_59(at: str, day: int) -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    for code in INFUSIONS[1:]:
        study.done(code, study.plan("2026-06-02").visit(code)[at], at="2026-06-01")
    plan = study.plan("2026-06-02")
    assert plan.visit("INF5")["on"] == (date(2026, 1, 5) + timedelta(days=day)).isoformat()
    assert {plan.visit(code)["deviation_days"] for code in INFUSIONS} == {0}


# Stop of treatment


def stopped() -> Study:
    study = after_inf1()
    study.on_target("INF2", "INF3")
    study.pregnant("2026-02-15")
    return study


@pytest.mark.requirement("WIN-06")
def test_when_treatment_is_stopped_early_follow_up_hangs_on_the_last_infusion_given() -> None:
    plan = stopped().plan("2026-02-16")
    for code in FOLLOW_UP:
        assert plan.visit(code)["anchor"] == {"code": "INF3", "on": "2026-01-26", "basis": "actual"}
    assert plan.window("FU-M1") == ("2026-02-19", "2026-02-26", "2026-03-05")
    assert plan.visit("FU-M1")["status"] == "upcoming"
    assert plan["status"] == "in-follow-up"


def test_a_visit_that_had_closed_on_the_date_of_the_stop_is_cancelled_and_not_missed() -> None:
    status = stopped().plan("2026-02-16").of("status")
    assert status["INF4"] == "cancelled"  # closed on 12 Feb with nothing recorded
    assert status["INF5"] == "cancelled"
    assert status["FU-D14"] == "cancelled"  # 6 to 12 Feb, counted from INF3


def test_a_follow_up_window_that_closes_on_the_date_of_the_stop_is_still_open() -> None:
    study = after_inf1()
    study.on_target("INF2", "INF3")
    study.pregnant("2026-02-12")
    assert study.plan("2026-02-12 12:00").visit("FU-D14")["status"] == "open"


@pytest.mark.requirement("WIN-06")
def test_an_infusion_missed_before_the_stop_stays_missed_and_does_not_carry_follow_up() -> None:
    study = after_inf1()
    study.missed("INF2", "2026-01-14")
    study.pregnant("2026-01-20")
    plan = study.plan("2026-01-21")
    assert [plan.visit(code)["status"] for code in INFUSIONS] == ["completed", "missed", *["cancelled"] * 3]
    assert plan.visit("FU-M1")["anchor"] == {"code": "INF1", "on": "2026-01-05", "basis": "actual"}


@pytest.mark.requirement("WDR-10")
def test_a_stop_with_no_infusion_given_is_an_exit_with_the_disposition_of_the_stop() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.withdrew("2026-01-07", scope="treatment")
    plan = study.plan("2026-01-08")
    assert (plan["status"], plan["exit"]["decode"]) == ("withdrawn", "WITHDRAWAL BY SUBJECT")
    assert plan["exit"]["on"] == "2026-01-07"
    assert set(plan.of("status").values()) == {"cancelled"}


# Months


@pytest.mark.requirement("WIN-07")
@pytest.mark.parametrize(
    ("start", "end_of_treatment", "visit", "target"),
    [
        ("2026-10-12", "2026-11-30", "FU-M3", "2027-02-28"),
        ("2026-07-13", "2026-08-31", "FU-M6", "2027-02-28"),
        ("2027-07-13", "2027-08-31", "FU-M6", "2028-02-29"),
        ("2028-01-11", "2028-02-29", "FU-M12", "2029-02-28"),
        ("2026-12-12", "2027-01-30", "FU-M1", "2027-02-28"),
    ],
)
def test_months_are_calendar_months_clamped_to_the_end_of_the_month(
    start: str, end_of_treatment: str, visit: str, target: str
) -> None:
    plan = treated(start).plan("2029-06-01")
    assert plan.visit(visit)["anchor"]["on"] == end_of_treatment
    assert plan.visit(visit)["target"] == target


@pytest.mark.requirement("WIN-07")
def test_months_are_counted_from_the_anchor_and_never_chained() -> None:
    plan = treated("2026-07-13").plan("2026-09-01")
    targets = {code: plan.visit(code)["target"] for code in FOLLOW_UP[1:]}
    assert targets == {
        "FU-M1": "2026-09-30",
        "FU-M2": "2026-10-31",
        "FU-M3": "2026-11-30",
        "FU-M6": "2027-02-28",
        "FU-M9": "2027-05-31",
        "FU-M12": "2027-08-31",
    }


@pytest.mark.requirement("WIN-07")
def test_a_window_around_a_clamped_target_is_counted_from_the_clamped_day() -> None:
    plan = treated("2026-10-12").plan("2026-12-01")
    assert plan.window("FU-M3") == ("2027-02-21", "2027-02-28", "2027-03-07")


# What became of a visit


@pytest.mark.requirement("WIN-08")
@pytest.mark.parametrize(
    ("on", "deviation"),
    [
        ("2026-01-08", -3),
        ("2026-01-10", -1),
        ("2026-01-11", 0),
        ("2026-01-13", 0),
        ("2026-01-14", 1),
        ("2026-01-20", 7),
    ],
)
def test_a_visit_done_outside_its_window_is_done_early_negative_late_positive(
    on: str, deviation: int
) -> None:
    study = after_inf1()
    study.done("INF2", on)
    row = study.plan("2026-01-21").visit("INF2")
    assert (row["status"], row["on"], row["deviation_days"]) == ("completed", on, deviation)
    assert study.plan("2026-01-21").visit("INF3")["anchor"]["on"] == on


@pytest.mark.requirement("WIN-08")
def test_a_visit_not_done_has_no_deviation() -> None:
    study = after_inf1()
    study.missed("INF2", "2026-01-20")
    plan = study.plan("2026-01-21")
    assert plan.visit("INF2")["deviation_days"] is None
    assert plan.visit("INF3")["deviation_days"] is None


@pytest.mark.requirement("WIN-09")
def test_overdue_is_derived_and_late_data_entry_takes_it_back() -> None:
    study = after_inf1()
    assert study.plan("2026-01-20").visit("INF2")["status"] == "overdue"
    study.done("INF2", "2026-01-12", at="2026-01-21")
    assert study.plan("2026-01-20").visit("INF2")["status"] == "overdue"
    row = study.plan("2026-01-22").visit("INF2")
    assert (row["status"], row["deviation_days"]) == ("completed", 0)


@pytest.mark.requirement("WIN-09")
def test_an_unanswered_visit_is_missed_on_day_20_after_its_window() -> None:
    study = after_inf1()  # INF2 closes on 13 Jan; day +20 is 2 Feb
    assert study.plan("2026-02-02 08:59").visit("INF2")["status"] == "overdue"
    plan = study.plan("2026-02-02 09:00")
    assert plan.visit("INF2")["status"] == "missed"
    assert plan.visit("INF3")["anchor"] == {"code": "INF2", "on": "2026-01-12", "basis": "planned"}


@pytest.mark.requirement("WIN-09")
def test_a_completion_recorded_after_the_services_own_miss_replaces_it() -> None:
    study = after_inf1()
    study.live_until("2026-02-03")
    misses = [event for event in study.log if isinstance(event.data, Missed)]
    assert [(event.source, event.data.visit) for event in misses if isinstance(event.data, Missed)] == [
        ("itp", "INF2")
    ]
    study.done("INF2", "2026-01-13", at="2026-02-03 10:00")
    voids = [
        event.data for event in study.decide("2026-02-03 10:00").events if isinstance(event.data, Voided)
    ]
    assert [void.event for void in voids] == [misses[0].reference]
    plan = study.plan("2026-02-03 10:00")
    assert plan.visit("INF2")["status"] == "completed"
    assert plan.visit("INF3")["anchor"] == {"code": "INF2", "on": "2026-01-13", "basis": "actual"}


@pytest.mark.requirement("WIN-05")
def test_an_infusion_missed_by_the_service_leaves_the_next_overdue_from_its_planned_date() -> None:
    plan = after_inf1().plan("2026-02-02 09:00")
    assert plan.window("INF3") == ("2026-01-23", "2026-01-26", "2026-01-29")
    assert plan.visit("INF3")["status"] == "overdue"


def test_a_ladder_whose_anchor_is_resolved_after_the_window_counts_from_that_resolution() -> None:
    study = after_inf1()  # INF2 is missed on 2 Feb; INF3's window closed on 29 Jan
    rungs = [row for row in study.plan("2026-02-02 09:00")["forecast"] if row["visit"] == "INF3"]
    assert rungs[0]["step"] == "rung-1"
    assert rungs[0]["due"] == "2026-02-03T01:00:00Z"
    assert study.plan("2026-02-22 09:00").visit("INF3")["status"] == "missed"
    assert study.plan("2026-02-22 08:59").visit("INF3")["status"] == "overdue"


# Exit


@pytest.mark.requirement("WIN-12")
def test_at_exit_visits_whose_window_had_closed_are_missed_and_the_others_cancelled() -> None:
    study = after_inf1()
    study.withdrew("2026-01-20")
    status = study.plan("2026-01-20 12:00").of("status")
    assert (status["INF1"], status["INF2"]) == ("completed", "missed")
    assert {status[code] for code in (*INFUSIONS[2:], *FOLLOW_UP)} == {"cancelled"}


@pytest.mark.requirement("WIN-12")
def test_a_visit_missed_at_exit_is_recorded_with_the_reason_exit() -> None:
    study = after_inf1()
    study.withdrew("2026-01-20")
    stated = [event.data for event in study.decide("2026-01-20 12:00").events]
    assert [(each.visit, each.reason) for each in stated if isinstance(each, Missed)] == [("INF2", "exit")]


@pytest.mark.requirement("WIN-12")
@pytest.mark.parametrize(("exit_on", "status"), [("2026-01-13", "cancelled"), ("2026-01-14", "missed")])
def test_a_window_that_closes_on_the_day_of_the_exit_had_not_closed(exit_on: str, status: str) -> None:
    study = after_inf1()
    study.withdrew(exit_on)
    assert study.plan("2026-01-15").visit("INF2")["status"] == status


@pytest.mark.requirement("WIN-12")
def test_an_exit_reported_late_still_decides_by_its_own_date() -> None:
    study = after_inf1()
    study.died("2026-01-10", at="2026-01-18")
    plan = study.plan("2026-01-19")
    assert plan.visit("INF2")["status"] == "cancelled"
    assert plan["exit"]["on"] == "2026-01-10"


def test_a_visit_done_before_the_exit_stays_done_after_it() -> None:
    study = after_inf1()
    study.withdrew("2026-01-20")
    study.done("INF2", "2026-01-12", at="2026-01-22")
    plan = study.plan("2026-01-23")
    assert plan.visit("INF2")["status"] == "completed"
    assert plan.visit("INF3")["status"] == "cancelled"


def test_completion_of_the_last_visit_ends_the_journey() -> None:
    study = treated("2026-01-05")
    study.on_target(*FOLLOW_UP)
    plan = study.plan("2027-03-01")
    assert set(plan.of("status").values()) == {"completed"}
    assert (plan["status"], plan["exit"]["decode"], plan["exit"]["on"]) == (
        "completed",
        "COMPLETED",
        "2027-02-23",
    )


# Corrections


@pytest.mark.requirement("COR-01")
def test_a_correction_by_voiding_computes_the_plan_anew() -> None:
    study = after_inf1()
    wrong = study.done("INF2", "2026-01-12")
    again = study.event("itp.visit.completed", "2026-01-13", "2026-01-14", visit="INF2")
    study.record(study.void(wrong, "2026-01-14"), again)
    plan = study.plan("2026-01-15")
    assert plan.visit("INF2")["on"] == "2026-01-13"
    assert plan.window("INF3") == ("2026-01-24", "2026-01-27", "2026-01-30")


@pytest.mark.requirement("COR-01")
def test_a_void_takes_a_visit_back() -> None:
    study = after_inf1()
    wrong = study.done("INF2", "2026-01-12")
    study.voided(wrong, "2026-01-12 15:00")
    plan = study.plan("2026-01-13")
    assert plan.visit("INF2")["status"] == "open"
    assert plan.visit("INF3")["anchor"]["basis"] == "projected"


@pytest.mark.requirement("WIN-05")
def test_later_visits_left_without_their_anchor_stay_done_and_are_marked_projected() -> None:
    study = after_inf1()
    wrong = study.done("INF2", "2026-01-12")
    study.done("INF3", "2026-01-26")
    study.voided(wrong, "2026-01-27")
    plan = study.plan("2026-01-28")
    row = plan.visit("INF3")
    assert (row["status"], row["on"]) == ("completed", "2026-01-26")
    assert row["anchor"]["basis"] == "projected"
    assert plan.visit("INF4")["anchor"] == {"code": "INF3", "on": "2026-01-26", "basis": "actual"}
    study.done("INF2", "2026-01-13", at="2026-01-29")
    assert study.plan("2026-01-30").visit("INF3")["anchor"] == {
        "code": "INF2",
        "on": "2026-01-13",
        "basis": "actual",
    }


@pytest.mark.requirement("WDR-10", "COR-01")
def test_a_voided_exit_resumes_the_journey() -> None:
    study = after_inf1()
    exit = study.withdrew("2026-01-09")
    assert study.plan("2026-01-10")["status"] == "withdrawn"
    study.voided(exit, "2026-01-10")
    plan = study.plan("2026-01-11")
    assert (plan["status"], plan["exit"], plan["state"]) == ("on-treatment", None, "INF2 window open")


# The windows are data


def test_a_wider_window_in_the_protocol_file_is_a_wider_window() -> None:
    def wider(data: dict[str, list[dict[str, str]]]) -> None:
        data["visits"][1] |= {"target": "P10D", "before": "P2D", "after": "P1W"}

    study = Study(protocol=altered(wider))
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    assert study.plan("2026-01-06").window("INF2") == ("2026-01-13", "2026-01-15", "2026-01-22")


@pytest.mark.requirement("WIN-03")
def test_first_infusion_on_is_the_first_visits_alone_also_when_another_hangs_on_the_enrolment() -> None:
    def yearly(data: dict[str, list[dict[str, str]]]) -> None:
        data["visits"][-1] |= {"anchor": "enrolment"}

    study = Study(protocol=altered(yearly))
    study.enrol("2026-01-05", first_infusion_on="2026-01-09")
    plan = study.plan("2026-01-06")
    assert plan.visit("INF1")["target"] == "2026-01-09"
    assert plan.visit("FU-M12")["target"] == "2027-01-05"
