"""The names of the steps that are told apart by a number, such as `decision-3` and `sae-20h`.

This module does not say which steps are due. A step's name is a public contract, and a stored notice holds
its step by this name only: this is the one place in which a number is put into a name or read back.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NUMBERED = {"decision": "decision-{}", "sae": "sae-{}h"}
_PATTERNS = {family: re.compile(name.format(r"(\d+)")) for family, name in _NUMBERED.items()}


class Step(NamedTuple):
    """A step by its parts.

    `family` is the name of the rule: an alert of the protocol, or a reminder or rung by its own name.
    `number` counts the requests for a decision from 1, or gives the hours of a safety report's clock; it is 0
    for every other step.
    """

    family: str
    number: int = 0

    @property
    def name(self) -> str:
        """The step as notices, keys and templates write it."""
        return _NUMBERED[self.family].format(self.number) if self.number else self.family

    @property
    def text(self) -> str:
        """The name of the step's text: every request for a decision has the one text `decision-n`."""
        return "decision-n" if self.family == "decision" else self.name

    @classmethod
    def read(cls, name: str) -> Step:
        """The step of that name, as a stored notice holds it."""
        found = ((family, pattern.fullmatch(name)) for family, pattern in _PATTERNS.items())
        return next((cls(family, int(match[1])) for family, match in found if match), cls(name))
