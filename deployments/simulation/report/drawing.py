"""Figures as SVG text that is the same in every run, to stand inside an HTML page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by colour-blind readers, and by their lightness in print.
BLUE, SKY, GREEN, YELLOW, ORANGE, RED, PINK, GREY = (
    "#0072B2",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#E69F00",
    "#D55E00",
    "#CC79A7",
    "#9A9A9A",
)
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "itp-visits",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


@contextmanager
def style() -> Iterator[None]:
    """The look that all figures share, whatever the user's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def canvas(height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of the page's width (inches) with `rows` axes above each other, sharing their x axis."""
    figure = Figure(figsize=(8.6, height), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)
    return figure, list(axes[:, 0])


def svg(figure: Figure, name: str, says: str) -> str:
    """The figure as an <svg> element; `says` is its text for those who cannot see it."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    body = text.getvalue()
    body = body[body.index("<svg") :]
    # Several figures stand in one page: their ids must not meet.
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", body)
    return body.replace("<svg ", f'<svg role="img" aria-label="{says}" ', 1)
