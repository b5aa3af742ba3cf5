"""Every alert: its cause, its audiences, and the end of its repetition."""

from typing import Any

import pytest

from itp_events.decisions import decide
from itp_events.events import NoticeIssued
from tests.itp_events.journey import Journey

pytestmark = pytest.mark.requirement("ALR-01")

CARE = {"investigator": 1, "coordinator": 1}
EVERYBODY = {"investigator": 1, "coordinator": 1, "sponsor": 1, "cell-lab": 1}


def started() -> Journey:
    """INF1 and INF2 given on time, on 5 and 12 Jan 2026; INF3 from 23 to 29 Jan."""
    return Journey().treated("2026-01-05", "2026-01-12")


@pytest.mark.requirement("SAF-01")
def test_an_alert_leaves_at_once_at_any_hour() -> None:
    """A Sunday of the Spring Festival, at three in the morning."""
    study = started()
    study.adverse_event("2026-02-15", at="2026-02-15 03:00", serious=True)
    assert {at for at, _, _ in study.sent("sae")} == {"2026-02-15 03:00"}


# Visits


@pytest.mark.parametrize("on", ["2026-01-22", "2026-01-30"])
def test_a_visit_done_outside_its_window_alerts_with_its_deviation(on: str) -> None:
    study = started()
    study.done("INF3", on)
    assert study.audiences("out-of-window") == CARE
    [(_, notice), _] = study.notices("out-of-window")
    assert notice.facts["deviation_days"] == (-1 if on == "2026-01-22" else 1)


def test_a_visit_done_on_the_last_day_of_its_window_alerts_nobody() -> None:
    study = started()
    study.done("INF3", "2026-01-29")
    assert study.sent("out-of-window") == []


def test_a_booking_outside_the_window_alerts() -> None:
    study = started()
    study.booked("INF3", "2026-01-30", at="2026-01-20")
    assert study.audiences("booking-out-of-window") == CARE
    study.booked("INF3", "2026-01-29", at="2026-01-21")
    assert study.audiences("booking-out-of-window") == CARE


def test_a_booking_made_before_its_anchor_is_known_alerts_once_it_is_and_is_forecast_for_then() -> None:
    study = Journey().treated("2026-01-05")
    study.booked("INF3", "2026-02-20", at="2026-01-06")
    due = "2026-02-02T01:00:00Z"  # silence makes INF2 missed on day 20 after 13 Jan
    rows = [row for row in study.plan("2026-01-20")["forecast"] if row["step"] == "booking-out-of-window"]
    assert [(row["visit"], row["due"]) for row in rows] == [("INF3", due)] * 2
    study.done("INF2", "2026-01-13", at="2026-01-20")
    assert study.days("booking-out-of-window") == ["2026-01-20"] * 2


def test_an_infusion_recorded_while_on_hold_alerts() -> None:
    study = started()
    study.medication("rescue", "2026-01-20")
    study.done("INF3", "2026-01-26")
    assert study.audiences("infusion-on-hold") == CARE


def test_an_infusion_recorded_after_a_stop_alerts() -> None:
    study = started()
    study.pregnant("2026-01-20")
    study.done("INF3", "2026-01-26")
    assert study.audiences("infusion-on-hold") == CARE


def test_an_infusion_recorded_after_the_hold_is_decided_alerts_nobody() -> None:
    study = started()
    study.medication("rescue", "2026-01-20")
    study.decided("continue", "2026-01-21")
    study.done("INF3", "2026-01-26")
    assert study.sent("infusion-on-hold") == []


def test_a_follow_up_visit_recorded_on_hold_alerts_nobody() -> None:
    study = Journey().in_follow_up()
    study.medication("rescue", "2026-03-01")
    study.done("FU-D14", "2026-03-09")
    assert study.sent("infusion-on-hold") == []


# Enrolment


