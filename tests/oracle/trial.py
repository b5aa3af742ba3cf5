"""The protocol file, read as data: the only thing that this implementation takes from the project."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
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
    versions: dict[str, Trial] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The name of this version of the protocol."""
        return str(self.rules["version"])

    @property
    def effective_on(self) -> str:
        """The date from which subjects may be assigned to it, or an empty text."""
        return str(self.rules.get("amendment", {}).get("effective_on", ""))

    @property
    def consents(self) -> list[str]:
        """The consents that it asks for anew."""
        found: list[str] = self.rules.get("amendment", {}).get("consents", [])
        return found

    def rule(self, code: str) -> dict[str, Any] | None:
        """The rule of a visit; None where this version has no such visit."""
        return next((visit for visit in self.visits if visit["code"] == code), None)

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
    """The protocol as the file gives it, which has two amendments."""
    rules = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    site = rules["sites"]["default"]
    calendar = Calendar(
        site["calendar"], ZoneInfo(site["time_zone"]), time.fromisoformat(rules["notices_at"])
    )
    versions: dict[str, Trial] = {}
    for each in (rules, _second(rules), _third(rules)):
        versions[str(each["version"])] = Trial(each, calendar, versions)
    return versions["1"]


def _second(rules: dict[str, Any]) -> dict[str, Any]:
    """Other windows, a visit less and one more, other limits, and consents that are asked for anew."""
    second = deepcopy(rules)
    second["version"] = "2"
    consents = ["consent", "assent"]
    second["amendment"] = {"effective_on": "2026-03-01", "consents": consents, "source": "synopsis"}
    second["alerts"]["re-consent"] = {
        "audiences": ["coordinator"],
        "every_working_days": 3,
        "source": "assumption",
    }
    visits = {visit["code"]: visit for visit in second["visits"]}
    visits["INF2"]["after"] = "P4D"
    visits["INF3"]["target"] = "P3W"
    visits["FU-D14"] |= {"before": "P1D", "after": "P1D"}
    visits["FU-M3"] |= {"target": "P10W", "label": "Follow-up week 10"}
    added = visits["FU-M3"] | {"code": "FU-M4", "label": "Follow-up month 4", "target": "P4M"}
    second["visits"] = [visit for visit in second["visits"] if visit["code"] != "FU-M2"]
    second["visits"].insert(second["visits"].index(visits["FU-M3"]) + 1, added)
    second["dose"] |= {"cells_per_kg": 0.9e8, "deviation": 0.15}
    second["deviations"]["window"]["beyond_days"] = 2
    second["ladder"]["missed_on_day"] = 12
    for criterion in second["withdrawal"]:
        limits = {"adverse-event": {"grade": 3}, "lost-to-follow-up": {"attempts": 2, "days_after_close": 7}}
        criterion.update(limits.get(criterion["criterion"], {}))
    return second


def _third(rules: dict[str, Any]) -> dict[str, Any]:
    """The first version with another window for one visit: nothing is asked for anew."""
    third = deepcopy(rules)
    third["version"] = "3"
    next(visit for visit in third["visits"] if visit["code"] == "INF4")["after"] = "P6D"
    return third
