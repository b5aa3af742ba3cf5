"""Finds English in a page that speaks Chinese."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

# What a reader sees or is read aloud besides the text between the marks.
_SPOKEN = re.compile(r'(?:aria-label|title|placeholder|alt|data-[\w-]+)="([^"]*)"')
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL)
_SWITCH = re.compile(r'<button[^>]*lang="en">.*?</button>', re.DOTALL)
_MARKS = re.compile(r"<[^>]+>")
# Two words of small letters in a row make a sentence; one alone may be a code or a name.
_WORDS = re.compile(r"\b[A-Za-z]?[a-z]{1,}(?:[ ,]+[a-z]{2,})+\b")


def english(page: str, typed: Iterable[str] = ()) -> list[str]:
    """The runs of English words in a page, without what people have typed in."""
    spoken = _SPOKEN.findall(page)
    text = _MARKS.sub("\n", _SWITCH.sub("", _UNSEEN.sub("", page)))
    said = html.unescape("\n".join([text, *spoken]))
    # The longest first: a short one may be a part of it.
    for each in sorted(typed, key=len, reverse=True):
        said = said.replace(each, "")
    return sorted(set(_WORDS.findall(said)))
