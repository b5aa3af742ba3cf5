"""The parts that all drawings share: paper, colours, marks, the axis of dates, files.

The colours can be told apart by the colour-blind, and the shapes in a grey print: a drawing reads alike in
both of Prefect's themes and on paper. Dates are local dates of the site.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by colour-blind readers, and by their lightness in print.
BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
ORANGE, RED, PINK, GREY = "#E69F00", "#D55E00", "#CC79A7", "#999999"
# Wide areas, on which marks stand.
PALE, LIGHT = "#9CCBE8", "#E5E5E5"
MARKS = {
    "done": ("o", GREEN, "done in window"),
    "outside": ("D", ORANGE, "done outside its window"),
    "missed": ("X", RED, "missed"),
    "booked": ("^", BLUE, "booked"),
}
WIDE_INCHES = 9.2


def blank(width: float, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    """An empty figure of so many inches, on white."""
    # Loaded here: it takes a second, and only drawings need it.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "itp", "svg.fonttype": "none", "font.size": 10})
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def mark_today(axes: Axes, today: date, *, labelled: bool = True) -> None:
    """A dashed line through today."""
    axes.axvline(place(today) + 0.5, color=RED, lw=1.2, ls="--", zorder=1)
    if labelled:
        axes.annotate(
            "today",
            (place(today) + 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -2),
            textcoords="offset points",
            color="#A34700",
            fontsize=9,
            va="top",
        )


def legend(axes: Axes) -> None:
    """Each label once, above the drawing, where it covers nothing."""
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if handles:
        axes.legend(
            list(handles.values()),
            list(handles),
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=4,
            fontsize=9,
            frameon=False,
        )


def scatter(axes: Axes, points: Sequence[tuple[float, float]], **style: Any) -> None:
    """Points, in the style given."""
    axes.scatter([x for x, _ in points], [y for _, y in points], **style)


def tidy(axes: Axes) -> None:
    """A light grid along the dates, and no frame."""
    axes.grid(axis="x", color="#E0E0E0", lw=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.use_sticky_edges = False
    axes.margins(x=0.02)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def date_axis(axes: Axes) -> None:
    """Dates along the axis, no more than fit."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=12)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def place(value: date) -> float:
    """A date as matplotlib counts them: days since 1970."""
    return float(value.toordinal() - date(1970, 1, 1).toordinal())


def place_of(value: str) -> float:
    """The place of a date that is written as YYYY-MM-DD."""
    return place(date.fromisoformat(value))


def image(figure: Figure, kind: str = "png") -> bytes:
    """The drawing as `png` or `svg`; the same figure gives the same bytes."""
    out = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    figure.savefig(out, format=kind, dpi=110, metadata=metadata)
    return out.getvalue()
