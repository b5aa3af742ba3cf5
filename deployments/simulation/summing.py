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
)
from itp_events.rules.safety import clocks
from itp_events.rules.state import SubjectState


def close(
    record: Record, decision: Decision | None, log: Sequence[Event], notices: Iterable[Notice]
) -> Record:
    """Fill in how the course ended, and how long everything waited for its answer."""
    record.notices = list(notices)
    record.facts = [event for event in log if not event.own]
    if decision is None:
        return record
    state = decision.subject_state
    record.status, record.state, record.last = state.status, state.phase, state.now
    record.visits = [visit_record(state, planned) for planned in state.visits]
    record.on_hold = [(flag.at, flag.decision.time if flag.decision else None) for flag in state.flags]
    record.stopped = state.stop.on if state.stop else None
    if state.exit:
        record.decode, record.ended, record.exited = state.exit.decode, state.exit.at, state.exit.on
    record.waits = [*_flags(state), *_escalations(state, log, record.notices), *_submissions(state)]
    return record


def _flags(state: SubjectState) -> Iterator[Wait]:
    for flag in state.flags:
        answered = flag.decision.time if flag.decision else None
        yield Wait(state.subject.code, "a flag, decided", flag.at, answered)


def _escalations(state: SubjectState, log: Sequence[Event], notices: Iterable[Notice]) -> Iterator[Wait]:
    """The waits from a first rung to its answer; a miss that the service counted itself is no answer."""
    first: dict[str, datetime] = {}
    for notice in notices:
        if notice.kind == "escalation" and notice.sent and notice.visit:
            first[notice.visit] = min(notice.sent, first.get(notice.visit, notice.sent))
    for code, since in first.items():
        answers = [event.time for event in log if not event.own and _answers(event, code)]
        until = min((at for at in answers if at >= since), default=None)
        yield Wait(state.subject.code, "an overdue visit, answered", since, until)


def _answers(event: Event, code: str) -> bool:
    data = event.data
    return isinstance(data, Acknowledged | Completed | Missed) and data.visit == code


def _submissions(state: SubjectState) -> Iterator[Wait]:
    """The waits from the awareness of an adverse event to the submission of the report that is owed."""
    for clock in clocks(state.subject):
        if isinstance(clock.fact.data, AdverseEvent):
            until = clock.submitted.time if clock.submitted else None
            yield Wait(state.subject.code, "a serious adverse event, submitted", clock.aware_at, until)
