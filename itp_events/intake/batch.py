"""Judging a batch of one subject's events: each is accepted, known already, or refused by itself.

This module holds no rule of the study (rules.py does) and stores nothing. The events of a batch are judged in
the order of their dates, then of their reports, then of their positions. A void and its restatement in one
batch are both accepted, or neither is. They are judged together, unless the restatement was reported later
and its date comes behind the void.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from itp_events.errors import ItpError, Refused
from itp_events.events import Enrolled, Event, EventKey, Voided
from itp_events.intake.context import IntakeContext
from itp_events.intake.rules import check_aware_before_report, check_permitted
from itp_events.protocol.model import Protocol, Site
from itp_events.rules.corrections import TOGETHER, restatements, voided_key
from itp_events.rules.explain import day
from itp_events.rules.subject import Subject, as_data, happened, not_voided

_Place = tuple[date, datetime, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one event: accepted, known already, or refused with the reason `error`."""

    event: Event
    status: Literal["accepted", "known", "refused"]
    error: ItpError | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict per event in the batch's order, and the accepted events in the order to append them."""

    verdicts: tuple[Verdict, ...]
    accepted: tuple[Event, ...]


def judge(
    protocol: Protocol,
    history: Sequence[Event],
    batch: Sequence[Event],
    now: datetime,
    barred: Mapping[EventKey, ItpError] = MappingProxyType({}),
    tolerance: timedelta = timedelta(0),
    elsewhere: Mapping[EventKey, Event] = MappingProxyType({}),
) -> Judgement:
    """The judgement on a batch of one subject's events, given the subject's log, at `now`, an aware instant.

    `barred` holds events to refuse, each with its error; an event that would be recorded together with one of
    them is refused too. A time that is ahead of `now` by at most `tolerance` counts as `now`. `elsewhere`
    holds events of other subjects' logs that have the source and id of an event of the batch.
    """
    conditions = _Conditions(protocol, now, barred, tolerance, elsewhere)
    firsts = _firsts(batch)
    places = sorted(set(firsts))
    verdicts, accepted = _judge_each_once(conditions, history, [batch[place] for place in places])
    verdict_at = dict(zip(places, verdicts, strict=True))
    shared = (
        verdict_at[first] if first == place else _of_copy(verdict_at[first])
        for place, first in enumerate(firsts)
    )
    return Judgement(tuple(shared), accepted)


def _firsts(batch: Sequence[Event]) -> list[int]:
    """For each position of a batch, the position of the first event with its source, id and content."""
    firsts: dict[tuple[object, ...], int] = {}
    return [
        firsts.setdefault((event.key, event.time, _content(event)), place)
        for place, event in enumerate(batch)
    ]


def _of_copy(verdict: Verdict) -> Verdict:
    """The verdict on a second copy of an event in a batch: known when the first is accepted, else as it."""
    return replace(verdict, status="known") if verdict.status == "accepted" else verdict


def _judge_each_once(
    conditions: _Conditions, history: Sequence[Event], batch: Sequence[Event]
) -> tuple[list[Verdict], tuple[Event, ...]]:
    """The verdicts on a batch without copies, and its accepted events in the order to append them."""
    turns = _turns(conditions.protocol, history, batch, conditions.barred)
    undone: dict[int, Verdict] = {}
    while True:
        growing = _GrowingLog(list(history), {event.key: event for event in history})
        verdicts = _judged(conditions, growing, turns, batch, undone)
        more = {place: verdict for place, verdict in _undone(verdicts, turns) if place not in undone}
        if not more:
            break
        undone |= more
    return [verdicts[position] for position in range(len(batch))], tuple(growing.log[len(history) :])


@dataclass(frozen=True, slots=True)
class _Conditions:
    """The conditions, the same for every event of a batch, under which it is judged."""

    protocol: Protocol
    now: datetime
    barred: Mapping[EventKey, ItpError]
    tolerance: timedelta
    elsewhere: Mapping[EventKey, Event]


@dataclass(slots=True)
class _GrowingLog:
    """A log that grows with each accepted event.

    `named` holds its events by source and id. `subject` is the subject that it gives, None while not folded.
    """

    log: list[Event]
    named: dict[EventKey, Event]
    subject: Subject | None = None

    def context(self, conditions: _Conditions) -> IntakeContext:
        return IntakeContext(conditions.protocol, self.log, conditions.now, self.subject)

    def accept(self, event: Event, judged: IntakeContext) -> None:
        folded = judged.subject if judged.enrolled else None
        self.log = [*self.log, event]
        self.named = {**self.named, event.key: event}
        # Each event is folded in as it comes, so that a batch costs no more than its length.
        self.subject = folded.stating(self.log) if folded else None

    def take(self, trial: _GrowingLog) -> None:
        self.log, self.named, self.subject = trial.log, trial.named, trial.subject


