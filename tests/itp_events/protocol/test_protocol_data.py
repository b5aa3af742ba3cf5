"""The protocol is data: changing a number in its file changes the plan, and every rule names its source."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from itp_events.protocol.file import BUILT_IN, load_protocol
from itp_events.protocol.model import Protocol
from tests.support.study import FOLLOW_UP, INFUSIONS, Json, PlanDocument, Study, altered

pytestmark = pytest.mark.requirement("PRO-01")

DATA: Json = yaml.safe_load(BUILT_IN.read_text(encoding="utf-8"))


def planned(change: Callable[[Json], object], as_of: str, *visits: str) -> PlanDocument:
    """The plan under a changed protocol, after enrolment on 5 January and visits done on their targets."""
    study = Study(protocol=altered(change))
    study.enrol("2026-01-05")
    study.on_target(*visits)
    return study.plan(as_of)


def due(plan: PlanDocument, visit: str, step: str) -> str:
    found: str = next(
        row["due"]
        for part in ("notices", "forecast")
        for row in plan[part]
        if (row["visit"], row["step"]) == (visit, step)
    )
    return found


def unchanged(_: Json) -> None:
    """The protocol as it is built in."""


# What the built-in protocol says


@pytest.mark.requirement("WIN-01")
def test_five_infusions_and_seven_follow_up_visits_in_order() -> None:
    assert tuple(visit.code for visit in load_protocol().visits) == (*INFUSIONS, *FOLLOW_UP)


@pytest.mark.requirement("WIN-01")
@pytest.mark.parametrize(
    ("visit", "anchor", "target", "before", "after"),
    [
        ("INF1", "enrolment", "P0D", 0, 7),
        ("INF2", "INF1", "P1W", 1, 1),
        ("INF3", "INF2", "P2W", 3, 3),
        ("INF4", "INF3", "P2W", 3, 3),
        ("INF5", "INF4", "P2W", 3, 3),
        ("FU-D14", "end-of-treatment", "P14D", 3, 3),
        ("FU-M1", "end-of-treatment", "P1M", 7, 7),
        ("FU-M2", "end-of-treatment", "P2M", 7, 7),
        ("FU-M3", "end-of-treatment", "P3M", 7, 7),
        ("FU-M6", "end-of-treatment", "P6M", 7, 7),
        ("FU-M9", "end-of-treatment", "P9M", 7, 7),
        ("FU-M12", "end-of-treatment", "P12M", 7, 7),
    ],
)
def test_the_schedule_of_activities(visit: str, anchor: str, target: str, before: int, after: int) -> None:
    rule = load_protocol().by_code[visit]
    assert (rule.anchor, rule.target.text) == (anchor, target)
    assert (rule.before.days, rule.after.days) == (before, after)


@pytest.mark.requirement("WIN-10")
def test_a_rule_of_the_synopsis_is_marked_so_and_every_other_is_an_assumption() -> None:
    protocol = load_protocol()
    said = {(code, part) for code in INFUSIONS[1:] for part in ("target", "window")}
    said |= {(code, "target") for code in FOLLOW_UP}
    marked = {
        (visit.code, part)
        for visit in protocol.visits
        for part in ("target", "window")
        if getattr(visit.source, part) == "synopsis"
    }
    assert marked == said
    assert protocol.dose.source == "synopsis"
    assert {rule["source"] for rule in DATA["withdrawal"]} == {"assumption"}
    assert DATA["ladder"]["source"] == "assumption"


def rules(value: Any, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every innermost mapping of the protocol file, with its path: a rule."""
    if isinstance(value, dict):
        inner = [(key, each) for key, each in value.items() if isinstance(each, dict | list)]
        inner = [(key, each) for key, each in inner if key not in ("source", "later", "audiences")]
        inner = [(key, each) for key, each in inner if key != "clock_hours"]
        if not inner:
            yield path, value
        for key, each in inner:
            yield from rules(each, f"{path}.{key}")
    elif isinstance(value, list):
        for position, each in enumerate(value):
            yield from rules(each, f"{path}.{position}")


@pytest.mark.requirement("WIN-10")
@pytest.mark.parametrize("path", [path for path, _ in rules(DATA)])
def test_every_rule_says_where_it_comes_from(path: str) -> None:
    source = dict(rules(DATA))[path]["source"]
    assert set(source.values() if isinstance(source, dict) else [source]) <= {"synopsis", "assumption"}


