"""Everybody's lanes, from enrolment to today or to the end: a swimmer plot.

The timeline of one subject is in `tasks.board.drawings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from tasks.board.cards import Card, VisitLine
from tasks.board.figures import PHASES
from tasks.board.paper import (
    BLUE,
    GREEN,
    GREY,
    MARKS,
    ORANGE,
    RED,
    WIDE_INCHES,
    blank,
    date_axis,
    legend,
    mark_today,
    place,
    place_of,
    scatter,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATUS_COLOURS = {
    "on-treatment": BLUE,
    "in-follow-up": GREEN,
    "on-hold": ORANGE,
    "completed": "#4D4D4D",
    "withdrawn": GREY,
}
# Beyond this height, lanes are drawn thinner.
TALLEST_INCHES = 14.0


def swimmer(cards: Sequence[Card], today: date) -> Figure:
    """One lane for each subject, from enrolment to today or to the end, with the visits on it."""
    from matplotlib.collections import LineCollection

    lanes = sorted(cards, key=lambda each: (each["enrolled"], each["code"]))
    height = min(max(2.2, 0.17 * len(lanes) + 1.0), TALLEST_INCHES)
    figure = blank(WIDE_INCHES, height, "constrained")
    axes = figure.subplots()
    thick = max(0.6, min(6.0, 60 * height / max(len(lanes), 1)))
    for status, colour in STATUS_COLOURS.items():
        mine = [(row, each) for row, each in enumerate(lanes) if each["status"] == status]
        lines = [[(place_of(e["enrolled"]), row), (_end(e, today), row)] for row, e in mine]
        if lines:
            axes.add_collection(
                LineCollection(lines, colors=colour, linewidths=thick, alpha=0.55, label=PHASES[status])
            )
    _lane_marks(axes, lanes, max(2.0, min(22.0, thick * 5)))
    mark_today(axes, today, labelled=bool(lanes))
    _lanes(axes, lanes)
    date_axis(axes)
    return figure


def _lane_marks(axes: Axes, lanes: Sequence[Card], size: float) -> None:
    points: dict[str, list[tuple[float, float]]] = {}
    for row, each in enumerate(lanes):
        for visit in each["visits"]:
            kind = _lane_mark(visit)
            if kind:
                points.setdefault(kind, []).append((place_of(visit["on"] or visit["closes"]) + 0.5, row))
    for kind, (shape, colour, label) in (MARKS | {"overdue": ("s", RED, "overdue")}).items():
        if points.get(kind):
            scatter(
                axes,
                points[kind],
                marker=shape,
                c=colour,
                s=size,
                label=label,
                linewidths=0.3,
                edgecolors="black",
                zorder=4,
                rasterized=True,
            )


def _lane_mark(visit: VisitLine) -> str | None:
    if visit["on"]:
        return "outside" if visit["deviation"] else "done"
    return visit["status"] if visit["status"] in ("missed", "overdue") else None


def _lanes(axes: Axes, lanes: Sequence[Card]) -> None:
    each = max(1, len(lanes) // 60)
    axes.set_yticks(range(0, len(lanes), each), [lane["code"] for lane in lanes[::each]], fontsize=8)
    axes.set_ylim(len(lanes) - 0.3, -0.7)
    axes.autoscale(axis="x")
    tidy(axes)
    legend(axes)


def _end(card: Card, today: date) -> float:
    return max(place_of(card["exit"]) if card["exit"] else place(today), place_of(card["enrolled"])) + 1
