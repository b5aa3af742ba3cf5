"""Finds a sentence again by its shape, in which `{}` stands for a code, a date or a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping


class Shapes:
    """The shapes of sentences, and for each the words of another language with the same places.

    `part` says what fills a place in that language.
    """

    def __init__(self, shapes: Mapping[str, str], part: Callable[[str], str]) -> None:
        # From the longest shape to the shortest: of two that fit, the one that says more is meant.
        by_length = sorted(shapes.items(), key=lambda pair: len(pair[0].replace("{}", "")), reverse=True)
        self._patterns = [(_pattern(shape), words) for shape, words in by_length]
        self._part = part

    def say(self, text: str) -> str | None:
        """The sentence in the other language; None for one that has no shape here."""
        for pattern, words in self._patterns:
            if match := pattern.fullmatch(text):
                return words.format(*(self._part(part) for part in match.groups()))
        return None


def _pattern(shape: str) -> re.Pattern[str]:
    return re.compile(re.escape(shape).replace(r"\{\}", "(.*?)"), re.DOTALL)