def _judged(
    conditions: _Conditions,
    growing: _GrowingLog,
    turns: _Turns,
    batch: Sequence[Event],
    undone: Mapping[int, Verdict],
) -> dict[int, Verdict]:
    """The verdict on each position of a batch; the verdicts of `undone` stay."""
    verdicts_by_place = dict(undone)
    for unit in turns.units:
        if unit[0] not in undone:
            verdicts = _judge_unit(conditions, growing, [batch[position] for position in unit])
            verdicts_by_place |= dict(zip(unit, verdicts, strict=True))
    return verdicts_by_place


def _undone(verdicts: Mapping[int, Verdict], turns: _Turns) -> Iterator[tuple[int, Verdict]]:
    """The verdicts on each accepted void whose later restatement is refused, and on that restatement.

    The refusal takes the void with it.
    """
    for void, restated in turns.later.items():
        if verdicts[restated].status == "refused" and verdicts[void].status == "accepted":
            yield void, _fallen(verdicts[void], verdicts[restated])
            yield restated, verdicts[restated]


def _judge_unit(conditions: _Conditions, growing: _GrowingLog, unit: list[Event]) -> list[Verdict]:
    trial = replace(growing)
    verdicts = [_judge_one(conditions, trial, event) for event in _noted(unit)]
    if verdicts[0].status == "refused" and unit[1:] and unit[0].key not in conditions.barred:
        # A refused void has no restatement, so that the other event is judged by itself. A barred void is
        # different: the event to correct still stands, and its correction would state it twice.
        return [verdicts[0], *_judge_unit(conditions, growing, unit[1:])]
    refused = _first_refused(verdicts)
    if refused is None and _loses_enrolment(growing.log, trial.log):
        verdicts = [_without_enrolment(verdict) for verdict in verdicts]
        refused = _first_refused(verdicts)
    if refused is None:
        growing.take(trial)
        return verdicts
    return [verdict if verdict.status == "refused" else _fallen(verdict, refused) for verdict in verdicts]


def _noted(unit: Sequence[Event]) -> Iterator[Event]:
    """The events of a unit; one that was reported together with a void is noted as its restatement."""
    yield unit[0]
    for restated in unit[1:]:
        together = abs(restated.time - unit[0].time) <= TOGETHER
        yield replace(restated, restates=voided_key(unit[0])) if together else restated


def _first_refused(verdicts: Sequence[Verdict]) -> Verdict | None:
    return next((verdict for verdict in verdicts if verdict.status == "refused"), None)


def _loses_enrolment(log: Sequence[Event], trial: Sequence[Event]) -> bool:
    voided = any(isinstance(event.data, Voided) for event in trial[len(log) :])
    return voided and not any(isinstance(event.data, Enrolled) for event in not_voided(trial))


def _without_enrolment(verdict: Verdict) -> Verdict:
    if verdict.status != "accepted":
        return verdict
    subject = verdict.event.subject
    why = f"{subject} would have no enrolment; send the void and the corrected enrolment in one batch"
    return Verdict(verdict.event, "refused", Refused("void", why))


def _fallen(verdict: Verdict, refused: Verdict) -> Verdict:
    if verdict.status == "known":
        return verdict
    why = f"refused together with (source {refused.event.source}, id {refused.event.id}): {refused.error}"
    return Verdict(verdict.event, "refused", Refused("together", why))


def _judge_one(conditions: _Conditions, growing: _GrowingLog, event: Event) -> Verdict:
    if event.key in conditions.barred:
        return Verdict(event, "refused", conditions.barred[event.key])
    same = growing.named.get(event.key) or conditions.elsewhere.get(event.key)
    if same is not None:
        return _named_before(event, same, conditions.tolerance)
    counted, context = _as_recorded(conditions, event), growing.context(conditions)
    try:
        check_aware_before_report(event)
        check_permitted(context, counted)
    except ItpError as error:
        return Verdict(event, "refused", error)
    growing.accept(counted, context)
    return Verdict(event, "accepted")


def _as_recorded(conditions: _Conditions, event: Event) -> Event:
    """The event as it is recorded: a time that is ahead by at most the tolerance becomes `now`."""
    ahead = conditions.now < event.time <= conditions.now + conditions.tolerance
    return replace(event, time=conditions.now) if ahead else event


def _named_before(event: Event, same: Event, tolerance: timedelta) -> Verdict:
    """The verdict on an event with the source and id of `same`: known, or refused for other content."""
    if _says_the_same(event, same, tolerance):
        return Verdict(event, "known")
    on = f" of {day(on)}" if isinstance(on := getattr(same.data, "on", None), date) else ""
    visit = getattr(same.data, "visit", None)
    what = f"{same.type}{f' of {visit}' if visit else ''}{on} for {same.subject}"
    why = f"source {event.source}, id {event.id} names {what} already; give other content an id of its own"
    return Verdict(event, "refused", Refused("id-reused", why))


