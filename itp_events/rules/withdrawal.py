"""Withdrawal criteria: the met criteria that raise flags, and the ends of treatment and of participation.

This module records nothing. None of the criteria is in the synopsis: all are GCP practice, to be confirmed by
the site. Each is an entry of the protocol file plus one small function here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

from itp_events.events import (
    AdverseEvent,
    Completed,
    ConsentWithdrawn,
    ContactAttempted,
    Died,
    Event,
    EventKey,
    MedicationChanged,
    Pregnancy,
    Unscheduled,
    WithdrawalDecided,
)
from itp_events.protocol.model import Criterion, Protocol
from itp_events.rules.corrections import flagged
from itp_events.rules.keys import missed_key, silent_key
from itp_events.rules.subject import Subject, as_data
from itp_events.rules.windows import Ending, PlannedVisit

COMPLETED = "COMPLETED"
INVESTIGATOR = "investigator-decision"
LOST = "lost-to-follow-up"
MISSED_INFUSIONS = "missed-infusions"


@dataclass(frozen=True, slots=True)
class MetCriterion:
    """A criterion that is met: known since the instant `at` (UTC), on the site-local date `on`.

    `event` identifies the report with which it began. `fact` is the event that states it today; it is None
    when the service counted it itself.
    """

    criterion: str
    at: datetime
    on: date
    event: EventKey
    fact: Event | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A criterion that waits for the investigator, or waited until `decision`.

    `decided_at` is the instant (UTC) since which the decision is known. The other fields are as in
    MetCriterion.
    """

    criterion: str
    at: datetime
    on: date
    event: EventKey
    fact: Event | None = None
    decision: Event | None = None
    decided_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether the investigator has not decided yet."""
        return self.decision is None


@dataclass(frozen=True, slots=True)
class _Known:
    protocol: Protocol
    subject: Subject
    visits: Sequence[PlannedVisit]


def met_criteria(subject: Subject, visits: Sequence[PlannedVisit]) -> list[MetCriterion]:
    """The criteria met that raise a flag, in order of time; some may lie in the future.

    Each is judged by the version that held when it was met. A criterion that only a later version has, and
    that was met before, counts from the assignment of that version.
    """
    met: dict[tuple[str, EventKey], MetCriterion] = {}
    for period, later in zip(subject.periods, [*subject.periods[1:], None], strict=True):
        for one in _met_under(_Known(period.protocol, subject, visits)):
            at = max(one.at, period.since) if period.since else one.at
            if later is None or later.since is None or at < later.since:
                met.setdefault((one.criterion, one.event), replace(one, at=at))
    return sorted(met.values(), key=lambda one: (one.at, one.criterion, one.event))


def _met_under(known: _Known) -> Iterator[MetCriterion]:
    """The criteria met by one version alone."""
    for criterion in known.protocol.withdrawal:
        if criterion.effect == "flag":
            yield from _CONDITIONS[criterion.criterion](criterion, known)


def flags(subject: Subject, met: Sequence[MetCriterion]) -> list[Flag]:
    """The flags that met criteria raise, in their order.

    A decision clears a flag for the facts known by then; a later one raises a new flag.
    """
    raised: list[Flag] = []
    for one in met:
        covered = any(
            flag.criterion == one.criterion and (flag.decided_at is None or one.at <= flag.decided_at)
            for flag in raised
        )
        if not covered:
            decision = _answer(subject, one)
            decided_at = subject.known_since(decision) if decision else None
            raised.append(_flag(one, decision, decided_at))
    return raised


def _flag(one: MetCriterion, decision: Event | None, decided_at: datetime | None) -> Flag:
    return Flag(one.criterion, one.at, one.on, one.event, one.fact, decision, decided_at)


def _answer(subject: Subject, one: MetCriterion) -> Event | None:
    """The first decision that answers a met criterion; None while there is none."""
    answers = (
        event
        for event in subject.of(WithdrawalDecided)
        if subject.known_since(event) >= one.at
        and as_data(event, WithdrawalDecided).criterion in (None, one.criterion)
    )
    return min(answers, key=lambda event: (subject.known_since(event), event.key), default=None)


def _adverse_events(criterion: Criterion, known: _Known) -> Iterator[MetCriterion]:
    for event in known.subject.of(AdverseEvent):
        ae = as_data(event, AdverseEvent)
        if ae.related and (ae.serious or ae.grade >= (criterion.grade or 0)):
            origin = known.subject.origin(event, flagged)
            yield MetCriterion(criterion.criterion, origin.time, ae.on, origin.key, event)


def _medication(kind: str) -> Callable[[Criterion, _Known], Iterator[MetCriterion]]:
    def changed(criterion: Criterion, known: _Known) -> Iterator[MetCriterion]:
        for event in known.subject.of(MedicationChanged):
            data = as_data(event, MedicationChanged)
            if data.kind == kind:
                origin = known.subject.origin(event)
                yield MetCriterion(criterion.criterion, origin.time, data.on, origin.key, event)

    return changed


def _missed_infusions(criterion: Criterion, known: _Known) -> Iterator[MetCriterion]:
    missed: list[PlannedVisit] = []
    for planned in known.visits:
        if planned.visit.epoch != "treatment" or planned.outcome != "missed" or planned.by_exit:
            missed = []
            continue
        missed.append(planned)
        enough = missed[-(criterion.in_a_row or 1) :]
        if len(missed) >= (criterion.in_a_row or 1):
            # Only these misses count: an earlier miss that becomes known later undoes no flag.
            at = max(each.known_at for each in enough if each.known_at)
            on = known.subject.site.date_of(at)
            yield MetCriterion(criterion.criterion, at, on, _miss(known.subject, planned), planned.event)


def _miss(subject: Subject, planned: PlannedVisit) -> EventKey:
    if planned.event:
        return subject.origin(planned.event).key
    return missed_key(subject.code, planned.code, planned.target)


class _Span(NamedTuple):
    """A time during which a condition holds, from `since` to `until` (UTC; None: still)."""

    since: datetime
    until: datetime | None
    event: EventKey
    fact: Event | None = None

    def during(self, instant: datetime) -> bool:
        return self.since <= instant and (self.until is None or instant < self.until)


def _lost(criterion: Criterion, known: _Known) -> Iterator[MetCriterion]:
    """Each attempt or silent visit with which both conditions begin to hold; their end takes no flag back."""
    tried = list(_unreached(criterion, known.subject))
    silent = list(_silent(criterion, known))
    for span, others in [*((each, silent) for each in tried), *((each, tried) for each in silent)]:
        if any(other.during(span.since) for other in others):
            on = known.subject.site.date_of(span.since)
            yield MetCriterion(criterion.criterion, span.since, on, span.event, span.fact)


def _unreached(criterion: Criterion, subject: Subject) -> Iterator[_Span]:
    """The times from each attempt with which enough are known, until the subject is reached or attends.

    Attempts count by their dates, from the instants at which they become known: an attempt that is entered
    late may be the one that makes them enough, whatever its date.
    """
    enough = criterion.attempts or 1
    for attempts, answer in _runs(subject):
        if len(attempts) < enough:
            continue
        until = subject.known_since(answer) if answer else None
        known = sorted(attempts, key=lambda each: (subject.known_since(each), each.key))
        for attempt in known[enough - 1 :]:
            origin = subject.origin(attempt)
            if until is None or origin.time < until:
                yield _Span(origin.time, until, origin.key, attempt)


def _runs(subject: Subject) -> Iterator[tuple[list[Event], Event | None]]:
    """Each run of attempts on different days that reached nobody, with the event that ended it."""
    attempts = subject.of(ContactAttempted)
    # Each event of a long history is judged on all before it: what says nothing here is not put in order.
    if all(as_data(each, ContactAttempted).reached for each in attempts):
        return
    days: dict[date, Event] = {}
    # An event restated unchanged keeps its place.
    for event in sorted(
        [*attempts, *subject.of(Completed), *subject.of(Unscheduled)],
        key=lambda each: (subject.happened(each), subject.known_since(each), each.key),
    ):
        data = event.data
        if isinstance(data, ContactAttempted) and not data.reached:
            # Of several attempts on one day, the one known first makes the day count.
            days[data.on] = min(
                days.get(data.on, event), event, key=lambda each: (subject.known_since(each), each.key)
            )
        elif isinstance(data, ContactAttempted | Completed | Unscheduled) and days:
            yield list(days.values()), event
            days.clear()
    yield list(days.values()), None


def _silent(criterion: Criterion, known: _Known) -> Iterator[_Span]:
    """The times during which nothing was recorded of a visit although its window had closed long before."""
    site = known.subject.site
    for planned in known.visits:
        if planned.anchor.known_at is None:
            continue
        ready = planned.closes + timedelta(days=criterion.days_after_close or 0)
        since = max(site.at(ready, known.protocol.notices_at), planned.anchor.known_at)
        in_time = planned.on is not None and planned.on <= ready
        until = None if planned.missed_by_service else planned.known_at
        if not in_time and (until is None or since < until):
            yield _Span(since, until, silent_key(known.subject.code, planned.code, planned.target))


_CONDITIONS: dict[str, Callable[[Criterion, _Known], Iterator[MetCriterion]]] = {
    "adverse-event": _adverse_events,
    "rescue-medication": _medication("rescue"),
    "prohibited-medication": _medication("prohibited"),
    "maintenance-changed": _medication("maintenance"),
    "missed-infusions": _missed_infusions,
    "lost-to-follow-up": _lost,
}

# The criteria that this program can find met by itself.
FLAGGED = frozenset(_CONDITIONS)


def stops(subject: Subject, raised: Sequence[Flag] = ()) -> list[Ending]:
    """The stops of treatment after which follow-up goes on, in the study's order.

    A stop follows from the events stated alone; `raised` adds the criterion that it answers.
    """
    endings = [
        _ending(subject, event, "consent-withdrawn", "Consent withdrawn for treatment")
        for event in subject.of(ConsentWithdrawn)
        if as_data(event, ConsentWithdrawn).scope == "treatment"
    ]
    endings += [
        _ending(subject, event, "pregnancy", "Pregnancy")
        for event in subject.of(Pregnancy)
        if not as_data(event, Pregnancy).partner
    ]
    endings += _decided(subject, raised, "stop-treatment")
    return sorted(endings, key=lambda ending: ending.order)


def exits(subject: Subject, raised: Sequence[Flag] = (), visits: Sequence[PlannedVisit] = ()) -> list[Ending]:
    """The ends of participation, in the study's order: early exits, and the last visit of the protocol.

    An end follows from the events stated alone; `raised` and `visits` add the criterion that it answers.
    """
    endings = [
        _ending(subject, event, "consent-withdrawn", "Consent withdrawn for the study")
        for event in subject.of(ConsentWithdrawn)
        if as_data(event, ConsentWithdrawn).scope == "study"
    ]
    endings += [_ending(subject, event, "death", "Death") for event in subject.of(Died)]
    lost = bool(visits) and visits[-1].outcome == "missed" and not visits[-1].by_exit
    endings += _decided(subject, raised, "withdraw", LOST if lost else INVESTIGATOR)
    endings += [_completed(subject, event) for event in _decisions(subject, "complete")]
    if last := subject.completed.get(subject.protocol.visits[-1].code):
        ending = _completed(subject, last)
        endings.append(replace(ending, at=max(ending.at, _last_since(subject) or ending.at)))
    return sorted(endings, key=lambda ending: ending.order)


def _last_since(subject: Subject) -> datetime | None:
    """The instant (UTC) since which the protocol's last visit is the last one; None: from the beginning."""
    last, since = subject.protocol.visits[-1].code, None
    for period in reversed(subject.periods):
        if period.protocol.visits[-1].code != last:
            break
        since = period.since
    return since