@pytest.mark.requirement("WIN-10")
def test_a_rule_without_a_source_is_refused() -> None:
    with pytest.raises(ValidationError, match="source"):
        altered(lambda data: data["ladder"]["rungs"][0].pop("source"))


# Numbers of the file that move the plan


@pytest.mark.requirement("WIN-04")
def test_another_target_moves_the_chain() -> None:
    assert planned(unchanged, "2026-01-06", "INF1").visit("INF3")["target"] == "2026-01-26"
    plan = planned(lambda data: data["visits"][1].update({"target": "P9D"}), "2026-01-06", "INF1")
    assert plan.visit("INF2")["target"] == "2026-01-14"
    assert plan.visit("INF3")["target"] == "2026-01-28"


@pytest.mark.requirement("WIN-02")
def test_another_window_moves_when_a_visit_is_overdue() -> None:
    wider = planned(lambda data: data["visits"][1].update({"after": "P3D"}), "2026-01-14", "INF1")
    assert planned(unchanged, "2026-01-14", "INF1").visit("INF2")["status"] == "overdue"
    assert wider.visit("INF2")["status"] == "open"
    assert due(wider, "INF2", "last-day") == "2026-01-15T01:00:00Z"


@pytest.mark.requirement("WIN-04")
def test_another_anchor_moves_the_visit_that_is_counted_from_it() -> None:
    plan = planned(lambda data: data["visits"][2].update({"anchor": "INF1"}), "2026-01-06", "INF1")
    assert plan.visit("INF3")["anchor"] == {"code": "INF1", "on": "2026-01-05", "basis": "actual"}
    assert plan.visit("INF3")["target"] == "2026-01-19"


@pytest.mark.requirement("WIN-01")
def test_a_visit_less_in_the_file_is_a_visit_less_in_the_plan() -> None:
    def four(data: Json) -> None:
        del data["visits"][4]

    plan = planned(four, "2026-01-06", "INF1")
    assert [row["code"] for row in plan["visits"]] == [*INFUSIONS[:4], *FOLLOW_UP]
    assert {plan.visit(code)["anchor"]["code"] for code in FOLLOW_UP} == {"INF4"}


@pytest.mark.requirement("REM-04")
def test_another_time_of_day_moves_every_notice() -> None:
    plan = planned(lambda data: data.update({"notices_at": "07:30"}), "2026-01-06", "INF1")
    reminders = [row["due"] for row in plan["forecast"] if row["kind"] != "alert"]
    assert {instant[10:] for instant in reminders} == {"T23:30:00Z"}


@pytest.mark.requirement("REM-01")
def test_another_day_of_a_reminder_moves_it() -> None:
    def earlier(data: Json) -> None:
        data["reminders"]["treatment"][0]["days"] = -10

    for change, day in ((unchanged, "2026-01-19"), (earlier, "2026-01-16")):
        plan = planned(change, "2026-01-12 12:00", "INF1", "INF2")
        assert due(plan, "INF3", "T-7d") == f"{day}T01:00:00Z"


@pytest.mark.requirement("LAD-01")
def test_another_day_of_a_rung_moves_it() -> None:
    def slower(data: Json) -> None:
        data["ladder"]["rungs"][1]["day"] = 5

    assert due(planned(unchanged, "2026-01-14", "INF1"), "INF2", "rung-2") == "2026-01-16T01:00:00Z"
    # Day +5 is Sunday 18 January.
    assert due(planned(slower, "2026-01-14", "INF1"), "INF2", "rung-2") == "2026-01-19T01:00:00Z"


@pytest.mark.requirement("REM-01")
def test_another_audience_is_another_audience() -> None:
    def sponsor(data: Json) -> None:
        data["ladder"]["rungs"][0]["audience"] = "sponsor"

    steps = planned(sponsor, "2026-01-14 09:00", "INF1").steps("notices", "INF2")
    assert ("rung-1", "sponsor") in [(step, audience) for step, audience, _ in steps]


@pytest.mark.requirement("WIN-09")
@pytest.mark.parametrize(("day", "missed_on"), [(20, date(2026, 2, 2)), (30, date(2026, 2, 12))])
def test_another_day_of_the_automatic_miss_moves_it(day: int, missed_on: date) -> None:
    def patient(data: Json) -> None:
        data["ladder"]["missed_on_day"] = day

    assert planned(patient, f"{missed_on} 08:59", "INF1").visit("INF2")["status"] == "overdue"
    assert planned(patient, f"{missed_on} 09:00", "INF1").visit("INF2")["status"] == "missed"


