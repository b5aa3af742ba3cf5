"""decide(): the events that the service must record for a subject at an instant.

This module reads no clock and no database, and sends nothing. decide() is pure and level-triggered: it
compares the subject's state at `now` with the decisions in the log, and returns the difference as events.
Deciding once too often changes nothing; deciding late catches up.
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
from itp_events.notices.participants import participant_reminders
from itp_events.notices.reconcile import own, reconcile_notices
from itp_events.notices.reminders import reminders, rungs
from itp_events.notices.wanted import WantedNotice
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.explain import day, days, missed
from itp_events.rules.keys import bounded, decision_id, missed_key, named, next_key
from itp_events.rules.state import StudyStatus, SubjectState, subject_state
from itp_events.rules.subject import Subject
from itp_events.rules.windows import Ending

# The service's reason for the version that it assigns itself.
CURRENT = "current at enrolment"


@dataclass(frozen=True)
class Decision:
    """The events to record now, the values to show, and the next instant at which anything could change.

    `state` and `message` are the phase and its details in words; `status` and `tags` are names of the
    contract. `wake_at` is in UTC; None: nothing will change by itself any more.
    """

    events: tuple[Event, ...]
    state: str
    message: str
    status: StudyStatus
    wake_at: datetime | None
    tags: tuple[str, ...]
    exited: bool
    subject_state: SubjectState
    wanted_notices: tuple[WantedNotice, ...]

    def due(self) -> tuple[WantedNotice, ...]:
        """The wanted notices that are due and of use at the instant of the decision."""
        return tuple(wanted for wanted in self.wanted_notices if wanted.stands(self.subject_state.now))


def decide(subject: Subject, now: datetime) -> Decision:
    """The decision for `subject` at `now`, an aware instant; `subject` must be folded from its whole log."""
    state = subject_state(subject, now)
    wanted_notices = (
        *reminders(state),
        *participant_reminders(state),
        *rungs(state),
        *alerts(state),
    )
    events = (*_pinned(state), *_decisions(state), *reconcile_notices(state, wanted_notices))
    return Decision(
        events,
        state.phase,
        _message(state),
        state.status,
        wake_at(state, wanted_notices),
        _tags(state, wanted_notices),
        state.exit is not None,
        state,
        wanted_notices,
    )


def _pinned(state: SubjectState) -> Iterator[Event]:
    """The assignment of the protocol version that is current at enrolment; people assign later ones."""
    if state.subject.decision_log.pinned is None:
        version = state.subject.periods[0].protocol.version
        data = ProtocolAssigned(by=SERVICE, version=version, reason=CURRENT)
        yield own(state, f"{state.subject.code}/protocol", data)


def _decisions(state: SubjectState) -> Iterator[Event]:
    """Misses, flags, stops and exits that are not recorded yet, and voids of those that no longer hold."""
    recorded = state.subject.decision_log.decisions
    holding = dict(_holding(state))
    for key, entry in recorded.items():
        if entry.stands and holding.get(key) != entry.event.data:
            reference = Reference(source=OWN_SOURCE, id=entry.event.id)
            why = "the facts it stood on no longer hold"
            yield own(
                state, decision_id(entry.event.id, "void"), Voided(by=SERVICE, event=reference, reason=why)
            )
    for key, data in holding.items():
        before = recorded.get(key)
        if before is None or not before.stands or before.event.data != data:
            yield own(state, next_key(before.event.id) if before else key, data)


def _holding(state: SubjectState) -> Iterator[tuple[str, Data]]:
    """The misses, flags, stop and exit that hold now, by their stable keys."""
    subject = state.subject
    for planned in state.visits:
        if planned.missed_by_service:
            data = Missed(by=SERVICE, visit=planned.code, reason=missed(planned))
            yield missed_key(subject.code, planned.code, planned.target)[1], data
    for flag in state.flags:
        key = bounded(f"{subject.code}/flagged/{flag.criterion}/{named(flag.event)}")
        because = _reference(flag.event)
        yield key, Flagged(by=SERVICE, criterion=flag.criterion, on=flag.on, because=because)
    if state.effective_stop:
        yield (
            bounded(f"{subject.code}/stopped/{named(state.effective_stop.origin)}"),
            _stopped(state.effective_stop),
        )
    if state.exit:
        yield bounded(f"{subject.code}/exited/{named(state.exit.origin)}"), _exited(state.exit)


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


def wake_at(state: SubjectState, wanted_notices: Iterable[WantedNotice]) -> datetime | None:
    """The next instant (UTC) at which a notice comes due or a date passes that could change anything.

    None when there is no such instant. A reminder that could not leave while it was of use is withdrawn at
    the very instant at which its use ends. An alert is of use until the next one is due.
    """
    wanted_notices = tuple(wanted_notices)
    ahead = [wanted.due for wanted in wanted_notices if wanted.due > state.now]
    ahead += [wanted.until for wanted in wanted_notices if wanted.until and wanted.kind == "reminder"]
    if state.exit is None:
        ahead += [*_edges(state), *state.ahead]
    return min((instant for instant in ahead if instant > state.now), default=None)


def _edges(state: SubjectState) -> Iterator[datetime]:
    """The instants (UTC) at which windows open and close and the service would count a visit as missed."""
    site = state.subject.site
    for planned in state.visits:
        if planned.outcome is None and planned.firm:
            yield site.midnight(planned.opens)
            yield site.midnight(planned.closes + timedelta(days=1))
            if planned.climb and planned.climb.missed_at:
                yield planned.climb.missed_at


def _message(state: SubjectState) -> str:
    if state.exit:
        return f"on {day(state.exit.on)}: {state.exit.term}"
    if state.unrecorded_death:
        since = day(state.subject.site.date_of(state.unrecorded_death.since))
        return f"since {since}; a fatal adverse event stands and no death is recorded"
    if state.open_flags:
        flag = state.open_flags[0]
        return f"since {day(state.subject.site.date_of(flag.at))}; the investigator must decide"
    planned = state.current
    if planned is None or state.awaiting_disposition:
        last = state.visits[-1]
        return f"{last.code} was {last.outcome}; the investigator must choose a disposition"
    booked = f", booked for {day(planned.booked)}" if planned.booked else ""
    window = marks.marked(days(planned.opens, planned.closes), window_assumed(planned, state.visits))
    target = marks.marked(day(planned.target), target_assumed(planned, state.visits))
    return f"{window}, target {target}{booked}"


def _tags(state: SubjectState, wanted_notices: Iterable[WantedNotice]) -> tuple[str, ...]:
    epoch = "follow-up" if state.treatment_ended else "treatment"
    tags = [f"site:{state.subject.enrolled.site}", f"epoch:{epoch}", f"phase:{state.status}"]
    if any(planned.status(state.today) == "overdue" for planned in state.visits):
        tags.append("overdue")
    if any(wanted.kind == "escalation" and wanted.stands(state.now) for wanted in wanted_notices):
        tags.append("escalated")
    if state.on_hold:
        tags.append("on-hold")
    if state.on_hold or state.awaiting_disposition:
        tags.append("waits:investigator")
    return tuple(tags)