@pytest.mark.requirement("ELI-07")
def test_a_correction_that_makes_an_enrolled_subject_fail_a_criterion_alerts() -> None:
    study = started()
    corrected = study.event(
        "itp.subject.enrolled",
        "2026-01-05",
        "2026-01-14",
        **{
            **study.log[0].to_json()["data"],
            "screening": {**study.log[0].to_json()["data"]["screening"], "ast_x_uln": 3.4},
            "by": None,
            "on": None,
        }
        | {"by": "crc-01", "on": "2026-01-05"},
    )
    study.record(study.void(study.log[0], "2026-01-14"), corrected)
    assert study.audiences("eligibility") == CARE
    [(_, notice), _] = study.notices("eligibility")
    assert notice.facts["unmet"] == ["AST 3.4 x ULN, limit 3†"]


@pytest.mark.requirement("CON-02")
@pytest.mark.parametrize(
    ("age", "told"), [(15, {}), (16, {"coordinator": 1}), (17, {"coordinator": 1}), (18, {})]
)
def test_the_coordinator_plans_consent_with_a_subject_that_may_come_of_age(
    age: int, told: dict[str, int]
) -> None:
    study = Journey()
    minor: dict[str, Any] = {"consent_by": "guardian", "assent_on": "2025-12-20"} if age < 18 else {}
    study.enrol(screening={"age_years": age}, **minor)
    assert study.audiences("majority") == told


# Dose


@pytest.mark.requirement("DOS-02")
@pytest.mark.parametrize(
    ("given", "told"), [(6.765e9, {}), (6.766e9, CARE), (5.535e9, {}), (5.534e9, CARE), (6.15e9, {})]
)
def test_cells_that_differ_from_the_planned_dose_by_more_than_10_percent_alert(
    given: float, told: dict[str, int]
) -> None:
    """61.5 kg: 6.15e9 cells; 6.765e9 and 5.535e9 differ by exactly 10%."""
    study = started()
    study.done("INF3", "2026-01-26", cells_given=given)
    assert study.audiences("dose-deviation") == told


@pytest.mark.requirement("DOS-02")
@pytest.mark.parametrize("tenths", [102, 179, 333, 403, 641, 746, 851, 1000])
def test_exactly_10_percent_is_within_the_dose_for_every_weight(tenths: int) -> None:
    """Weights are decimal numbers: the limit must not depend on how a computer rounds them."""
    study = Journey()
    study.enrol(weight_kg=tenths / 10)
    study.done("INF1", "2026-01-05", at="2026-01-05 12:00", cells_given=float(tenths * 11 * 10**6))
    assert study.sent("dose-deviation") == []


@pytest.mark.requirement("DOS-02")
def test_the_planned_dose_is_that_of_the_weight_taken_at_the_infusion_else_of_the_last_before_it() -> None:
    study = Journey().treated("2026-01-05")
    study.done("INF2", "2026-01-12", weight_kg=70.0)
    study.done("INF3", "2026-01-26", cells_given=7.0e9)
    assert study.sent("dose-deviation") == []
    study.done("INF4", "2026-02-09", cells_given=7.0e9, weight_kg=50.0)
    assert study.audiences("dose-deviation") == CARE


# Flags and their repetition


@pytest.mark.requirement("WDR-08")
def test_a_flag_alerts_the_investigator_and_the_coordinator() -> None:
    study = started()
    study.medication("rescue", "2026-01-14")
    assert study.audiences("flag") == CARE
    [(_, notice), _] = study.notices("flag")
    assert notice.facts["criterion"] == "rescue-medication"


@pytest.mark.requirement("WDR-08")
def test_an_undecided_flag_is_repeated_every_working_day_from_the_third_also_to_the_sponsor() -> None:
    study = started()
    study.medication("rescue", "2026-02-11")  # a Wednesday; 14 Feb is worked, 16 to 23 Feb are not
    study.until("2026-02-25 09:00")
    assert study.sent("decision") == [
        ("2026-02-12 09:00", "decision-1", "investigator"),
        ("2026-02-13 09:00", "decision-2", "investigator"),
        ("2026-02-14 09:00", "decision-3", "investigator"),
        ("2026-02-14 09:00", "decision-3", "sponsor"),
        ("2026-02-24 09:00", "decision-4", "investigator"),
        ("2026-02-24 09:00", "decision-4", "sponsor"),
        ("2026-02-25 09:00", "decision-5", "investigator"),
        ("2026-02-25 09:00", "decision-5", "sponsor"),
    ]


