"""One stated event, read from its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

VOID = "itp.event.voided"
ENROLLED = "itp.subject.enrolled"
BOOKED = "itp.visit.booked"
COMPLETED = "itp.visit.completed"
MISSED = "itp.visit.missed"
ADVERSE_EVENT = "itp.adverse-event.reported"
SUBMITTED = "itp.sae.submitted"
PREGNANCY = "itp.pregnancy.reported"
MEDICATION = "itp.medication.changed"
CONTACT = "itp.contact.attempted"
CONSENT_WITHDRAWN = "itp.consent.withdrawn"
DECIDED = "itp.withdrawal.decided"
DIED = "itp.subject.died"
ACKNOWLEDGED = "itp.escalation.acknowledged"
ASSESSED = "itp.deviation.assessed"
CONSENT_GIVEN = "itp.consent.given"
CONTACT_AGREED = "itp.contact.agreed"
ANSWERED = "itp.visit.answered"
UNSCHEDULED = "itp.visit.unscheduled"
ASSIGNED = "itp.protocol.assigned"


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What one event says: `place` is its position in the file, `day` the site's date of its report."""

    place: int
    source: str
    id: str
    type: str
    time: datetime
    day: date
    data: dict[str, Any]

    @property
    def name(self) -> tuple[str, str]:
        """What identifies the event for good."""
        return self.source, self.id

    @property
    def on(self) -> date:
        """The date the event speaks of; without one the day of its report."""
        return date.fromisoformat(self.data["on"]) if "on" in self.data else self.day

    @property
    def happened(self) -> date:
        """The date by which events that arrive together are ordered: a booking's is the day it was made."""
        return self.day if self.type == BOOKED else self.on

    @property
    def order(self) -> tuple[date, datetime, int]:
        """Where the event stands among those that arrive together."""
        return self.happened, self.time, self.place

    @property
    def rank(self) -> tuple[date, datetime, tuple[str, str]]:
        """Where the event stands among the facts of a subject, in whatever order they came in."""
        return self.happened, self.time, self.name

    @property
    def visit(self) -> str:
        """The code of the visit the event speaks of, or an empty text."""
        return str(self.data.get("visit", ""))

    @property
    def aware_at(self) -> datetime | None:
        """When the site learned of it, if the event says so."""
        if "aware_at" not in self.data:
            return None
        return datetime.fromisoformat(self.data["aware_at"]).astimezone(UTC)

    def content(self) -> object:
        """What its name stands for."""
        return self.type, self.time, _frozen(self.data)


def read(place: int, event: dict[str, Any], zone: ZoneInfo) -> Said:
    """Reads one event; null means absent."""
    time = datetime.fromisoformat(event["time"])
    return Said(
        place,
        event["source"],
        event["id"],
        event["type"],
        time.astimezone(UTC),
        time.astimezone(zone).date(),
        _present(event["data"]),
    )


def _present(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _present(each) for key, each in value.items() if each is not None}
    return [_present(each) for each in value] if isinstance(value, list) else value


def _frozen(value: Any) -> object:
    if isinstance(value, dict):
        return tuple(sorted((key, _frozen(each)) for key, each in value.items()))
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
