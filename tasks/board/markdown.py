"""Markdown for Prefect's UI: tables and links, and free text made harmless.

Free text in notices is made harmless in `tasks.text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tasks.text.free_text import visible

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
# The marks of Markdown and HTML, and the parts by which a bare address becomes a link.
_MEANS = re.compile(r"([\\`*_{}\[\]<>|~#!@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def plain(text: str) -> str:
    """The text on one line, with every mark and every address of Markdown and HTML escaped."""
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


def section(title: str, body: str) -> str:
    """A body under its heading; nothing when the body is empty."""
    return f"## {title}\n\n{body}" if body else ""


def in_brackets(text: str | None) -> str:
    """Free text in brackets, to follow a phrase; nothing when there is none."""
    return f" ({plain(text)})" if text else ""


def unlinked(text: str) -> str:
    """The text of a page without its links, for readers outside Prefect's UI."""
    return _LINK.sub(r"\1", text)
