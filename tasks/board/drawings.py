"""The drawings: a subject's timeline, its platelets, and everybody's lanes (a swimmer plot).

On white, in colours that the colour-blind tell apart and with shapes that differ in print, so that they
read alike in both of Prefect's themes and on paper. Dates are local dates of the site.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from itp_events.response import COMPLETE_FROM, RESPONSE_FROM, responses
from tasks.board.cards import Card, Story
from tasks.board.figures import PHASES
from tasks.board.words import on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999", "#9CCBE8"
LIGHT = "#E5E5E5"
WINDOWS = {
    "upcoming": (SKY, "window"),
    "completed": (SKY, "window"),
    "open": (GREEN, "window open"),
    "overdue": (RED, "window closed, overdue"),
    "missed": (GREY, "window of a missed visit"),
    "cancelled": (LIGHT, "cancelled"),
}
MARKS = {
    "done": ("o", GREEN, "done in window"),
    "outside": ("D", ORANGE, "done outside its window"),
    "missed": ("X", RED, "missed"),
    "booked": ("^", BLUE, "booked"),
}
# Shapes as well as colours: a print in grey tells them apart.
NOTICES = {"reminder": ("|", BLUE), "escalation": ("^", ORANGE), "alert": ("x", RED)}
AUDIENCES = ("coordinator", "investigator", "sponsor", "cell-lab")
STATUS_COLOURS = {
    "on-treatment": BLUE,
    "in-follow-up": GREEN,
    "on-hold": ORANGE,
    "completed": "#4D4D4D",
    "withdrawn": GREY,
}
# Lanes beyond these are drawn as thin as the paper allows.
TALLEST_INCHES = 14.0


def timeline(story: Story) -> Figure:
    """A subject's windows, visits and notices, and below them the platelets when any were counted."""
    counts = [each for each in responses(story.seen) if each.platelets is not None]
    figure = _figure(9.2, 7.4 if counts else 5.0)
    rows = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1]) if counts else [figure.subplots()]
    _windows(rows[0], story)
    if counts:
        _platelets(rows[1], story)
    for axes in rows:
        _dates(axes)
        axes.tick_params(labelbottom=True)
    figure.suptitle(f"{story.code}: {story.decision.state}, as of {on(story.seen.today)}", x=0.01, ha="left")
    return figure


