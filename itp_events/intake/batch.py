"""Letting events in: each of a batch is accepted or refused by itself, in the study's order.

A batch is ordered by the dates on which things happened, then by when they were reported, then by
position. A void and its restatement in one batch are both accepted or neither is. They are judged together,
unless the restatement was reported later and its date comes behind the void.
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
from itp_events.rules.subject import Subject, as_data, happened, standing

_Place = tuple[date, datetime, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event: accepted, known already, or refused with the reason."""

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
    """Judge a batch of one subject's events against its log at `now`, an aware instant.

    What is `barred` is refused with the error given, and so is what it would be recorded together with. A
    time that is ahead of `now` by no more than the `tolerance` counts as `now`. `elsewhere`: events of other
    logs that have the source and id of one of the batch.
    """
    court = _Court(protocol, now, barred, tolerance, elsewhere)
    turns = _turns(protocol, history, batch, barred)
    undone: dict[int, Verdict] = {}
    while True:
        docket = _Docket(list(history), {event.key: event for event in history})
        found = _judged(court, docket, turns, batch, undone)
        more = {place: verdict for place, verdict in _undone(found, turns) if place not in undone}
        if not more:
            break
        undone |= more
    accepted = tuple(docket.log[len(history) :])
    return Judgement(tuple(found[position] for position in range(len(batch))), accepted)


@dataclass(frozen=True, slots=True)
class _Court:
    """What every event of a batch is judged by, besides the log."""

    protocol: Protocol
    now: datetime
    barred: Mapping[EventKey, ItpError]
    tolerance: timedelta
    elsewhere: Mapping[EventKey, Event]


@dataclass(slots=True)
class _Docket:
    """A log as it grows with what is accepted, and the subject that it gives, once somebody asked for it."""

    log: list[Event]
    named: dict[EventKey, Event]
    subject: Subject | None = None

    def context(self, court: _Court) -> IntakeContext:
        return IntakeContext(court.protocol, self.log, court.now, self.subject)

    def accept(self, event: Event, judged: IntakeContext) -> None:
        folded = judged.subject if judged.enrolled else None
        self.log = [*self.log, event]
        self.named = {**self.named, event.key: event}
        # Folded as events come: a batch costs what is new in it, not its own square.
        self.subject = folded.stating(self.log) if folded else None

    def take(self, trial: _Docket) -> None:
        self.log, self.named, self.subject = trial.log, trial.named, trial.subject


def _judged(
    court: _Court, docket: _Docket, turns: _Turns, batch: Sequence[Event], undone: Mapping[int, Verdict]
) -> dict[int, Verdict]:
    """The verdict on each position of a batch; what is `undone` keeps its own."""
    found = dict(undone)
    for unit in turns.units:
        if unit[0] not in undone:
            verdicts = _judge_unit(court, docket, [batch[position] for position in unit])
            found |= dict(zip(unit, verdicts, strict=True))
    return found


def _undone(found: Mapping[int, Verdict], turns: _Turns) -> Iterator[tuple[int, Verdict]]:
    """Each void whose later restatement is refused, with that: the refusal takes the void with it."""
    for void, restated in turns.later.items():
        if found[restated].status == "refused" and found[void].status == "accepted":
            yield void, _fallen(found[void], found[restated])
            yield restated, found[restated]


def _judge_unit(court: _Court, docket: _Docket, unit: list[Event]) -> list[Verdict]:
    trial = replace(docket)
    verdicts = [_judge_one(court, trial, event) for event in _noted(unit)]
    if verdicts[0].status == "refused" and unit[1:] and unit[0].key not in court.barred:
        # What voids nothing has no restatement: the other event is judged by itself. Where the sender alone
        # may not void it, what they correct still stands, and their correction would state it twice.
        return [verdicts[0], *_judge_unit(court, docket, unit[1:])]
    refused = _first_refused(verdicts)
    if refused is None and _loses_enrolment(docket.log, trial.log):
        verdicts = [_without_enrolment(verdict) for verdict in verdicts]
        refused = _first_refused(verdicts)
    if refused is None:
        docket.take(trial)
        return verdicts
    return [verdict if verdict.status == "refused" else _fallen(verdict, refused) for verdict in verdicts]


def _noted(unit: Sequence[Event]) -> Iterator[Event]:
    """An event alone; or a void, and what was reported with it noted as the restatement of what it voids."""
    yield unit[0]
    for restated in unit[1:]:
        together = abs(restated.time - unit[0].time) <= TOGETHER
        yield replace(restated, restates=voided_key(unit[0])) if together else restated


def _first_refused(verdicts: Sequence[Verdict]) -> Verdict | None:
    return next((verdict for verdict in verdicts if verdict.status == "refused"), None)


