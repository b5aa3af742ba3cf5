"""A wanted notice: one message that an audience should get, from when on, and until when it is of use.

This module does not say which notices are wanted: reminders.py and alerts.py do.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, NamedTuple

from itp_events.events import Event, EventKey
from itp_events.protocol.model import AlertName
from itp_events.rules.keys import bounded, named
from itp_events.rules.windows import PlannedVisit

Kind = Literal["reminder", "escalation", "alert"]


class WantedNotice(NamedTuple):
    """A notice to `audience` about `step`, due from `due` on and of use before `until` (None: for ever).

    Both instants are UTC. `alert` is the protocol's rule behind an alert; reminders and escalations have
    none. `number` tells the steps of one rule apart: it counts repetitions from 1, or it is the hours of a
    reporting clock or the day of a rung. `day` is the site-local date that the notice counts from, where
    there is one. `event` identifies the report on which the notice rests; `fact` is the event that states it
    today. `asked` is the kind and the protocol version of a consent that is asked for anew.
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
    day: date | None = None
    alert: AlertName | None = None
    asked: tuple[str, str] | None = None

    @property
    def visit(self) -> str | None:
        """The code of the visit that the notice is about; None when it is about no visit."""
        return self.planned.code if self.planned else None

    def stands(self, now: datetime) -> bool:
        """Whether the notice is due at `now`, an aware instant, and still of use."""
        return self.due <= now and (self.until is None or now < self.until)


def visit_key(subject: str, visit: str, step: str, audience: str, day: date) -> str:
    """The stable key of a notice about a visit; `day` is the site-local date that it counts from."""
    return bounded(f"{subject}/{visit}/{step}/{audience}/{day}")


def event_key(subject: str, step: str, audience: str, event: EventKey, visit: str | None = None) -> str:
    """The stable key of a notice about an event."""
    return bounded("/".join(part for part in (subject, visit, step, audience, named(event)) if part))
