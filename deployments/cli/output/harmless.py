"""Makes text of others harmless for a terminal: without control characters and changes of direction."""

from __future__ import annotations

import unicodedata

# Control characters, marks that turn or hide text, and characters that end a line in some programs.
_COMMANDS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LAYOUT = frozenset("\n\t")


def is_command(letter: str) -> bool:
    """Whether a terminal obeys a character instead of showing it; line breaks and tabs aside."""
    return letter not in _LAYOUT and unicodedata.category(letter) in _COMMANDS


def plain(text: str) -> str:
    """The text with a mark in place of each character that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if is_command(letter) else letter for letter in text)


def one_line(text: str) -> str:
    """The text as `plain` gives it, with a mark in place of line breaks and tabs too."""
    return "".join("\N{REPLACEMENT CHARACTER}" if letter in _LAYOUT else letter for letter in plain(text))
