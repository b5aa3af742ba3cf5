"""The mark of what is assumed: it stands wherever a rule or a date is shown that the site must confirm."""

from __future__ import annotations

MARK = "†"
LEGEND = f"{MARK} assumption, to be confirmed by the site"


def marked(text: str, assumed: bool) -> str:
    """Text, with the mark when it rests on an assumption."""
    return text + MARK if assumed else text


def with_legend(text: str) -> str:
    """One line, with what the mark means when it bears one."""
    return f"{text} ({LEGEND})" if MARK in text else text