def _loses_enrolment(log: Sequence[Event], trial: Sequence[Event]) -> bool:
    voided = any(isinstance(event.data, Voided) for event in trial[len(log) :])
    return voided and not any(isinstance(event.data, Enrolled) for event in standing(trial))


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


def _judge_one(court: _Court, docket: _Docket, event: Event) -> Verdict:
    if event.key in court.barred:
        return Verdict(event, "refused", court.barred[event.key])
    same = docket.named.get(event.key) or court.elsewhere.get(event.key)
    if same is not None:
        return named_before(event, same)
    counted, context = _as_recorded(court, event), docket.context(court)
    try:
        check_aware_before_report(event)
        check_permitted(context, counted)
    except ItpError as error:
        return Verdict(event, "refused", error)
    docket.accept(counted, context)
    return Verdict(event, "accepted")


def _as_recorded(court: _Court, event: Event) -> Event:
    """The event as it is kept: a clock that is ahead by little has its time counted as the recording's."""
    ahead = court.now < event.time <= court.now + court.tolerance
    return replace(event, time=court.now) if ahead else event


def named_before(event: Event, same: Event) -> Verdict:
    """The verdict on an event whose source and id name `same` already: known, or refused for its content."""
    if says_the_same(event, same):
        return Verdict(event, "known")
    on = f" of {day(on)}" if isinstance(on := getattr(same.data, "on", None), date) else ""
    visit = getattr(same.data, "visit", None)
    what = f"{same.type}{f' of {visit}' if visit else ''}{on} for {same.subject}"
    why = f"source {event.source}, id {event.id} names {what} already; give other content an id of its own"
    return Verdict(event, "refused", Refused("id-reused", why))


def says_the_same(event: Event, known: Event) -> bool:
    """Whether two events with one source and id have the same content: type, subject, time and data.

    A sender's clock may be ahead by some minutes: then the instant of recording took the place of its time.
    """
    same_time = known.time <= event.time <= known.time + TOGETHER
    # As JSON: there `true` and 1 differ, as they do for whoever sent them.
    return (
        same_time
        and event.type == known.type
        and event.subject == known.subject
        and json.dumps(event.to_json()["data"]) == json.dumps(known.to_json()["data"])
    )


class _Turns(NamedTuple):
    """The units of a batch (positions) in the order of judging; and voids whose restatement comes later."""

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
        """The place of a unit, never before what it must follow, and how many units it follows there."""
        own = places[paired.get(head, head)]
        before = [turn(heads.get(each, each)) for each in behind[head]]
        return max([own, *(place for place, _ in before)]), 1 + max((depth for _, depth in before), default=0)

    units = [[head, paired[head]] if head in paired else [head] for head in behind if head not in heads]
    return _Turns(sorted(units, key=lambda unit: turn(unit[0])), later)


def _on_its_own(batch: Sequence[Event], places: Sequence[_Place], void: int, restated: int) -> bool:
    """Whether a restatement was reported later than its void and comes behind it: each has its own turn."""
    together = abs(batch[restated].time - batch[void].time) <= TOGETHER
    # Without an enrolment between the two there would be no subject.
    enrolment = isinstance(batch[restated].data, Enrolled)
    return not together and not enrolment and places[restated] > places[void]


def _behind(
    batch: Sequence[Event], paired: Mapping[int, int], later: Mapping[int, int]
) -> dict[int, list[int]]:
    """For each position those that must be judged before it.

    A void comes behind what it voids; a later restatement behind its void; of several under one id the
    first in the file is judged first.
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
    """Where each event of a batch stands by itself: by its date, its report, its position."""
    return [
        _place(site, event, position, first=isinstance(event.data, Enrolled) and position not in restated)
        for position, event in enumerate(batch)
    ]


def _place(site: Site, event: Event, position: int, *, first: bool) -> _Place:
    # Nothing can be judged before the enrolment, not even what happened between consent and that day. Its
    # correction has its own date: what was given by then is not judged by it.
    on = date.min if first else happened(site, event)
    return on, event.time.astimezone(UTC), position


def _site(protocol: Protocol, events: Sequence[Event]) -> Site:
    enrolments = [event for event in events if isinstance(event.data, Enrolled)]
    return protocol.site(as_data(enrolments[-1], Enrolled).site if enrolments else "default")


def _pairs(log: Sequence[Event], batch: Sequence[Event]) -> dict[int, int]:
    """Which void of a batch (position) goes with which restatement of the same batch."""
    # The first of several under one id is the one that the id may name.
    positions = {event.key: place for place, event in reversed(list(enumerate(batch)))}
    fresh = [
        batch[place] for place in sorted(positions.values(), key=lambda place: (batch[place].time, place))
    ]
    known = {event.key: event for event in [*fresh, *log]}
    return {positions[each.void.key]: positions[each.restated.key] for each in restatements(fresh, known)}