def _completed(subject: Subject, event: Event) -> Ending:
    origin = subject.origin(event)
    return Ending(subject.happened(event), origin.time, COMPLETED, "Completed", None, event, origin.key)


def _ending(subject: Subject, event: Event, criterion: str, term: str) -> Ending:
    guardian = isinstance(event.data, ConsentWithdrawn) and event.data.guardian
    origin = subject.origin(event)
    rule = subject.protocol_at(subject.happened(event), origin.time).criteria[criterion]
    decode = rule.guardian_decode if guardian and rule.guardian_decode else rule.decode
    return Ending(subject.happened(event), origin.time, decode, term, criterion, event, origin.key)


def _decisions(subject: Subject, decision: str) -> list[Event]:
    return [
        event
        for event in subject.of(WithdrawalDecided)
        if as_data(event, WithdrawalDecided).decision == decision
    ]


def _decided(
    subject: Subject,
    raised: Sequence[Flag],
    decision: str,
    otherwise: str = INVESTIGATOR,
) -> Iterator[Ending]:
    for event in _decisions(subject, decision):
        data = as_data(event, WithdrawalDecided)
        answered = [flag.criterion for flag in raised if flag.decision and flag.decision.key == event.key]
        criterion = data.criterion or next(iter(answered), otherwise)
        origin = subject.origin(event)
        criteria = subject.protocol_at(data.on, origin.time).criteria
        decode = data.decode or criteria.get(criterion, criteria[INVESTIGATOR]).decode
        yield Ending(data.on, origin.time, decode, data.reason, criterion, event, origin.key)


