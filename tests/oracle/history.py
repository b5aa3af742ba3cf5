"""What stands of a subject's events, and since when each fact is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from tests.oracle.said import VOID, Said

Key = Callable[[Said], object]

# What a clock, a decision or a notice rests on, by the event's type.
RESTS_ON: dict[str, tuple[str, ...]] = {
    "itp.visit.completed": ("visit", "on"),
    "itp.visit.missed": ("visit",),
    "itp.visit.booked": ("visit", "on"),
    "itp.escalation.acknowledged": ("visit", "until"),
    "itp.adverse-event.reported": ("ae", "grade", "serious", "related"),
    "itp.sae.submitted": ("ae", "on"),
    "itp.medication.changed": ("kind", "drug"),
    "itp.contact.attempted": ("on", "reached"),
    "itp.withdrawal.decided": ("on", "decision", "criterion", "decode"),
    "itp.consent.withdrawn": ("on", "scope", "guardian"),
    "itp.subject.died": ("on",),
    "itp.pregnancy.reported": ("partner",),
    "itp.subject.enrolled": ("on",),
    "itp.contact.agreed": ("agreed", "language", "on"),
    "itp.visit.answered": ("visit", "on", "answer"),
    "itp.consent.given": ("kind", "version", "on"),
    "itp.protocol.assigned": ("version",),
}


def resting_on(said: Said) -> object:
    """The part of an event that what follows from it rests on."""
    return tuple(said.data.get(name) for name in RESTS_ON.get(said.type, ()))


@dataclass
class History:
    """The accepted events, in the order in which they were applied, and what restates what."""

    accepted: list[Said] = field(default_factory=list)
    corrects: dict[Said, Said] = field(default_factory=dict)

    @cached_property
    def voided(self) -> set[tuple[str, str]]:
        """The names of the events that a void took back."""
        voids = [said for said in self.accepted if said.type == VOID]
        return {(void.data["event"]["source"], void.data["event"]["id"]) for void in voids}

    @cached_property
    def facts(self) -> list[Said]:
        """The events that nobody voided, voids aside."""
        return [said for said in self.accepted if said.type != VOID and said.name not in self.voided]

    def standing(self, *types: str) -> list[Said]:
        """The events of these types that nobody voided."""
        return [said for said in self.facts if said.type in types]

    def versions(self, said: Said) -> list[Said]:
        """The fact's versions, from the first report to this one."""
        found = [said]
        while found[-1] in self.corrects:
            found.append(self.corrects[found[-1]])
        return found[::-1]

    def known(self, said: Said, key: Key = resting_on) -> datetime:
        """The instant since which the fact is known as it stands, as far as the key looks."""
        return self.origin(said, key).time

    def origin(self, said: Said, key: Key = resting_on) -> Said:
        """The version that first said what the fact says now, as far as the key looks."""
        found = said
        for version in reversed(self.versions(said)[:-1]):
            if key(version) != key(said):
                break
            found = version
        return found

    def turn(self, said: Said) -> tuple[datetime, int, tuple[str, str]]:
        """When something was said, among all that was; of one instant a correction comes after the others."""
        return said.time, len(self.versions(said)), said.name

    def plus(self, *said: Said, corrects: dict[Said, Said] | None = None) -> History:
        """The history with more accepted."""
        return History([*self.accepted, *said], {**self.corrects, **(corrects or {})})
