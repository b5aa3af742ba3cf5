"""decide(): what is due for a subject now, whatever led here.

Pure and level-triggered: it compares what holds at `now` with what the service has recorded, and
returns the difference as events. Deciding once too often changes nothing; deciding late catches up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from itp_events import marks
from itp_events.events import (
    OWN_SOURCE,
    SERVICE,
    Data,
    Event,
    EventKey,
    Exited,
    Flagged,
    Missed,
    ProtocolAssigned,
    Reference,
    TreatmentStopped,
    Voided,
)
from itp_events.notices.alerts import alerts
from itp_events.notices.reconcile import own, told
from itp_events.notices.reminders import reminders, rungs
from itp_events.notices.wanted import Duty
from itp_events.protocol.model import Protocol
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.decision_log import again, bounded, marked, named
from itp_events.rules.explain import day, days, missed
from itp_events.rules.state import StudyStatus, View, view
from itp_events.rules.subject import Subject
from itp_events.rules.windows import Ending
from itp_events.rules.withdrawal import missed_key


@dataclass(frozen=True)
class Decision:
    """What to record now, what to show, and when anything could change next (UTC; None: never)."""

    events: tuple[Event, ...]
    state: str
    message: str
    status: StudyStatus
    wake_at: datetime | None
    tags: tuple[str, ...]
    exited: bool
    seen: View
    duties: tuple[Duty, ...]

    def due(self) -> tuple[Duty, ...]:
        """The duties that are due and of use at this instant."""
        return tuple(duty for duty in self.duties if duty.stands(self.seen.now))


def decide(protocol: Protocol, subject: Subject, now: datetime) -> Decision:
    """What is due for `subject` at `now`, an aware instant; `subject` is folded from its whole log."""
    seen = view(subject.protocol, subject, now)
    duties = (*reminders(seen), *rungs(seen), *alerts(seen))
    events = (*_pinned(seen), *_decisions(seen), *told(seen, duties))
    return Decision(
        events,
        seen.state,
        _message(seen),
        seen.status,
        wake_at(seen, duties),
        _tags(seen, duties),
        seen.exit is not None,
        seen,
        duties,
    )


def _pinned(seen: View) -> Iterator[Event]:
    """An enrolment pins the subject to the protocol version of its day; later versions are assigned."""
    if seen.subject.ledger.pinned is None:
        version = seen.protocol.version
        data = ProtocolAssigned(by=SERVICE, version=version, reason="current at enrolment")
        yield own(seen, f"{seen.subject.code}/protocol", data)


def _decisions(seen: View) -> Iterator[Event]:
    """Misses, flags, stops and exits that are not recorded yet, and voids of those that no longer hold."""
    recorded = seen.subject.ledger.decisions
    standing = dict(_standing(seen))
    for key, entry in recorded.items():
        if entry.stands and standing.get(key) != entry.event.data:
            reference = Reference(source=OWN_SOURCE, id=entry.event.id)
            why = "the facts it stood on no longer hold"
            yield own(seen, marked(entry.event.id, "void"), Voided(by=SERVICE, event=reference, reason=why))
    for key, data in standing.items():
        before = recorded.get(key)
        if before is None or not before.stands or before.event.data != data:
            yield own(seen, again(before.event.id) if before else key, data)


def _standing(seen: View) -> Iterator[tuple[str, Data]]:
    subject = seen.subject
    for planned in seen.visits:
        if planned.missed_by_service:
            data = Missed(by=SERVICE, visit=planned.code, reason=missed(planned))
            yield missed_key(subject, planned)[1], data
    for flag in seen.flags:
        key = bounded(f"{subject.code}/flagged/{flag.criterion}/{named(flag.event)}")
        because = _reference(flag.event)
        yield key, Flagged(by=SERVICE, criterion=flag.criterion, on=flag.on, because=because)
    if seen.stopped:
        yield bounded(f"{subject.code}/stopped/{named(seen.stopped.origin)}"), _stopped(seen.stopped)
    if seen.exit:
        yield bounded(f"{subject.code}/exited/{named(seen.exit.origin)}"), _exited(seen.exit)


def _reference(key: EventKey) -> Reference:
    return Reference(source=key[0], id=key[1])


def _stopped(end: Ending) -> TreatmentStopped:
    return TreatmentStopped(
        by=SERVICE,
        criterion=end.criterion or "",
        on=end.on,
        decode=end.decode,
        term=end.term,
        because=_reference(end.origin),
    )


def _exited(end: Ending) -> Exited:
    return Exited(
        by=SERVICE,
        criterion=end.criterion,
        on=end.on,
        decode=end.decode,
        term=end.term,
        because=_reference(end.origin),
    )


def wake_at(seen: View, duties: Iterable[Duty]) -> datetime | None:
    """The next instant (UTC) at which a duty comes due or a date passes that could change anything.

    A reminder that did not leave while it was of use is withdrawn at that very instant, not at some later
    wake; alerts are of use until the next one is due.
    """
    duties = tuple(duties)
    ahead = [duty.due for duty in duties if duty.due > seen.now]
    ahead += [duty.until for duty in duties if duty.until and duty.kind == "reminder"]
    if seen.exit is None:
        ahead += [*_edges(seen), *seen.ahead]
    return min((instant for instant in ahead if instant > seen.now), default=None)


def _edges(seen: View) -> Iterator[datetime]:
    """When windows open and close, and when the service would count a visit as missed."""
    site = seen.subject.site
    for planned in seen.visits:
        if planned.outcome is None and planned.firm:
            yield site.midnight(planned.opens)
            yield site.midnight(planned.closes + timedelta(days=1))
            if planned.climb and planned.climb.missed_at:
                yield planned.climb.missed_at


def _message(seen: View) -> str:
    if seen.exit:
        return f"on {day(seen.exit.on)}: {seen.exit.term}"
    if seen.unrecorded_death:
        since = day(seen.subject.site.date_of(seen.unrecorded_death.since))
        return f"since {since}; a fatal adverse event stands and no death is recorded"
    if seen.open_flags:
        flag = seen.open_flags[0]
        return f"since {day(seen.subject.site.date_of(flag.at))}; the investigator must decide"
    planned = seen.current
    if planned is None or seen.awaiting_disposition:
        last = seen.visits[-1]
        return f"{last.code} was {last.outcome}; the investigator must choose a disposition"
    booked = f", booked for {day(planned.booked)}" if planned.booked else ""
    window = marks.marked(days(planned.opens, planned.closes), window_assumed(planned, seen.visits))
    target = marks.marked(day(planned.target), target_assumed(planned, seen.visits))
    return f"{window}, target {target}{booked}"


def _tags(seen: View, duties: Iterable[Duty]) -> tuple[str, ...]:
    epoch = "follow-up" if seen.treatment_ended else "treatment"
    tags = [f"site:{seen.subject.enrolled.site}", f"epoch:{epoch}", f"phase:{seen.status}"]
    if any(planned.status(seen.today) == "overdue" for planned in seen.visits):
        tags.append("overdue")
    if any(duty.kind == "escalation" and duty.stands(seen.now) for duty in duties):
        tags.append("escalated")
    if seen.on_hold:
        tags.append("on-hold")
    if seen.on_hold or seen.awaiting_disposition:
        tags.append("waits:investigator")
    return tuple(tags)