def nothing_given(
    subject: Subject,
    raised: Sequence[Flag],
    visits: Sequence[PlannedVisit],
    stop: Ending | None,
) -> Ending | None:
    """The exit of a subject without any infusion, when none is left to give; None for any other subject.

    It rests on the infusions that a stop cancelled, or on misses from before any exit. `visits` must be those
    that hold without this exit, so that it never rests on its own consequences.
    """
    infusions = [planned for planned in visits if planned.visit.epoch == "treatment"]
    if any(planned.outcome in (None, "completed") or planned.by_exit for planned in infusions):
        return None
    if stop:
        return stop
    answers = [flag for flag in raised if flag.criterion == MISSED_INFUSIONS]
    decision, decided_at = (answers[-1].decision, answers[-1].decided_at) if answers else (None, None)
    if not decision or not decided_at or any(planned.outcome == "cancelled" for planned in infusions):
        return None
    rule = subject.protocol.criteria[MISSED_INFUSIONS]
    term = "No infusion was given and none is left"
    # Not before the last miss: a decision may be dated back, and no exit may undo the misses it rests on.
    known = max(planned.known_at for planned in infusions if planned.known_at)
    on = max(subject.happened(decision), subject.site.date_of(known))
    origin = subject.origin(decision).key
    return Ending(on, max(decided_at, known), rule.decode, term, rule.criterion, decision, origin)
