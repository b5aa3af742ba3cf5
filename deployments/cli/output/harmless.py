"""Text that others wrote, for a terminal: without what gives it a command, or is read in another order."""

from __future__ import annotations

import unicodedata

# Controls, marks that turn or hide what stands beside them, and what ends a line in some programs.
_COMMANDS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LAYOUT = frozenset("\n\t")


def is_command(letter: str) -> bool:
    """Whether a character is not shown but obeyed; line breaks and tabs aside."""
    return letter not in _LAYOUT and unicodedata.category(letter) in _COMMANDS


def plain(text: str) -> str:
    """The text with a mark in place of each character that is not shown but obeyed."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if is_command(letter) else letter for letter in text)


def one_line(text: str) -> str:
    """The text as `plain` gives it, with a mark in place of line breaks and tabs too."""
    return "".join("\N{REPLACEMENT CHARACTER}" if letter in _LAYOUT else letter for letter in plain(text))