@pytest.mark.requirement("WDR-08")
def test_a_decided_flag_is_not_repeated() -> None:
    study = started()
    study.medication("rescue", "2026-01-14")
    study.decided("continue", "2026-01-15", at="2026-01-15 10:00")
    study.until("2026-01-22")
    assert study.days("decision") == ["2026-01-15"]


@pytest.mark.requirement("REM-05")
def test_after_downtime_only_the_newest_repetition_of_a_flag_leaves() -> None:
    study = started()
    study.medication("rescue", "2026-01-14")
    study.awake = False
    study.until("2026-01-19 12:00")
    assert study.sent("decision") == [
        ("2026-01-19 12:00", "decision-3", "investigator"),
        ("2026-01-19 12:00", "decision-3", "sponsor"),
    ]


# Stop, exit, disposition


@pytest.mark.requirement("ALR-02")
def test_a_stop_of_treatment_alerts_everybody() -> None:
    study = started()
    study.pregnant("2026-01-14")
    assert study.audiences("treatment-stopped") == EVERYBODY


@pytest.mark.requirement("ALR-02")
@pytest.mark.parametrize("how", ["consent", "completed"])
def test_an_exit_alerts_everybody(how: str) -> None:
    study = Journey().at_last_visit()
    if how == "consent":
        study.withdrew("2027-02-20")
    else:
        study.done("FU-M12", "2027-02-23")
    assert study.audiences("exit") == EVERYBODY


@pytest.mark.requirement("ALR-04")
def test_a_missed_fu_m12_asks_the_investigator_every_5_working_days_for_a_disposition() -> None:
    study = Journey().at_last_visit()
    study.missed("FU-M12", at="2027-03-03 15:00")  # a Wednesday
    study.until("2027-03-24 09:00")
    assert study.sent("disposition") == [
        ("2027-03-03 15:00", "disposition", "investigator"),
        ("2027-03-10 09:00", "disposition", "investigator"),
        ("2027-03-17 09:00", "disposition", "investigator"),
        ("2027-03-24 09:00", "disposition", "investigator"),
    ]
    study.decided("complete", "2027-03-24", at="2027-03-24 10:00")
    study.until("2027-05-01")
    assert len(study.sent("disposition")) == 4


# What takes an alert back


@pytest.mark.requirement("COR-03")
def test_an_alert_whose_event_is_voided_before_it_left_is_withdrawn() -> None:
    study = started()
    study.hands_over = False
    late = study.done("INF3", "2026-01-30")
    key = study.key("out-of-window", "investigator", "INF3")
    study.voided(late, at="2026-01-30 12:00")
    assert study.fate(key) == ["issued", "withdrawn"]


def test_an_alert_is_sent_once() -> None:
    study = started()
    study.done("INF3", "2026-01-30")
    study.until("2026-06-01")
    assert study.audiences("out-of-window") == CARE


@pytest.mark.parametrize("step", ["flag", "out-of-window", "exit"])
def test_the_same_alert_has_the_same_key_in_every_plan(step: str) -> None:
    study = started()
    study.medication("rescue", "2026-01-30", at="2026-01-30 08:00")
    study.done("INF3", "2026-01-30")
    study.withdrew("2026-01-31")
    fresh = decide(study.folded(), study.instant("2026-03-01"))
    keys = {wanted.key for wanted in fresh.wanted_notices if wanted.step == step}
    assert keys == {data.notice for _, data in study.notices(step)}


@pytest.mark.requirement("TXT-01")
def test_every_notice_names_the_subjects_code_and_no_notice_lacks_its_audience() -> None:
    study = started()
    study.medication("rescue", "2026-01-30", at="2026-01-30 08:00")
    study.until("2026-03-01")
    notices: list[NoticeIssued] = study.own(NoticeIssued)
    assert all(notice.notice.startswith("ITP-001/") and notice.audience for notice in notices)


@pytest.mark.requirement("ALR-02")
def test_a_stop_that_leaves_nobody_to_follow_up_is_told_as_an_exit_alone() -> None:
    study = Journey()
    study.enrol("2026-01-05", at="2026-01-05 08:00")
    study.withdrew("2026-01-06", scope="treatment")
    study.until("2026-01-20")
    assert study.sent("treatment-stopped") == []
    assert len(study.sent("exit")) == 4
