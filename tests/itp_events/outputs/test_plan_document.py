"""The plan document: exactly the contract's fields, and the content of notices and forecast."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from itp_events.errors import Refused
from tests.support.study import FOLLOW_UP, INFUSIONS, Json, PlanDocument, Study

pytestmark = pytest.mark.requirement("OUT-01")

Check = Callable[[Any], object]


# The shape


def is_date(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 10 and bool(date.fromisoformat(value))


def is_instant(value: Any) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value)) and bool(
        datetime.fromisoformat(value)
    )


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def one_of(*words: str) -> Check:
    return lambda value: value in words


def or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def rows_of(shape: dict[str, Any]) -> Check:
    return lambda value: isinstance(value, list) and all(fits(row, shape) for row in value)


def row_of(shape: dict[str, Any]) -> Check:
    return lambda value: fits(value, shape)


def fits(value: Any, shape: dict[str, Any]) -> bool:
    """Whether an object has exactly the fields of a shape, each as its check says; else fails by name."""
    assert set(value) == set(shape), f"fields {sorted(value)}, expected {sorted(shape)}"
    for name, check in shape.items():
        assert check(value[name]), f"{name}: {value[name]!r}"
    return True


SOURCE = one_of("synopsis", "assumption")
AUDIENCE = one_of("coordinator", "investigator", "sponsor", "cell-lab", "ops")
DECODE = one_of(
    "COMPLETED",
    "ADVERSE EVENT",
    "DEATH",
    "LACK OF EFFICACY",
    "LOST TO FOLLOW-UP",
    "PHYSICIAN DECISION",
    "PREGNANCY",
    "PROTOCOL DEVIATION",
    "PROTOCOL-SPECIFIED WITHDRAWAL CRITERION MET",
    "WITHDRAWAL BY SUBJECT",
    "WITHDRAWAL BY PARENT/GUARDIAN",
)
CRITERION = one_of(
    "consent-withdrawn",
    "death",
    "pregnancy",
    "adverse-event",
    "rescue-medication",
    "prohibited-medication",
    "maintenance-changed",
    "missed-infusions",
    "lost-to-follow-up",
    "investigator-decision",
)
NOTICE = {
    "key": is_text,
    "kind": one_of("reminder", "escalation", "alert"),
    "visit": or_null(one_of(*INFUSIONS, *FOLLOW_UP)),
    "step": lambda value: re.fullmatch(
        "T-14d|T-7d|T-3d|T-1d|T|last-day|no-show|rung-[123]|sae|sae-20h|sae-24h|out-of-window"
        "|infusion-on-hold|booking-out-of-window|eligibility|dose-deviation|flag|decision-[1-9][0-9]*"
        "|treatment-stopped|exit|stand-down|disposition|majority",
        value,
    ),
    "audience": AUDIENCE,
    "due": is_instant,
}
VISIT = {
    "code": one_of(*INFUSIONS, *FOLLOW_UP),
    "label": is_text,
    "epoch": one_of("treatment", "follow-up"),
    "source": row_of({"target": SOURCE, "window": SOURCE}),
    "anchor": row_of({"code": is_text, "on": is_date, "basis": one_of("actual", "planned", "projected")}),
    "target": is_date,
    "opens": is_date,
    "closes": is_date,
    "status": one_of("upcoming", "open", "overdue", "completed", "missed", "cancelled"),
    "booked": or_null(is_date),
    "on": or_null(is_date),
    "deviation_days": or_null(lambda value: type(value) is int),
    "suggested": or_null(is_date),
    "version": is_text,
    "bleeding": lambda value: value in (None, False, True, 0, 1, 2, 3, 4),
    "response": row_of(
        {
            "grade": one_of("complete", "response", "none", "not-evaluable"),
            "confirmed": lambda value: type(value) is bool,
            "why": is_text,
        }
    ),
}
PLAN = {
    "subject": is_text,
    "protocol": row_of({"id": lambda value: value == "NCT06813157", "version": is_text}),
    "time_zone": lambda value: value == "Asia/Shanghai",
    "as_of": is_instant,
    "status": one_of("on-treatment", "in-follow-up", "on-hold", "completed", "withdrawn"),
    "state": is_text,
    "wake_at": or_null(is_instant),
    "exit": or_null(
        row_of({"on": is_date, "decode": DECODE, "term": is_text, "criterion": or_null(CRITERION)})
    ),
    "visits": rows_of(VISIT),
    "dispositions": rows_of(
        {"epoch": one_of("treatment", "follow-up"), "on": is_date, "decode": DECODE, "term": is_text}
    ),
    "consents": rows_of(
        {
            "kind": one_of("consent", "assent"),
            "version": is_text,
            "since": or_null(is_instant),
            "given_on": or_null(is_date),
        }
    ),
    "deviations": rows_of(
        {
            "id": is_text,
            "category": one_of(
                "window", "missed", "dose", "on-hold", "eligibility", "safety-report", "consent"
            ),
            "visit": or_null(one_of(*INFUSIONS, *FOLLOW_UP)),
            "on": is_date,
            "important": lambda value: type(value) is bool,
            "assessed": or_null(
                row_of(
                    {
                        "important": lambda value: type(value) is bool,
                        "cause": or_null(is_text),
                        "action": or_null(is_text),
                        "by": is_text,
                        "at": is_instant,
                    }
                )
            ),
        }
    ),
    "flags": rows_of(
        {
            "criterion": CRITERION,
            "since": is_instant,
            "decision": or_null(one_of("continue", "stop-treatment", "withdraw")),
        }
    ),
    "notices": rows_of(NOTICE),
    "forecast": rows_of(NOTICE),
}


def enrolled() -> Study:
    study = Study()
    study.enrol("2026-01-05")
    return study


def given_inf1() -> Study:
    study = enrolled()
    study.done("INF1", "2026-01-05")
    return study


def treated() -> Study:
    study = given_inf1()
    study.on_target(*INFUSIONS[1:])
    return study


def eventful() -> Study:
    study = given_inf1()
    study.booked("INF2", "2026-01-15", at="2026-01-06")
    study.adverse_event("2026-01-07", serious=True, related=True)
    study.decided("continue", "2026-01-08", criterion="adverse-event")
    study.done("INF2", "2026-01-15", cells_given=1e9)
    study.medication("prohibited", "2026-01-20")
    study.decided("stop-treatment", "2026-01-21")
    study.died("2026-02-20")
    return study


@pytest.mark.parametrize(
    ("told", "as_of"),
    [
        (enrolled, "2026-01-05 11:00"),
        (given_inf1, "2026-01-12 09:00"),
        (given_inf1, "2026-02-28"),
        (treated, "2026-06-01"),
        (treated, "2027-06-01"),
        (eventful, "2026-01-07 12:00"),
        (eventful, "2026-01-20 12:00"),
        (eventful, "2026-03-01"),
    ],
)
def test_a_plan_has_exactly_the_fields_of_the_contract(told: Callable[[], Study], as_of: str) -> None:
    assert fits(told().plan(as_of), PLAN)


@pytest.mark.requirement("WIN-01")
def test_the_visits_come_in_the_order_of_the_protocol() -> None:
    assert [row["code"] for row in enrolled().plan("2026-01-06")["visits"]] == [*INFUSIONS, *FOLLOW_UP]


def test_a_plan_names_subject_protocol_zone_and_instant() -> None:
    plan = enrolled().plan("2026-01-06")
    assert plan["subject"] == "ITP-001"
    assert plan["protocol"] == {"id": "NCT06813157", "version": "1"}
    assert plan["as_of"] == "2026-01-05T16:00:00Z"


def test_a_plan_needs_an_enrolment() -> None:
    with pytest.raises(Refused, match="not enrolled"):
        enrolled().plan("2026-01-04")


# What it knows


def test_an_event_reported_after_as_of_is_left_out() -> None:
    study = given_inf1()
    before = study.plan("2026-01-13 10:59")
    study.done("INF2", "2026-01-12", at="2026-01-13 11:00")
    assert study.plan("2026-01-13 10:59") == before
    assert study.plan("2026-01-13 11:00").visit("INF2")["status"] == "completed"


def test_a_void_reported_after_as_of_does_not_reach_back() -> None:
    study = given_inf1()
    wrong = study.done("INF2", "2026-01-12")
    before = study.plan("2026-01-13")
    study.voided(wrong, "2026-01-14")
    assert study.plan("2026-01-13") == before


def test_the_services_own_events_in_the_input_change_nothing() -> None:
    bare, served = given_inf1(), given_inf1()
    for study in (bare, served):
        study.adverse_event("2026-01-10", serious=True, related=True)
        study.decided("continue", "2026-01-11")
    served.live_until("2026-03-01", since="2026-01-11 12:00")
    assert any(event.own for event in served.log)
    for as_of in ("2026-01-12", "2026-02-10", "2026-03-01", "2026-06-01"):
        assert served.plan(as_of) == bare.plan(as_of)


def test_asking_again_gives_the_same_plan() -> None:
    study = eventful()
    assert study.plan("2026-01-25") == study.plan("2026-01-25")


# Phases


@pytest.mark.parametrize(
    ("as_of", "status", "state"),
    [
        ("2026-01-05 12:00", "on-treatment", "INF1 window open"),
        ("2026-01-13", "on-treatment", "INF1 overdue"),
    ],
)
def test_before_the_first_infusion(as_of: str, status: str, state: str) -> None:
    plan = enrolled().plan(as_of)
    assert (plan["status"], plan["state"]) == (status, state)


@pytest.mark.parametrize(
    ("as_of", "state", "visit"),
    [
        ("2026-01-06", "Awaiting INF2", "upcoming"),
        ("2026-01-11", "INF2 window open", "open"),
        ("2026-01-14", "INF2 overdue", "overdue"),
        ("2026-02-02 09:00", "INF3 overdue", "missed"),
    ],
)
def test_on_treatment_the_state_names_the_visit_that_comes_next(as_of: str, state: str, visit: str) -> None:
    plan = given_inf1().plan(as_of)
    assert (plan["status"], plan["state"]) == ("on-treatment", state)
    assert plan.visit("INF2")["status"] == visit


def test_in_follow_up_once_no_infusion_is_left() -> None:
    study = given_inf1()
    study.on_target("INF2", "INF3", "INF4")
    assert study.plan("2026-02-20")["status"] == "on-treatment"
    study.done("INF5", "2026-02-23")
    plan = study.plan("2026-02-24")
    assert (plan["status"], plan["state"]) == ("in-follow-up", "Awaiting FU-D14")


def test_on_hold_while_a_flag_is_undecided_in_follow_up_too() -> None:
    for study, day, next_day in (
        (given_inf1(), "2026-01-07", "2026-01-08"),
        (treated(), "2026-03-02", "2026-03-03"),
    ):
        before = study.plan(day)["status"]
        study.medication("rescue", day)
        plan = study.plan(next_day)
        assert (plan["status"], plan["state"]) == ("on-hold", "On hold: rescue-medication")
        assert plan["flags"] == [
            {"criterion": "rescue-medication", "since": f"{day}T03:00:00Z", "decision": None}
        ]
        study.decided("continue", next_day)
        plan = study.plan(f"{next_day} 12:00")
        assert plan["status"] == before
        assert plan["flags"][0]["decision"] == "continue"


def test_withdrawn_names_the_disposition() -> None:
    study = given_inf1()
    study.died("2026-01-09")
    plan = study.plan("2026-01-10")
    assert (plan["status"], plan["state"]) == ("withdrawn", "Withdrawn: DEATH")
    assert plan["exit"] == {"on": "2026-01-09", "decode": "DEATH", "term": "Death", "criterion": "death"}


def test_completed_with_the_last_visit() -> None:
    study = treated()
    study.on_target(*FOLLOW_UP)
    plan = study.plan("2027-02-24")
    assert (plan["status"], plan["state"]) == ("completed", "Completed")
    assert plan["exit"] == {"on": "2027-02-23", "decode": "COMPLETED", "term": "Completed", "criterion": None}
    assert plan["dispositions"] == [
        {"epoch": "treatment", "on": "2026-02-23", "decode": "COMPLETED", "term": "Completed"},
        {"epoch": "follow-up", "on": "2027-02-23", "decode": "COMPLETED", "term": "Completed"},
    ]


def test_a_missed_last_visit_awaits_a_disposition() -> None:
    study = treated()
    study.on_target(*FOLLOW_UP[:-1])
    study.missed("FU-M12", "2027-03-05")
    plan = study.plan("2027-03-06")
    assert (plan["status"], plan["state"], plan["exit"]) == ("in-follow-up", "Awaiting disposition", None)
    assert [row["epoch"] for row in plan["dispositions"]] == ["treatment"]


def test_treatment_that_goes_on_has_no_disposition() -> None:
    assert given_inf1().plan("2026-01-20")["dispositions"] == []


# Waking


def test_the_wake_is_later_than_as_of_and_at_the_next_change() -> None:
    study = given_inf1()
    assert study.plan("2026-01-06")["wake_at"] == "2026-01-09T01:00:00Z"  # cells for INF2
    assert study.plan("2026-01-09 09:00")["wake_at"] == "2026-01-10T16:00:00Z"  # its window opens
    assert study.plan("2026-01-13 09:00")["wake_at"] == "2026-01-13T16:00:00Z"  # its window has closed


def test_after_the_exit_nothing_wakes_but_a_running_sae_clock() -> None:
    study = given_inf1()
    study.withdrew("2026-01-09")
    assert study.plan("2026-01-10")["wake_at"] is None
    study.adverse_event("2026-01-10", serious=True)
    assert study.plan("2026-01-10 12:00")["wake_at"] == "2026-01-10T23:00:00Z"
    study.submitted("AE-1", "2026-01-10", at="2026-01-10 13:00")
    assert study.plan("2026-01-10 14:00")["wake_at"] is None


# Notices and forecast


def keys(plan: PlanDocument, part: str) -> list[str]:
    return [row["key"] for row in plan[part]]


def test_a_notice_due_at_as_of_is_a_notice_and_one_due_after_it_a_forecast() -> None:
    study = given_inf1()
    due = ("T", "coordinator", "2026-01-12T01:00:00Z")
    before, at = study.plan("2026-01-12 08:59:59"), study.plan("2026-01-12 09:00")
    assert due in before.steps("forecast", "INF2")
    assert due not in before.steps("notices", "INF2")
    assert due in at.steps("notices", "INF2")
    assert due not in at.steps("forecast", "INF2")


@pytest.mark.parametrize("as_of", ["2026-01-06", "2026-01-12 09:00", "2026-01-20", "2026-03-01"])
def test_notices_are_due_by_as_of_and_the_forecast_after_it_in_order(as_of: str) -> None:
    study = given_inf1()
    plan = study.plan(as_of)
    for part in ("notices", "forecast"):
        dues = [row["due"] for row in plan[part]]
        assert dues == sorted(dues)
        assert all((due <= plan["as_of"]) is (part == "notices") for due in dues)
    every = [*keys(plan, "notices"), *keys(plan, "forecast")]
    assert len(every) == len(set(every))


def test_of_one_visit_and_audience_only_the_newest_reminder_is_a_notice() -> None:
    study = given_inf1()
    coordinator = [
        step for step, who, _ in study.plan("2026-01-12 09:00").steps("notices") if who == "coordinator"
    ]
    assert coordinator == ["T"]


def test_a_notice_that_is_no_longer_of_use_is_no_notice() -> None:
    study = given_inf1()
    assert study.plan("2026-01-13 23:59").steps("notices") != []
    assert study.plan("2026-01-14").steps("notices") == []


def test_alerts_stay_notices_while_their_reason_stands() -> None:
    study = given_inf1()
    late = study.done("INF2", "2026-01-15")
    assert [step for step, *_ in study.plan("2026-01-20").steps("notices")] == ["out-of-window"] * 2
    study.voided(late, "2026-01-20")
    steps = [step for step, *_ in study.plan("2026-01-20 12:00").steps("notices")]
    assert "out-of-window" not in steps


def test_the_forecast_holds_the_notices_that_silence_would_bring() -> None:
    steps = given_inf1().plan("2026-01-14").steps("forecast")
    named = [step for step, *_ in steps]
    assert named[:3] == ["rung-1", "rung-2", "rung-3"]
    assert ("flag", "investigator", "2026-02-22T01:00:00Z") in steps  # INF3 missed too: two in a row
    assert ("decision-1", "investigator", "2026-02-24T01:00:00Z") in steps


@pytest.mark.parametrize("as_of", ["2026-03-01", "2026-03-15"])
def test_a_reminder_comes_when_silence_resolves_its_anchor_also_for_a_day_that_is_past_by_then(
    as_of: str,
) -> None:
    """INF5 (window to 26 Feb) is missed on 18 Mar; the 14 days before FU-M1 on 23 Mar began on 9 Mar."""
    silent = given_inf1()
    silent.on_target(*INFUSIONS[1:4])
    rows = silent.plan(as_of).steps("forecast", "FU-M1")
    assert rows[0] == ("T-14d", "coordinator", "2026-03-18T01:00:00Z")
    assert silent.plan("2026-03-18 09:00").steps("notices", "FU-M1") == [rows[0]]


def test_a_no_show_beyond_the_window_is_forecast_for_when_silence_resolves_its_anchor() -> None:
    """INF1 (window to 12 Jan) is missed on 1 Feb; INF2 hangs on 5 Jan, was booked late, and nobody came."""
    silent = enrolled()
    silent.booked("INF2", "2026-01-20", at="2026-01-06")
    steps = silent.plan("2026-01-21").steps("forecast", "INF2")
    assert ("no-show", "coordinator", "2026-02-01T01:00:00Z") in steps


def test_a_forecast_names_the_visit_of_each_notice() -> None:
    rows = treated().plan("2026-03-01")["forecast"]
    visits = [row["visit"] for row in rows if row["kind"] == "reminder"]
    assert list(dict.fromkeys(visits)) == list(FOLLOW_UP)


def test_a_forecast_has_no_more_than_three_repetitions_of_an_endless_notice() -> None:
    steps = [step for step, *_ in given_inf1().plan("2026-01-14").steps("forecast")]
    assert [step for step in steps if step.startswith("decision-")] == [
        "decision-1",
        "decision-2",
        "decision-3",
        "decision-3",
    ]
    silent = treated()
    assert [row["step"] for row in silent.plan("2026-03-01")["forecast"]].count("disposition") == 3


def test_a_long_hold_puts_no_late_repetition_into_the_forecast() -> None:
    study = treated()
    study.medication("rescue", "2026-03-02")
    rows = study.plan("2026-05-01")["forecast"]
    assert [row["step"] for row in rows if row["step"].startswith("decision-")] == []
    assert [row["step"] for row in rows].count("disposition") == 3


def test_notices_hold_every_repetition_of_an_alert_so_far() -> None:
    study = given_inf1()
    study.medication("rescue", "2026-01-07")
    steps = [(step, who) for step, who, _ in study.plan("2026-01-14 09:00").steps("notices")]
    assert [each for each in steps if each[0].startswith("decision-")] == [
        ("decision-1", "investigator"),
        ("decision-2", "investigator"),
        ("decision-3", "investigator"),
        ("decision-3", "sponsor"),
        ("decision-4", "investigator"),
        ("decision-4", "sponsor"),
        ("decision-5", "investigator"),
        ("decision-5", "sponsor"),
    ]


def test_a_forecast_ends() -> None:
    assert given_inf1().plan("2026-01-06")["forecast"][-1]["due"] < "2026-06-01"
    done = treated()
    done.on_target(*FOLLOW_UP)
    assert done.plan("2027-03-01")["forecast"] == []


def test_after_a_stop_no_infusion_is_forecast() -> None:
    study = given_inf1()
    study.pregnant("2026-01-07")
    forecast = study.plan("2026-01-08")["forecast"]
    assert {row["visit"] for row in forecast if row["kind"] != "alert"} == set(FOLLOW_UP)


# Keys


def by_key(plan: PlanDocument) -> dict[str, Json]:
    return {row["key"]: row for part in ("notices", "forecast") for row in plan[part]}


def test_the_same_notice_has_the_same_key_in_every_plan() -> None:
    study = given_inf1()
    first = by_key(study.plan("2026-01-06"))
    for as_of in ("2026-01-09 09:00", "2026-01-12 09:00", "2026-01-14 09:00", "2026-01-19 09:00"):
        plan = study.plan(as_of)
        assert plan["notices"] != []
        assert {key: row for key, row in by_key(plan).items() if key in first} == by_key(plan)


def test_a_key_tells_subjects_visits_steps_and_audiences_apart() -> None:
    other = Study(code="ITP-002")
    other.enrol("2026-01-05")
    other.done("INF1", "2026-01-05")
    mine, theirs = by_key(given_inf1().plan("2026-01-14")), by_key(other.plan("2026-01-14"))
    assert len(mine) == len(theirs)
    assert not set(mine) & set(theirs)


def test_a_reminders_key_tells_the_booked_date_from_the_target() -> None:
    study = given_inf1()
    target = {row["key"] for row in study.plan("2026-01-06")["forecast"] if row["step"] == "T-1d"}
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    booked = {row["key"] for row in study.plan("2026-01-07")["forecast"] if row["step"] == "T-1d"}
    assert len(target) == len(booked) == 1
    assert not target & booked


def test_an_alerts_key_tells_the_source_and_id_of_its_event() -> None:
    study = given_inf1()
    data: Json = {"term": "Fever", "grade": 3, "serious": True, "related": False}
    alike = (("paper/1", "x"), ("paper", "1/x"), ("paper:1", "x"), ("paper", "1:x"))
    for source, identity in (("redcap", "1"), ("paper", "1"), ("paper", "2"), *alike):
        study.state(
            "itp.adverse-event.reported",
            "2026-01-06",
            "2026-01-06",
            source=source,
            event_id=identity,
            ae=f"{source} {identity}",
            **data,
        )
    rows = [row for row in study.plan("2026-01-06 12:00")["notices"] if row["step"] == "sae"]
    assert len({row["key"] for row in rows}) == len(rows) == 14


def test_the_void_of_an_enrolment_waits_for_its_correction() -> None:
    """No door takes one without the other: the subject stays enrolled between them."""
    study = Study()
    first = study.enrol("2026-01-05", at="2026-01-05 08:00")
    study.record(study.void(first, "2026-01-08"), study.again(first, "2026-02-20"))
    rows = study.plan("2026-02-21").steps("notices")
    assert {row[2] for row in rows if row[0] == "stand-down"} == {"2026-02-01T01:00:00Z"}
