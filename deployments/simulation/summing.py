"""The end of one subject's course: its record is completed from the log and the last decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from deployments.simulation.record import Notice, Record, Wait, visit_record
from itp_events.decisions import Decision
from itp_events.events import (
    Acknowledged,
    AdverseEvent,
    Completed,
    Event,
    Missed,
    SaeSubmitted,
)
from itp_events.rules.state import View
from itp_events.rules.subject import as_data, standing


def close(
    record: Record, decision: Decision | None, log: Sequence[Event], notices: Iterable[Notice]
) -> Record:
    """Fill in how the course ended, and how long everything waited for its answer."""
    record.notices = list(notices)
    record.facts = [event for event in log if not event.own]
    if decision is None:
        return record
    seen = decision.seen
    record.status, record.state, record.last = seen.status, seen.state, seen.now
    record.visits = [visit_record(seen, planned) for planned in seen.visits]
    record.on_hold = [(flag.at, flag.decision.time if flag.decision else None) for flag in seen.flags]
    record.stopped = seen.stop.on if seen.stop else None
    if seen.exit:
        record.decode, record.ended, record.exited = seen.exit.decode, seen.exit.at, seen.exit.on
    record.waits = [*_flags(seen), *_escalations(seen, log, record.notices), *_submissions(seen, log)]
    return record


def _flags(seen: View) -> Iterator[Wait]:
    for flag in seen.flags:
        answered = flag.decision.time if flag.decision else None
        yield Wait(seen.subject.code, "a flag, decided", flag.at, answered)


def _escalations(seen: View, log: Sequence[Event], notices: Iterable[Notice]) -> Iterator[Wait]:
    """From the first rung until somebody answered; a miss that the service counted itself is no answer."""
    first: dict[str, datetime] = {}
    for notice in notices:
        if notice.kind == "escalation" and notice.sent and notice.visit:
            first[notice.visit] = min(notice.sent, first.get(notice.visit, notice.sent))
    for code, since in first.items():
        answers = [event.time for event in log if not event.own and _answers(event, code)]
        until = min((at for at in answers if at >= since), default=None)
        yield Wait(seen.subject.code, "an overdue visit, answered", since, until)


def _answers(event: Event, code: str) -> bool:
    data = event.data
    return isinstance(data, Acknowledged | Completed | Missed) and data.visit == code


def _submissions(seen: View, log: Sequence[Event]) -> Iterator[Wait]:
    facts = standing(log)
    submitted = {
        as_data(event, SaeSubmitted).ae: event.time for event in facts if isinstance(event.data, SaeSubmitted)
    }
    for event in facts:
        if isinstance(event.data, AdverseEvent) and event.data.serious:
            yield Wait(
                seen.subject.code,
                "a serious adverse event, submitted",
                event.time,
                submitted.get(event.data.ae),
            )
