"""A subject's timeline: windows, visits and notices, and the platelets below them.

Everybody's lanes are drawn in `tasks.board.lanes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from itp_events.marks import LEGEND, MARK, marked
from itp_events.rules.assumptions import window_assumed
from itp_events.rules.response import WORDS, Grade, responses
from itp_events.rules.windows import PlannedVisit
from tasks.board.paper import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    MARKS,
    ORANGE,
    PALE,
    RED,
    WIDE_INCHES,
    blank,
    date_axis,
    legend,
    mark_today,
    place,
    scatter,
    tidy,
)
from tasks.board.story import Story
from tasks.board.words import on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOWS = {
    "upcoming": (PALE, "window"),
    "completed": (PALE, "window"),
    "open": (GREEN, "window open"),
    "overdue": (RED, "window closed, overdue"),
    "missed": (GREY, "window of a missed visit"),
    "cancelled": (LIGHT, "cancelled"),
}
# Shapes as well as colours: a print in grey tells them apart.
NOTICES = {"reminder": ("|", BLUE), "escalation": ("^", ORANGE), "alert": ("x", RED)}
AUDIENCES = ("coordinator", "investigator", "sponsor", "cell-lab")
GRADES: dict[Grade, tuple[str, str]] = {
    "complete": (GREEN, "o"),
    "response": (BLUE, "s"),
    "none": (RED, "v"),
    "not-evaluable": (GREY, "d"),
}
CONFIRMABLE = ("complete", "response")
WINDOWS_INCHES, PLATELETS_INCHES = 3.9, 1.75
# The room for the title and the legend above, for the dates below, and for dates and a legend between.
HEAD_INCHES, DATES_INCHES, GAP_INCHES = 1.2, 0.35, 0.7


def timeline(story: Story) -> Figure:
    """A subject's windows, visits and notices, and below them the platelets when any were counted."""
    counts = any(each.platelets is not None for each in responses(story.subject_state))
    below = PLATELETS_INCHES + GAP_INCHES if counts else 0.0
    figure = blank(WIDE_INCHES, DATES_INCHES + below + WINDOWS_INCHES + HEAD_INCHES)
    upper = _panel(figure, DATES_INCHES + below, WINDOWS_INCHES, story)
    _windows(upper, story)
    panels = [upper]
    if counts:
        panels.append(_panel(figure, DATES_INCHES, PLATELETS_INCHES, story, upper))
        _platelets(panels[1], story)
    for axes in panels:
        date_axis(axes)
    title = f"{story.code}: {story.decision.state}, as of {on(story.subject_state.today)}"
    figure.suptitle(title, x=0.01, y=0.99, ha="left", va="top")
    if any(MARK in _marked(story, planned) for planned in story.subject_state.visits):
        figure.text(0.99, 0.99, LEGEND, ha="right", va="top", fontsize="x-small", color=GREY)
    return figure


def _panel(figure: Figure, bottom: float, height: float, story: Story, like: Axes | None = None) -> Axes:
    """Axes at a place in inches: laying them out by what is in them takes as long as drawing them."""
    longest = max(len(name) for name in (*AUDIENCES, *(each.code for each in story.subject_state.visits)))
    left = 0.25 + 0.085 * longest
    wide, high = figure.get_size_inches()
    place = (left / wide, bottom / high, (wide - left - 0.15) / wide, height / high)
    return figure.add_axes(place, sharex=like)


def _windows(axes: Axes, story: Story) -> None:
    state = story.subject_state
    codes = [_marked(story, planned) for planned in state.visits]
    for row, planned in enumerate(state.visits):
        colour, label = WINDOWS[planned.status(state.today)]
        width = (planned.closes - planned.opens).days + 1
        axes.barh(row, width, left=place(planned.opens), height=0.62, color=colour, label=label, zorder=2)
        if planned.outcome != "cancelled":
            axes.plot(
                [place(planned.target) + 0.5] * 2,
                [row - 0.31, row + 0.31],
                color="black",
                lw=1.1,
                zorder=3,
                label="target",
            )
    for kind, points in _marks(story).items():
        shape, colour, label = MARKS[kind]
        scatter(
            axes,
            points,
            marker=shape,
            c=colour,
            s=42,
            zorder=5,
            label=label,
            edgecolors="black",
            linewidths=0.6,
        )
    _notices(axes, story, len(codes))
    mark_today(axes, state.today)
    axes.set_yticks(range(len(codes) + len(AUDIENCES)), [*codes, *AUDIENCES])
    axes.set_ylim(len(codes) + len(AUDIENCES) - 0.4, -0.8)
    axes.axhline(len(codes) - 0.5, color=GREY, lw=0.6)
    tidy(axes)
    legend(axes)


def _marked(story: Story, planned: PlannedVisit) -> str:
    """A visit's code, marked where the window that is drawn beside it rests on an assumption."""
    return marked(planned.code, window_assumed(planned, story.subject_state.visits))


def _marks(story: Story) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = {}
    for row, planned in enumerate(story.subject_state.visits):
        if planned.on:
            kind = "outside" if planned.deviation_days else "done"
            points.setdefault(kind, []).append((place(planned.on) + 0.5, row))
        elif planned.outcome == "missed":
            points.setdefault("missed", []).append((place(planned.target) + 0.5, row))
        elif planned.booked and planned.outcome is None:
            points.setdefault("booked", []).append((place(planned.booked) + 0.5, row))
    return points


def _notices(axes: Axes, story: Story, below: int) -> None:
    """One tick for each notice that was handed over, in the row of its audience."""
    site = story.subject_state.subject.site
    for kind, (shape, colour) in NOTICES.items():
        points = [
            (place(site.date_of(each.handed_at)) + 0.5, below + AUDIENCES.index(each.audience))
            for each in story.notices
            if each.kind == kind and each.handed_at and each.audience in AUDIENCES
        ]
        if points:
            size = 60 if shape == "|" else 32
            scatter(axes, points, marker=shape, c=colour, s=size, zorder=4, label=f"{kind} sent")


def _platelets(axes: Axes, story: Story) -> None:
    counted = [(each.on, each.platelets, each) for each in responses(story.subject_state)]
    counts = sorted(
        (place(on) + 0.5, number, each) for on, number, each in counted if on and number is not None
    )
    axes.plot([x for x, _, _ in counts], [number for _, number, _ in counts], color=GREY, lw=1, zorder=2)
    for grade, (colour, shape) in GRADES.items():
        for confirmed in (True, False):
            mine = [(x, n) for x, n, each in counts if (each.grade, each.confirmed) == (grade, confirmed)]
            if mine:
                # A response that no second count confirms is hollow.
                fill = colour if confirmed or grade not in CONFIRMABLE else "white"
                word = WORDS[grade] + (" (not confirmed)" if fill == "white" else "")
                scatter(axes, mine, c=fill, marker=shape, s=36, zorder=3, label=word, edgecolors=colour)
    rule = story.subject_state.protocol.response
    for level, word in ((rule.response_from, "response"), (rule.complete_from, "complete response")):
        axes.axhline(level, color="black", lw=0.8, ls=":")
        axes.annotate(
            f"{word} from {level:g} ",
            (1, level),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
        )
    axes.set_ylabel("platelets, 10⁹/L")
    axes.margins(y=0.12)
    # The line of a complete response is always in sight.
    axes.set_ylim(0, max(1.15 * rule.complete_from, 1.12 * max(number for _, number, _ in counts)))
    mark_today(axes, story.subject_state.today, labelled=False)
    tidy(axes)
    legend(axes)
