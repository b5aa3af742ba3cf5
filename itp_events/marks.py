"""The mark of an assumption: it stands beside every rule and date that the site must confirm.

This module does not know which rules are assumptions: the protocol file says so.
"""

from __future__ import annotations

MARK = "†"
LEGEND = f"{MARK} assumption, to be confirmed by the site"


def marked(text: str, assumed: bool) -> str:
    """The text, with the mark behind it when it rests on an assumption."""
    return text + MARK if assumed else text


def with_legend(text: str) -> str:
    """The line, followed by the meaning of the mark when it bears one."""
    return f"{text} ({LEGEND})" if MARK in text else text
