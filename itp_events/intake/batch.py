"""Letting events in: each of a batch is accepted or refused by itself, in the study's order.

A batch is ordered by the dates on which things happened, then by when they were reported, then by
position. A void and its restatement in one batch are judged together: both or neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Literal

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
    docket = _Docket(list(history), {event.key: event for event in history})
    found: dict[int, Verdict] = {}
    for unit in _units(protocol, history, batch):
        verdicts = _judge_unit(court, docket, [batch[position] for position in unit])
        found |= dict(zip(unit, verdicts, strict=True))
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


def _units(protocol: Protocol, log: Sequence[Event], batch: Sequence[Event]) -> list[list[int]]:
    places = _places(_site(protocol, [*log, *batch]), batch)
    paired = _pairs(log, batch)
    restated = set(paired.values())
    units: list[tuple[_Place, list[int]]] = []
    for position in range(len(batch)):
        if position in paired:
            other = paired[position]
            units.append((_unit_place(places, batch, position, other), [position, other]))
        elif position not in restated:
            units.append((places[position], [position]))
    # A pair whose wrong event comes in the same batch has that event's place, and goes behind it.
    return [unit for _, unit in sorted(units, key=lambda each: (each[0], len(each[1])))]


def _unit_place(places: Sequence[_Place], batch: Sequence[Event], void: int, restated: int) -> _Place:
    target = voided_key(batch[void])
    behind = [places[i] for i, event in enumerate(batch) if event.key == target]
    return max([places[restated], *behind])


def _places(site: Site, batch: Sequence[Event]) -> list[_Place]:
    """Where each event of a batch stands; of several under one id the first in the file is judged first."""
    found: list[_Place] = []
    holder: dict[EventKey, _Place] = {}
    for position, event in enumerate(batch):
        place = _place(site, event, position)
        if event.key in holder:
            on, at, _ = max(place, holder[event.key])
            place = on, at, position
        holder[event.key] = place
        found.append(place)
    return found


def _place(site: Site, event: Event, position: int) -> _Place:
    # Nothing can be judged before the enrolment, not even what happened between consent and that day.
    on = date.min if isinstance(event.data, Enrolled) else happened(site, event)
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
