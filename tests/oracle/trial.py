"""The protocol file, read as data: the only thing that this implementation takes from the project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from tests.oracle.days import Calendar

FILE = Path(__file__).parents[2] / "itp_events/protocol/nct06813157.yaml"


@dataclass(frozen=True)
class Trial:
    """The file's rules, and the calendar of its site."""

    rules: dict[str, Any]
    calendar: Calendar

    @property
    def visits(self) -> list[dict[str, Any]]:
        """The planned visits in the protocol's order."""
        found: list[dict[str, Any]] = self.rules["visits"]
        return found

    @property
    def infusions(self) -> list[str]:
        """The codes of the infusions, in order."""
        return [visit["code"] for visit in self.visits if visit["epoch"] == "treatment"]

    @property
    def last_visit(self) -> str:
        """The code of the visit that ends the study."""
        return str(self.visits[-1]["code"])

    def criterion(self, name: str) -> dict[str, Any]:
        """A withdrawal criterion by its name."""
        found: dict[str, Any] = next(each for each in self.rules["withdrawal"] if each["criterion"] == name)
        return found

    def audiences(self, alert: str) -> list[str]:
        """Who is told of an alert."""
        found: list[str] = self.rules["alerts"][alert]["audiences"]
        return found


@cache
def trial() -> Trial:
    """The protocol as the file gives it."""
    rules = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    site = rules["sites"]["default"]
    calendar = Calendar(
        site["calendar"], ZoneInfo(site["time_zone"]), time.fromisoformat(rules["notices_at"])
    )
    return Trial(rules, calendar)