def _says_the_same(event: Event, known: Event, tolerance: timedelta) -> bool:
    """Whether two events with one source and id have the same content: type, subject, time and data.

    A sender's clock may have been ahead by the tolerance: the event was then recorded with the instant of
    recording.
    """
    same_time = known.time <= event.time <= known.time + tolerance
    return same_time and _content(event) == _content(known)


def _content(event: Event) -> tuple[str, str, str]:
    # Compared as JSON, in which `true` and 1 differ, as they do for the sender.
    return event.type, event.subject, json.dumps(event.to_json()["data"])


class _Turns(NamedTuple):
    """The units of a batch in the order of judging, and the voids whose restatement comes later.

    A unit is one position, or two: a void and the restatement judged with it. `later` maps the position of
    such a void to that of its restatement.
    """

    units: list[list[int]]
    later: dict[int, int]


def _turns(
    protocol: Protocol, log: Sequence[Event], batch: Sequence[Event], barred: Collection[EventKey]
) -> _Turns:
    site = _site(protocol, [*log, *batch])
    paired = _pairs(log, batch)
    places = _places(site, batch, set(paired.values()))
    later = {
        void: restated
        for void, restated in paired.items()
        if batch[void].key not in barred and _on_its_own(batch, places, void, restated)
    }
    for void in later:
        del paired[void]
    behind = _behind(batch, paired, later)
    heads = {restated: void for void, restated in paired.items()}

    def turn(head: int) -> tuple[_Place, int]:
        """The place of a unit, never before a unit that it must follow, and the number of units before it."""
        own = places[paired.get(head, head)]
        before = [turn(heads.get(each, each)) for each in behind[head]]
        return max([own, *(place for place, _ in before)]), 1 + max((depth for _, depth in before), default=0)

    units = [[head, paired[head]] if head in paired else [head] for head in behind if head not in heads]
    return _Turns(sorted(units, key=lambda unit: turn(unit[0])), later)


def _on_its_own(batch: Sequence[Event], places: Sequence[_Place], void: int, restated: int) -> bool:
    """Whether a restatement was reported later than its void and comes behind it: it has its own turn."""
    together = abs(batch[restated].time - batch[void].time) <= TOGETHER
    # Without an enrolment between the two there would be no subject.
    enrolment = isinstance(batch[restated].data, Enrolled)
    return not together and not enrolment and places[restated] > places[void]


def _behind(
    batch: Sequence[Event], paired: Mapping[int, int], later: Mapping[int, int]
) -> dict[int, list[int]]:
    """For each position, the positions that must be judged before it.

    A void comes behind the event that it voids, and a later restatement behind its void. Of several events
    under one id, the first in the file is judged first.
    """
    first = {event.key: place for place, event in reversed(list(enumerate(batch)))}
    found: dict[int, list[int]] = {
        place: [] if first[event.key] == place else [first[event.key]] for place, event in enumerate(batch)
    }
    for void in [*paired, *later]:
        found[void] += [first[key] for key in (voided_key(batch[void]),) if key in first]
    for void, restated in later.items():
        found[restated].append(void)
    return found


def _places(site: Site, batch: Sequence[Event], restated: Collection[int]) -> list[_Place]:
    """The place of each event of a batch by itself: its date, the instant of its report, its position."""
    return [
        _place(site, event, position, first=isinstance(event.data, Enrolled) and position not in restated)
        for position, event in enumerate(batch)
    ]


def _place(site: Site, event: Event, position: int, *, first: bool) -> _Place:
    # No event can be judged before the enrolment, not even one between consent and that day. A correction of
    # the enrolment has its own date: infusions from before it are not judged by it.
    on = date.min if first else happened(site, event)
    return on, event.time.astimezone(UTC), position


def _site(protocol: Protocol, events: Sequence[Event]) -> Site:
    enrolments = [event for event in events if isinstance(event.data, Enrolled)]
    return protocol.site(as_data(enrolments[-1], Enrolled).site if enrolments else "default")


def _pairs(log: Sequence[Event], batch: Sequence[Event]) -> dict[int, int]:
    """The position of each void of a batch, with the position of its restatement in the same batch."""
    # Of several events under one id, the id may name the first only.
    positions = {event.key: place for place, event in reversed(list(enumerate(batch)))}
    fresh = [
        batch[place] for place in sorted(positions.values(), key=lambda place: (batch[place].time, place))
    ]
    known = {event.key: event for event in [*fresh, *log]}
    return {positions[each.void.key]: positions[each.restated.key] for each in restatements(fresh, known)}
