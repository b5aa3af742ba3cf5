"""The record of one simulated subject: plain data, from which all figures are made."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime

from itp_events.events import Event, NoticeIssued
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit


@dataclass(slots=True)
class Notice:
    """One notice: when it was due and issued, when it left (None: it never did), why it ended."""

    subject: str
    row: str
    kind: str
    visit: str | None
    step: str
    audience: str
    due: datetime
    issued: datetime
    sent: datetime | None = None
    ended: str | None = None
    answered: datetime | None = None


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """One visit at the end of a subject's course; dates are local dates of the site."""

    code: str
    label: str
    epoch: str
    target: date
    opens: date
    closes: date
    outcome: str
    on: date | None
    deviation: int | None


@dataclass(frozen=True, slots=True)
class Wait:
    """The time for which something waited for an answer; `until` is None while it still does."""

    subject: str
    about: str
    since: datetime
    until: datetime | None


@dataclass
class Record:
    """One subject's whole course. `refused` holds event type, rule and reason of what the door refused."""

    code: str
    enrolled: datetime | None = None
    not_eligible: str | None = None
    status: str = "refused"
    state: str = "Refused at enrolment"
    decode: str | None = None
    ended: datetime | None = None
    last: datetime | None = None
    on_hold: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    stopped: date | None = None
    exited: date | None = None
    facts: list[Event] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    visits: list[VisitRecord] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    steps: int = 0

    @property
    def lines(self) -> list[str]:
        """The accepted facts as JSON Lines, in the order of the log."""
        return [json.dumps(event.to_json(), ensure_ascii=False) for event in self.facts]


def notice_of(event: Event, data: NoticeIssued) -> Notice:
    """The record of a notice that was just issued."""
    return Notice(
        event.subject, event.id, data.kind, data.visit, data.step, data.audience, data.due, event.time
    )


def visit_record(state: SubjectState, planned: PlannedVisit) -> VisitRecord:
    """A visit as it stands at the end."""
    return VisitRecord(
        planned.code,
        planned.visit.label,
        planned.visit.epoch,
        planned.target,
        planned.opens,
        planned.closes,
        planned.status(state.today),
        planned.on,
        planned.deviation_days,
    )
