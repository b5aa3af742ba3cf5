"""Tables, dates and marks for people: coloured in a terminal, plain text elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import click
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from deployments.cli.output.harmless import is_command, plain
from itp_events import marks
from itp_events.rules.explain import day

LEGEND = f"{marks.LEGEND}; the rest is the sponsor's synopsis"
NARROWEST = 80
_COLOURS = {
    "open": "green",
    "overdue": "bold red",
    "missed": "red",
    "cancelled": "dim",
    "completed": "dim",
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
    "recorded": "green",
    "passed": "green",
    "not run": "yellow",
    "accepted": "green",
    "failed": "red",
    "unknown": "yellow",
    "refused": "red",
    "malformed": "red",
}


class SafeConsole(Console):
    """A console on which text of others cannot command the terminal."""

    def __init__(self) -> None:
        super().__init__(markup=False, highlight=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """The segments of a renderable, without characters that a terminal would obey."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def console() -> Console:
    """The standard output; colours only on a terminal, none where NO_COLOR is set."""
    safe = SafeConsole()
    # The dates of a plan do not fit into fewer columns: then the terminal itself breaks the lines.
    safe.width = max(safe.width, NARROWEST)
    return safe


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document on the standard output."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    click.echo(text if text.replace("\n", "").isprintable() else _escaped(text))


def _escaped(text: str) -> str:
    return "".join(json.dumps(letter)[1:-1] if is_command(letter) else letter for letter in text)


def heading(out: Console, text: str) -> None:
    """A line above a table or a list."""
    out.print()
    out.print(Text(plain(text), style="bold"))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], whole: Sequence[str] = (), gap: int = 2
) -> Table:
    """A table whose cells wrap between words; the columns in `whole` never do: codes and dates."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    for name in columns:
        made.add_column(name, no_wrap=name in whole, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return made


def bullets(out: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Lines that begin with a name and go on, indented, over as many lines as they need."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for name, text in rows:
        grid.add_row(Text(plain(name)), Text(plain(text)))
    out.print(grid)


def coloured(word: str, more: str = "") -> Text:
    """A status in its colour, and a text behind it."""
    return Text.assemble((plain(word), _COLOURS.get(word, "")), plain(more))


def assumed(text: str, source: str) -> str:
    """Text marked where its source is an assumption."""
    return marks.marked(text, source == "assumption")


def sourced(source: str) -> str:
    """A rule's source by its name, marked where it is an assumption."""
    return assumed(source, source)


def dated(value: date | None, assumed: bool = False) -> str:
    """A date, marked where it rests on an assumption; empty for none."""
    return marks.marked(day(value), assumed) if value else ""
