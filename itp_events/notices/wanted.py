"""A duty: one notice that is due to one audience from an instant on, and until when it is of use."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, NamedTuple

from itp_events.events import Event, EventKey
from itp_events.rules.decision_log import bounded, named
from itp_events.rules.windows import PlannedVisit

Kind = Literal["reminder", "escalation", "alert"]


class WantedNotice(NamedTuple):
    """To tell `audience` about `step`, from `due` on and before `until` (None: for ever); both UTC.

    `event` names the report on which the duty rests, `fact` is the event that states it today.
    `number` counts repetitions, or the hours or days of the step.
    """

    key: str
    kind: Kind
    step: str
    audience: str
    due: datetime
    until: datetime | None = None
    planned: PlannedVisit | None = None
    event: EventKey | None = None
    fact: Event | None = None
    number: int = 0

    @property
    def visit(self) -> str | None:
        """The code of the visit that the duty is about, if it is about one."""
        return self.planned.code if self.planned else None

    def stands(self, now: datetime) -> bool:
        """Whether it is due at `now` and still of use."""
        return self.due <= now and (self.until is None or now < self.until)


def visit_key(subject: str, visit: str, step: str, audience: str, day: date) -> str:
    """The stable key of a duty about a visit and the date it counts from."""
    return bounded(f"{subject}/{visit}/{step}/{audience}/{day}")


def event_key(subject: str, step: str, audience: str, event: EventKey, visit: str | None = None) -> str:
    """The stable key of a duty about an event."""
    return bounded("/".join(part for part in (subject, visit, step, audience, named(event)) if part))