@pytest.mark.requirement("LAD-02")
def test_another_limit_of_an_acknowledgement_lets_it_reach_further() -> None:
    study = Study(protocol=altered(lambda data: data["ladder"].update({"acknowledged_at_most_days": 20})))
    study.enrol("2026-01-05")
    study.on_target("INF1")
    study.acknowledged("INF2", "2026-01-15", until="2026-02-04")


@pytest.mark.requirement("SAF-02")
def test_other_hours_of_the_sae_clock_are_other_steps() -> None:
    study = Study(protocol=altered(lambda data: data["alerts"]["sae"].update({"clock_hours": [6, 72]})))
    study.enrol("2026-01-05")
    study.adverse_event("2026-01-06", serious=True)
    steps = [(step, due) for step, _, due in study.plan("2026-01-06 12:00").steps("forecast")]
    assert ("sae-6h", "2026-01-06T09:00:00Z") in steps
    assert ("sae-72h", "2026-01-09T03:00:00Z") in steps


@pytest.mark.requirement("WDR-04")
def test_another_grade_of_an_adverse_event_raises_a_flag() -> None:
    def severe(data: Json) -> None:
        next(row for row in data["withdrawal"] if row["criterion"] == "adverse-event")["grade"] = 3

    for change, flagged in ((unchanged, []), (severe, ["adverse-event"])):
        study = Study(protocol=altered(change))
        study.enrol("2026-01-05")
        study.adverse_event("2026-01-06", grade=3, related=True)
        assert [flag["criterion"] for flag in study.plan("2026-01-07")["flags"]] == flagged


@pytest.mark.requirement("WDR-06")
def test_another_number_of_missed_infusions_in_a_row_raises_a_flag() -> None:
    def one(data: Json) -> None:
        next(row for row in data["withdrawal"] if row["criterion"] == "missed-infusions")["in_a_row"] = 1

    for change, flagged in ((unchanged, []), (one, ["missed-infusions"])):
        study = Study(protocol=altered(change))
        study.enrol("2026-01-05")
        study.on_target("INF1")
        study.missed("INF2", "2026-01-14")
        assert [flag["criterion"] for flag in study.plan("2026-01-15")["flags"]] == flagged


def test_a_criterion_less_in_the_file_raises_no_flag() -> None:
    def tolerant(data: Json) -> None:
        data["withdrawal"] = [row for row in data["withdrawal"] if row["criterion"] != "rescue-medication"]

    study = Study(protocol=altered(tolerant))
    study.enrol("2026-01-05")
    study.medication("rescue", "2026-01-06")
    assert study.plan("2026-01-07")["flags"] == []


def test_another_decode_of_a_criterion_is_another_disposition() -> None:
    def changed(data: Json) -> None:
        next(row for row in data["withdrawal"] if row["criterion"] == "pregnancy")["decode"] = "OTHER"

    study = Study(protocol=altered(changed))
    study.enrol("2026-01-05")
    study.on_target("INF1")
    study.pregnant("2026-01-07")
    assert study.plan("2026-01-08")["dispositions"][0]["decode"] == "OTHER"


# A protocol that does not hold together


@pytest.mark.requirement("PRO-02")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data["visits"][2].update({"anchor": "INF5"}), "circular anchor"),
        (lambda data: data["visits"][2].update({"anchor": "INF3"}), "circular anchor"),
        (lambda data: data["visits"][2].update({"anchor": "end-of-treatment"}), "circular anchor"),
        (lambda data: data["visits"][2].update({"anchor": "INF9"}), "is not a visit"),
        (lambda data: data["visits"].append(data["visits"][2]), "more than once"),
        (lambda data: data["visits"][2].update({"target": "P2H"}), "ISO 8601 duration"),
        (lambda data: data["visits"][2].update({"target": "two weeks"}), "ISO 8601 duration"),
        (lambda data: data["visits"][2].update({"before": "P1M"}), "days or weeks"),
        (lambda data: data["visits"][2].update({"windows": "P1D"}), "windows"),
        (lambda data: data["sites"]["default"].update({"time_zone": "Asia/Peking"}), "unknown time zone"),
        (lambda data: data["sites"].pop("default"), "default"),
        (lambda data: data["alerts"].pop("sae"), "sae"),
    ],
)
def test_a_protocol_that_does_not_hold_together_is_refused(change: Callable[[Json], Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        altered(change)


def test_a_protocol_cannot_be_changed_after_it_is_read() -> None:
    protocol: Protocol = load_protocol()
    with pytest.raises(ValidationError, match="frozen"):
        protocol.version = "2"  # type: ignore[misc]
