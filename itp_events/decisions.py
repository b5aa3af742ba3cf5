"""decide(): what is due for a subject now, whatever led here.

Pure and level-triggered: it compares what holds at `now` with what the service has recorded, and
returns the difference as events. Deciding once too often changes nothing; deciding late catches up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from itp_events.alerts import alerts
from itp_events.duties import Duty
from itp_events.events import (
    OWN_SOURCE,
    SERVICE,
    Data,
    Event,
    EventKey,
    Exited,
    Flagged,
    Missed,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeSuperseded,
    NoticeWithdrawn,
    ProtocolAssigned,
    Reference,
    TreatmentStopped,
    Voided,
)
from itp_events.explain import day, days
from itp_events.facts import facts
from itp_events.ledger import Issue, again, named
from itp_events.protocol import Protocol
from itp_events.reminders import reminders, rungs
from itp_events.subject import Subject
from itp_events.view import StudyStatus, View, view
from itp_events.windows import Ending
from itp_events.withdrawal import missed_key


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
    events = (*_pinned(seen), *_decisions(seen), *_notices(seen, duties))
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


def _own(seen: View, key: str, data: Data) -> Event:
    return Event(key, OWN_SOURCE, seen.subject.code, seen.now, data)


def _pinned(seen: View) -> Iterator[Event]:
    """An enrolment pins the subject to the protocol version of its day; later versions are assigned."""
    if seen.subject.ledger.pinned is None:
        version = seen.protocol.version
        data = ProtocolAssigned(by=SERVICE, version=version, reason="current at enrolment")
        yield _own(seen, f"{seen.subject.code}/protocol", data)


def _decisions(seen: View) -> Iterator[Event]:
    """Misses, flags, stops and exits that are not recorded yet, and voids of those that no longer hold."""
    recorded = seen.subject.ledger.decisions
    standing = dict(_standing(seen))
    for key, entry in recorded.items():
        if entry.stands and standing.get(key) != entry.event.data:
            reference = Reference(source=OWN_SOURCE, id=entry.event.id)
            why = "the facts it stood on no longer hold"
            yield _own(seen, f"{entry.event.id}~void", Voided(by=SERVICE, event=reference, reason=why))
    for key, data in standing.items():
        before = recorded.get(key)
        if before is None or not before.stands or before.event.data != data:
            yield _own(seen, again(before.event.id) if before else key, data)


def _standing(seen: View) -> Iterator[tuple[str, Data]]:
    subject = seen.subject
    for planned in seen.visits:
        if planned.missed_by_service:
            reason = "exit" if planned.by_exit else f"not recorded; window closed on {day(planned.closes)}"
            yield missed_key(subject, planned)[1], Missed(by=SERVICE, visit=planned.code, reason=reason)
    for flag in seen.flags:
        key = f"{subject.code}/flagged/{flag.criterion}/{named(flag.event)}"
        because = _reference(flag.event)
        yield key, Flagged(by=SERVICE, criterion=flag.criterion, on=flag.on, because=because)
    if seen.stopped:
        yield f"{subject.code}/stopped/{named(seen.stopped.event.key)}", _stopped(seen.stopped)
    if seen.exit:
        yield f"{subject.code}/exited/{named(seen.exit.event.key)}", _exited(seen.exit)


def _reference(key: EventKey) -> Reference:
    return Reference(source=key[0], id=key[1])


def _stopped(end: Ending) -> TreatmentStopped:
    return TreatmentStopped(
        by=SERVICE,
        criterion=end.criterion or "",
        on=end.on,
        decode=end.decode,
        term=end.term,
        because=end.event.reference,
    )


def _exited(end: Ending) -> Exited:
    return Exited(
        by=SERVICE,
        criterion=end.criterion,
        on=end.on,
        decode=end.decode,
        term=end.term,
        because=end.event.reference,
    )


def _notices(seen: View, duties: Iterable[Duty]) -> Iterator[Event]:
    valid = {duty.key: duty for duty in duties}
    yield from _ended(seen, valid)
    for key, duty in valid.items():
        issue = seen.subject.ledger.issues.get(key)
        if duty.stands(seen.now):
            if issue is None or issue.status != "issued":
                yield _issued(seen, duty, issue)
        elif issue is None and _overdue_reminder(seen, duty):
            data = NoticeSuperseded(by=SERVICE, notice=key, step=duty.step)
            yield _own(seen, f"{key}~superseded", data)


def _overdue_reminder(seen: View, duty: Duty) -> bool:
    past = duty.due <= seen.now and duty.kind == "reminder"
    return past and duty.key not in seen.subject.ledger.superseded


def _issued(seen: View, duty: Duty, issue: Issue | None) -> Event:
    if issue and issue.status == "withdrawn":
        return _touch(seen, issue, NoticeReopened(by=SERVICE, notice=issue.row))
    row = again(issue.row) if issue else duty.key
    return _own(seen, row, notice(seen, duty, row))


def notice(seen: View, duty: Duty, row: str) -> NoticeIssued:
    """The notice that a duty asks for, under its key in the outbox."""
    return NoticeIssued(
        by=SERVICE,
        notice=row,
        kind=duty.kind,
        visit=duty.visit,
        step=duty.step,
        audience=duty.audience,
        due=duty.due,
        until=duty.until,
        facts=facts(seen, duty),
    )


def _ended(seen: View, valid: dict[str, Duty]) -> Iterator[Event]:
    """Notices that are no longer to be sent, and those whose duty ended after they were handed over."""
    for key, issue in seen.subject.ledger.issues.items():
        if issue.status != "issued" or (key in valid and valid[key].stands(seen.now)):
            continue
        if issue.row not in seen.subject.handed:
            reason = _why_ended(seen, issue, valid.get(key))
            yield _touch(seen, issue, NoticeWithdrawn(by=SERVICE, notice=issue.row, reason=reason))
        elif key not in valid and (issue.notice.until is None or seen.now < issue.notice.until):
            # It could become due again: the log must know that what was sent was contradicted.
            reason = _why_ended(seen, issue, None)
            yield _touch(seen, issue, NoticeClosed(by=SERVICE, notice=issue.row, reason=reason))


def _touch(seen: View, issue: Issue, data: Data) -> Event:
    return _own(seen, f"{issue.row}~{issue.touched}", data)


def _why_ended(seen: View, issue: Issue, duty: Duty | None) -> str:
    if duty or (issue.notice.until and issue.notice.until <= seen.now):
        return "no longer of use" if issue.notice.kind == "reminder" else "a newer one is due"
    planned = next((each for each in seen.visits if each.code == issue.notice.visit), None)
    if planned is None:
        return "what it stood on no longer holds"
    if planned.outcome:
        return f"{planned.code} is {planned.outcome}"
    if seen.on_hold and planned.visit.epoch == "treatment":
        return f"on hold: {seen.open_flags[0].criterion}"
    return f"the date of {planned.code} changed to {day(planned.day)}"


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
    if seen.open_flags:
        flag = seen.open_flags[0]
        return f"since {day(flag.on)}; the investigator must decide"
    planned = seen.current
    if planned is None or seen.awaiting_disposition:
        last = seen.visits[-1]
        return f"{last.code} was {last.outcome}; the investigator must choose a disposition"
    booked = f", booked for {day(planned.booked)}" if planned.booked else ""
    return f"{days(planned.opens, planned.closes)}, target {day(planned.target)}{booked}"


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
