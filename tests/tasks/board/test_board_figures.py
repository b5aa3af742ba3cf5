"""The board's figures are those of the subjects' plans, counted here once more and in another way."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from statistics import median

import pytest

from tasks.board.reading import fresh_cards, study_board
from tasks.board.study_page import study_page
from tests.support.study import INFUSIONS, Json, PlanDocument, Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("OUT-02")

NOW = datetime(2026, 2, 3, 2, tzinfo=UTC)
TODAY = date(2026, 2, 3)


def told() -> Iterator[Study]:
    """A study of seven: on time, late, overdue, on hold, missed, treatment stopped, gone."""
    for number in range(7):
        each = Study(code=f"ITP-00{number + 1}")
        each.last_id = 100 * number
        yield each


def lived() -> list[Study]:
    on_time, late, overdue, held, missed, stopped, gone = told()
    on_time.enrol("2025-10-27", consent_on="2025-10-20")
    on_time.on_target(*INFUSIONS, "FU-D14", "FU-M1")
    late.enrol("2026-01-05")
    late.done("INF1", "2026-01-07")
    late.done("INF2", "2026-01-18")
    late.booked("INF3", "2026-02-03", at="2026-01-30")
    overdue.enrol("2026-01-05")
    overdue.on_target("INF1", "INF2")
    held.enrol("2026-01-12")
    held.on_target("INF1", "INF2")
    held.medication("rescue", "2026-02-02")
    missed.enrol("2026-01-05")
    missed.on_target("INF1")
    missed.missed("INF2", "2026-01-14")
    missed.done("INF3", "2026-01-20")
    stopped.enrol("2026-01-05")
    stopped.on_target("INF1", "INF2")
    stopped.pregnant("2026-02-02")
    gone.enrol("2026-01-12")
    gone.done("INF1", "2026-01-12")
    gone.died("2026-01-30")
    return [on_time, late, overdue, held, missed, stopped, gone]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk.open(f"sqlite:///{tmp_path_factory.mktemp('board') / 'study.db'}")
    yield desk
    desk.store.close()


@pytest.fixture(scope="module")
def plans(desk: Desk) -> list[PlanDocument]:
    """The plans of the seven, whose events the desk takes in the order in which they were reported."""
    study = lived()
    events = sorted((each for one in study for each in one.log if not each.own), key=lambda e: e.time)
    for event in events:
        (answer,) = desk.take(event)
        assert answer.error is None
    return [one.plan(NOW) for one in study]


@pytest.fixture(scope="module")
def page(desk: Desk, plans: list[PlanDocument]) -> str:
    cards = fresh_cards(desk.store, desk.protocol, NOW)
    return study_page(study_board(desk.store, desk.protocol, cards, NOW))


def lines(page: str, title: str) -> list[list[str]]:
    """The rows of the table under a title, cell by cell."""
    body = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [row.strip("| ").split(" | ") for row in re.findall(r"^\|.*\|$", body, re.MULTILINE)[2:]]


def visits(plans: list[PlanDocument], *statuses: str) -> list[tuple[str, Json]]:
    return [(plan["subject"], row) for plan in plans for row in plan["visits"] if row["status"] in statuses]


def test_every_phase_has_as_many_subjects_as_plans_say(page: str, plans: list[PlanDocument]) -> None:
    shown = {row[0].replace(" ", "-"): int(row[-1]) for row in lines(page, "Enrolment, by phase")}
    counted = Counter(plan["status"] for plan in plans)
    assert {name: number for name, number in shown.items() if number} == counted


def test_the_overdue_are_those_of_the_plans_the_longest_first(page: str, plans: list[PlanDocument]) -> None:
    found = sorted((row["closes"], code, row["code"]) for code, row in visits(plans, "overdue"))
    late = [(code, visit, (TODAY - date.fromisoformat(closes)).days) for closes, code, visit in found]
    rows = lines(page, "Coordinator: overdue visits")
    assert [(row[0], row[1].split(" ")[0], int(row[2].strip("*").split()[0])) for row in rows] == late
    assert late


def test_what_is_ahead_is_what_plans_have_booked_or_targeted(page: str, plans: list[PlanDocument]) -> None:
    exits = {plan["subject"] for plan in plans if plan["exit"]}
    coming = [
        (date.fromisoformat(row["booked"] or row["target"]), code, row["code"])
        for code, row in visits(plans, "upcoming", "open")
        if code not in exits and row["anchor"]["basis"] != "projected"
    ]
    now = {(code, visit) for on, code, visit in coming if on <= TODAY}
    soon = [(code, visit) for on, code, visit in sorted(coming) if TODAY < on <= TODAY + timedelta(days=14)]
    assert {(row[0], row[1].split(" ")[0]) for row in lines(page, "Coordinator: visits today")} == now
    assert [(row[1], row[2].split(" ")[0]) for row in lines(page, "Coordinator: the next 14 days")] == soon
    assert now
    assert soon


def test_decisions_and_safety_clocks_are_those_of_the_plans(page: str, plans: list[PlanDocument]) -> None:
    flags = [plan["subject"] for plan in plans for flag in plan["flags"] if not flag["decision"]]
    waiting = lines(page, "Investigator: decisions that wait")
    assert [row[0] for row in waiting if "may the subject go on?" in row[1]] == flags
    dead = [plan["subject"] for plan in plans if plan["exit"] and plan["exit"]["decode"] == "DEATH"]
    assert [row[0] for row in waiting if "led to the death" in row[1]] == dead
    clocks = [
        plan["subject"]
        for plan in plans
        for row in [*plan["notices"], *plan["forecast"]]
        if (row["step"], row["audience"]) == ("sae-24h", "investigator")
    ]
    assert sorted(row[0] for row in lines(page, "Investigator: safety reports to submit")) == sorted(clocks)
    assert flags
    assert clocks


def test_adherence_is_that_of_the_plans(page: str, plans: list[PlanDocument]) -> None:
    done = [row for _, row in visits(plans, "completed")]
    inside = sum(row["deviation_days"] == 0 for row in done)
    off = [(date.fromisoformat(row["on"]) - date.fromisoformat(row["target"])).days for row in done]
    outside = [abs(row["deviation_days"]) for row in done if row["deviation_days"]]
    assert lines(page, "Adherence")[-1] == [
        "**all**",
        str(len(done)),
        f"{inside} ({100 * inside // len(done)}%)",
        str(len(visits(plans, "missed"))),
        f"{median(off):+g} d" if median(off) else "0 d",
        f"{median(outside):g} d",
    ]
