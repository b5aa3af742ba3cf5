"""Markdown as Prefect's UI shows it: tables, and text that others wrote made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tasks.text.free_text import visible

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
# Marks of Markdown and HTML, and what makes a link of an address that merely stands there.
_MEANS = re.compile(r"([\\`*_{}\[\]<>|~#!@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def plain(text: str) -> str:
    """Text as it stands, on one line, without what Markdown or HTML would take for a mark or a link."""
    return _MEANS.sub(r"\\\1", visible(text).replace("&", "&amp;"))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown. Nothing when there are no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns), *lines])


def link(text: str, address: str | None) -> str:
    """A link, or the text alone when there is no address."""
    return f"[{text}]({address})" if address else text


def document(parts: Iterable[str]) -> str:
    """Parts as paragraphs; empty ones left out."""
    return "\n\n".join(part for part in parts if part) + "\n"


def counted(number: int, noun: str) -> str:
    """A number of things, as `1 day` or `2 days`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def unlinked(text: str) -> str:
    """The text of a page without its links, for where there is no Prefect to follow them to."""
    return _LINK.sub(r"\1", text)
