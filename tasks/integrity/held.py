"""Seals that somebody keeps outside: read from any text, as a saved message or a printed line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from itp_events.errors import BadInput

_LINE = re.compile(r"seal (\d{1,9}) of (\S+?): (1:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class HeldSeal:
    """A seal as it was told to somebody: its number and its hash."""

    number: int
    hash: str


def held_seals(file: Path) -> tuple[HeldSeal, ...]:
    """The seals in a file.

    Raises:
        BadInput: the file cannot be read, or holds no seal.
    """
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise BadInput(f"cannot be read: {problem.strerror}", str(file)) from problem
    # A mail may break a line between its words.
    found = _LINE.findall(" ".join(text.split()))
    if not found:
        raise BadInput("holds no seal: a line as `seal 12 of 2026-03-01T09:00:00.000000Z: 1:…`", str(file))
    return tuple(HeldSeal(int(number), digest) for number, _, digest in found)