def _figure(width: float, height: float) -> Figure:
    # Loaded here: it takes a second, and only drawings need it.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "itp", "svg.fonttype": "none", "font.size": 10})
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _windows(axes: Axes, story: Story) -> None:
    seen = story.seen
    codes = [planned.code for planned in seen.visits]
    for row, planned in enumerate(seen.visits):
        colour, label = WINDOWS[planned.status(seen.today)]
        width = (planned.closes - planned.opens).days + 1
        axes.barh(row, width, left=_n(planned.opens), height=0.62, color=colour, label=label, zorder=2)
        if planned.outcome != "cancelled":
            axes.plot(
                [_n(planned.target) + 0.5] * 2,
                [row - 0.31, row + 0.31],
                color="black",
                lw=1.1,
                zorder=3,
                label="target",
            )
    for kind, points in _marks(story).items():
        shape, colour, label = MARKS[kind]
        _scatter(
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
    _today(axes, seen.today)
    axes.set_yticks(range(len(codes) + len(AUDIENCES)), [*codes, *AUDIENCES])
    axes.set_ylim(len(codes) + len(AUDIENCES) - 0.4, -0.8)
    axes.axhline(len(codes) - 0.5, color=GREY, lw=0.6)
    _tidy(axes)
    _legend(axes)


def _marks(story: Story) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for row, planned in enumerate(story.seen.visits):
        if planned.on:
            kind = "outside" if planned.deviation_days else "done"
            found.setdefault(kind, []).append((_n(planned.on) + 0.5, row))
        elif planned.outcome == "missed":
            found.setdefault("missed", []).append((_n(planned.target) + 0.5, row))
        elif planned.booked and planned.outcome is None:
            found.setdefault("booked", []).append((_n(planned.booked) + 0.5, row))
    return found


def _notices(axes: Axes, story: Story, below: int) -> None:
    """One tick for each notice that was handed over, in the row of those whom it was for."""
    site = story.seen.subject.site
    for kind, (shape, colour) in NOTICES.items():
        points = [
            (_n(site.date_of(each.handed_at)) + 0.5, below + AUDIENCES.index(each.audience))
            for each in story.notices
            if each.kind == kind and each.handed_at and each.audience in AUDIENCES
        ]
        if points:
            size = 60 if shape == "|" else 32
            _scatter(axes, points, marker=shape, c=colour, s=size, zorder=4, label=f"{kind} sent")


def _platelets(axes: Axes, story: Story) -> None:
    colours = {"complete response": GREEN, "response": BLUE, "no response": RED, "not evaluable": GREY}
    shapes = {"complete response": "o", "response": "s", "no response": "v", "not evaluable": "d"}
    counts = [(each, each.platelets) for each in responses(story.seen) if each.platelets is not None]
    axes.plot([_n(r.on) + 0.5 for r, _ in counts], [n for _, n in counts], color=GREY, lw=1, zorder=2)
    for grade, colour in colours.items():
        mine = [(_n(each.on) + 0.5, number) for each, number in counts if each.grade == grade]
        if mine:
            _scatter(axes, mine, c=colour, marker=shapes[grade], s=36, zorder=3, label=grade)
    for level, word in ((RESPONSE_FROM, "response from"), (COMPLETE_FROM, "complete response from")):
        axes.axhline(level, color="black", lw=0.8, ls=":")
        axes.annotate(
            f"{word} {level} ",
            (1, level),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
        )
    axes.set_ylabel("platelets, 10⁹/L")
    axes.margins(y=0.12)
    # The line of a complete response is always in sight.
    axes.set_ylim(0, max(115.0, 1.12 * max(number for _, number in counts)))
    _today(axes, story.seen.today, labelled=False)
    _tidy(axes)
    _legend(axes)


def _today(axes: Axes, today: date, *, labelled: bool = True) -> None:
    axes.axvline(_n(today) + 0.5, color=RED, lw=1.2, ls="--", zorder=1)
    if labelled:
        axes.annotate(
            "today",
            (_n(today) + 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -2),
            textcoords="offset points",
            color="#A34700",
            fontsize=9,
            va="top",
        )


def _legend(axes: Axes) -> None:
    """Each label once, above the drawing, where it covers nothing."""
    found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if found:
        axes.legend(
            list(found.values()),
            list(found),
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=5,
            fontsize=9,
            frameon=False,
        )


def swimmer(cards: Sequence[Card], today: date) -> Figure:
    """One lane for each subject, from enrolment to today or to the end, with the visits on it."""
    from matplotlib.collections import LineCollection

    lanes = sorted(cards, key=lambda each: (each["enrolled"], each["code"]))
    height = min(max(2.2, 0.17 * len(lanes) + 1.0), TALLEST_INCHES)
    figure = _figure(9.2, height)
    axes = figure.subplots()
    thick = max(0.6, min(6.0, 60 * height / max(len(lanes), 1)))
    for status, colour in STATUS_COLOURS.items():
        mine = [(row, each) for row, each in enumerate(lanes) if each["status"] == status]
        lines = [[(_of(e["enrolled"]), row), (_end(e, today), row)] for row, e in mine]
        if lines:
            axes.add_collection(
                LineCollection(lines, colors=colour, linewidths=thick, alpha=0.55, label=PHASES[status])
            )
    _lane_marks(axes, lanes, max(2.0, min(22.0, thick * 5)))
    _today(axes, today, labelled=bool(lanes))
    _lanes(axes, lanes)
    _dates(axes)
    return figure


def _lane_marks(axes: Axes, lanes: Sequence[Card], size: float) -> None:
    found: dict[str, list[tuple[float, float]]] = {}
    for row, each in enumerate(lanes):
        for visit in each["visits"]:
            kind = _lane_mark(visit)
            if kind:
                found.setdefault(kind, []).append((_of(visit["on"] or visit["closes"]) + 0.5, row))
    for kind, (shape, colour, label) in (MARKS | {"overdue": ("s", RED, "overdue")}).items():
        if found.get(kind):
            _scatter(
                axes,
                found[kind],
                marker=shape,
                c=colour,
                s=size,
                label=label,
                linewidths=0.3,
                edgecolors="black",
                zorder=4,
                rasterized=True,
            )


def _lane_mark(visit: dict[str, Any]) -> str | None:
    if visit["on"]:
        return "outside" if visit["deviation"] else "done"
    return visit["status"] if visit["status"] in ("missed", "overdue") else None


def _lanes(axes: Axes, lanes: Sequence[Card]) -> None:
    each = max(1, len(lanes) // 60)
    axes.set_yticks(range(0, len(lanes), each), [lane["code"] for lane in lanes[::each]], fontsize=8)
    axes.set_ylim(len(lanes) - 0.3, -0.7)
    axes.autoscale(axis="x")
    _tidy(axes)
    _legend(axes)


def _end(card: Card, today: date) -> float:
    return max(_of(card["exit"]) if card["exit"] else _n(today), _of(card["enrolled"])) + 1


def _scatter(axes: Axes, points: Sequence[tuple[float, float]], **style: Any) -> None:
    axes.scatter([x for x, _ in points], [y for _, y in points], **style)


def _tidy(axes: Axes) -> None:
    axes.grid(axis="x", color="#E0E0E0", lw=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.use_sticky_edges = False
    axes.margins(x=0.02)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=12)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _n(value: date) -> float:
    """A date as matplotlib counts them: days since 1970."""
    return float(value.toordinal() - date(1970, 1, 1).toordinal())


def _of(value: str) -> float:
    return _n(date.fromisoformat(value))


def image(figure: Figure, kind: str = "png") -> bytes:
    """The drawing as `png` or `svg`; the same figure gives the same bytes."""
    out = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(out, format=kind, dpi=110, metadata=metadata)
    return out.getvalue()


def inline(figure: Figure) -> str:
    """The drawing as an address that Markdown shows in place."""
    return f"data:image/png;base64,{base64.b64encode(image(figure)).decode()}"
