"""Drawings saved to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from itp_events.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {".svg": "svg", ".png": "png"}


def save(path: Path, draw: Callable[[], Figure]) -> None:
    """Save a drawing; the file name's ending says how.

    Raises BadInput for another ending, or a file that cannot be written.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise BadInput(f"{path} must end in .svg or .png", "--out")
    from tasks.board.paper import image

    try:
        path.write_bytes(image(draw(), kind))
    except OSError as problem:
        raise BadInput(f"{path} cannot be written: {problem.strerror}", "--out") from problem
    click.echo(f"{path}: {path.stat().st_size // 1024 + 1} KB")
