"""Prints the results of `itp simulate` on a terminal."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from rich.console import Console

from deployments.cli.output.tables import heading, table
from deployments.simulation.summary import about
from itp_events.rules.explain import day

if TYPE_CHECKING:
    from deployments.simulation.invariants.oracle import Checked

_MOST = 20


def print_summary(out: Console, numbers: dict[str, Any]) -> None:
    """The figures of one run: messages first."""
    weekly = numbers["messages_per_week"]
    first = weekly["coordinator"]
    out.print(_answer(numbers, first))
    heading(out, f"Messages per week, over {numbers['weeks']} weeks")
    columns = ("audience", "middle week", "mean", "busiest", "week of", "in all")
    rows = [
        (
            who,
            f"{m['median']:g}",
            f"{m['mean']:g}",
            str(m["busiest"]),
            _day(m["busiest_week"]),
            str(m["total"]),
        )
        for who, m in weekly.items()
    ]
    out.print(table(columns, rows, whole=columns))
    _subjects(out, numbers)
    _visits(out, numbers)
    _answers(out, numbers)


def _answer(numbers: dict[str, Any], weekly: dict[str, Any]) -> str:
    run = f"{numbers['scenario']}, seed {numbers['seed']}"
    if not weekly["total"]:
        return f"{run}: the coordinator gets no message; {numbers['enrolled']} subjects were enrolled."
    under_way = about(numbers["under_way"]["mean"])
    return (
        f"{run}: the coordinator gets about {about(weekly['mean'])} messages a week, with {under_way} "
        f"subjects under way on average; {weekly['busiest']} in the busiest week "
        f"({_day(weekly['busiest_week'])}). Each subject under way brings {weekly['per_subject']:g} a week."
    )


def _day(text: str | None) -> str:
    return day(date.fromisoformat(text)) if text else ""


def _subjects(out: Console, numbers: dict[str, Any]) -> None:
    heading(out, f"Subjects: {numbers['subjects']} screened, {numbers['enrolled']} enrolled")
    rows = [(state, str(count)) for state, count in numbers["subjects_by_state"].items()]
    out.print(table(("at the end", "subjects"), rows))


def _visits(out: Console, numbers: dict[str, Any]) -> None:
    heading(out, "Visits")
    names = ("planned", "in_window", "out_of_window", "missed", "cancelled", "not_reached")
    rows = [(visit["visit"], *(str(visit[name]) for name in names)) for visit in numbers["visits"]]
    out.print(table(("visit", *(name.replace("_", " ") for name in names)), rows))


def _answers(out: Console, numbers: dict[str, Any]) -> None:
    if not numbers["answers"]:
        return
    heading(out, "Time to answer")
    columns = ("asked", "times", "answered", "middle answer, hours", "slowest tenth from, hours")
    rows = [
        (
            each["about"],
            *(_text(each[key]) for key in ("asked", "answered", "median_hours", "slowest_tenth_hours")),
        )
        for each in numbers["answers"]
    ]
    out.print(table(columns, rows))


def _text(value: object) -> str:
    return "" if value is None else str(value)


def print_comparison(out: Console, found: dict[str, Any]) -> None:
    """Print the differences between two protocols for the same subjects."""
    out.print(f"The same {found['subjects']} subjects under {found['old']} and {found['new']}.")
    heading(out, "In all")
    rows = [
        (
            row["what"],
            f"{row['old']:g}",
            f"{row['new']:g}",
            f"{row['difference']:+g}" if row["difference"] else "0",
        )
        for row in found["totals"]
    ]
    out.print(table(("what", "old", "new", "difference"), rows))
    for name in ("windows", "outcomes"):
        _rows(out, name, found[name])
    heading(
        out, f"Notices that differ: {found['notices_only_old']} go away, {found['notices_only_new']} are new"
    )
    steps = [
        (row["step"], row["audience"], str(row["only_old"]), str(row["only_new"]), str(row["both"]))
        for row in found["notices"]
        if row["only_old"] or row["only_new"]
    ]
    out.print(table(("step", "audience", "only old", "only new", "both"), steps))


def _rows(out: Console, name: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print(f"No {name} differ.")
        return
    heading(out, f"{name.capitalize()} that differ: {len(rows)}")
    shown = [(row["subject"], row["visit"], row["old"], row["new"]) for row in rows[:_MOST]]
    out.print(table(("subject", "visit", "old", "new"), shown))
    if len(rows) > _MOST:
        out.print(f"... and {len(rows) - _MOST} more; --json or --out has them all.")


def print_checked(out: Console, found: Checked) -> None:
    """Print the oracle's counts and the statements that did not hold."""
    out.print(
        f"{found.subjects} subjects under {found.seeds} seeds, {found.steps} steps, {found.checks} checks, "
        f"{len(found.weeks)} weeks of duty: "
        f"{len(found.violations)} violations."
    )
    for violation in found.violations[:_MOST]:
        out.print(str(violation))
