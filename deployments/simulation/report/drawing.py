"""The report's figures as SVG text for an HTML page; the same figure gives the same text.

Colours and files are those of every drawing: tasks/board/paper.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.board.paper import image

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
    body = image(figure, "svg").decode()
    body = body[body.index("<svg") :]
    # Several figures stand in one page: their ids must not meet.
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", body)
    return body.replace("<svg ", f'<svg role="img" aria-label="{says}" ', 1)
