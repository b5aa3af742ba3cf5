"""The page: the answers first, then the figures, then the tables. One file, nothing loaded from elsewhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deployments.simulation.report import figures
from deployments.simulation.report.drawing import style
from deployments.simulation.study_run import Run
from deployments.simulation.summary import about
from itp_events.rules.explain import day

SWIMMERS = 40
_TEMPLATES = Path(__file__).parent


def report(run: Run, numbers: dict[str, Any], comparison: dict[str, Any] | None = None) -> str:
    """The report of a run as one HTML page; the same run gives the same bytes."""
    with style():
        drawn = {
            "enrolment": figures.enrolment(run),
            "weekly": figures.per_week(run),
            "swimmers": figures.swimmers(run, SWIMMERS),
            "window": figures.in_window(run),
            "escalations": figures.escalations(run),
            "answers": figures.answers(run),
        }
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"day": _day, "percent": _percent, "about": about, "number": _number}
    page = environment.get_template("page.html.j2")
    return page.render(n=numbers, drawn=drawn, swimmers=SWIMMERS, comparison=comparison)


def _day(value: str | None) -> str:
    return day(date.fromisoformat(value)) if value else "none"


def _number(value: float) -> str:
    return f"{value:g}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f}%"
