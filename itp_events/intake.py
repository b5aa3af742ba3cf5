"""Letting events in: each of a batch is accepted or refused by itself, in the study's order.

A batch is ordered by the dates on which things happened, then by when they were reported, then by
position. A void and its restatement in one batch are judged together: both or neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Literal

from itp_events.errors import ItpError, Refused
from itp_events.events import Completed, Data, Enrolled, Event, EventKey, Missed, Voided
from itp_events.order import permit
from itp_events.protocol import Protocol, Site
from itp_events.situation import Situation
from itp_events.subject import as_data, happened, standing, voided_key

_Place = tuple[date, datetime, int]
_OUTCOMES = (Completed, Missed)


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
) -> Judgement:
    """Judge a batch of one subject's events against its log at `now`, an aware instant.

    What is `barred` is refused with the error given, and so is what it would be recorded together with.
    """
    log = list(history)
    found: dict[int, Verdict] = {}
    for unit in _units(protocol, log, batch):
        verdicts = _judge_unit(protocol, log, [batch[position] for position in unit], now, barred)
        found |= dict(zip(unit, verdicts, strict=True))
    accepted = tuple(log[len(history) :])
    return Judgement(tuple(found[position] for position in range(len(batch))), accepted)


def _judge_unit(
    protocol: Protocol,
    log: list[Event],
    unit: list[Event],
    now: datetime,
    barred: Mapping[EventKey, ItpError],
) -> list[Verdict]:
    trial = list(log)
    verdicts = [
        Verdict(event, "refused", barred[event.key])
        if event.key in barred
        else _judge_one(protocol, trial, event, now)
        for event in unit
    ]
    refused = _first_refused(verdicts)
    if refused is None and _loses_enrolment(log, trial):
        verdicts = [_without_enrolment(verdict) for verdict in verdicts]
        refused = _first_refused(verdicts)
    if refused is None:
        log[:] = trial
        return verdicts
    return [verdict if verdict.status == "refused" else _fallen(verdict, refused) for verdict in verdicts]


def _first_refused(verdicts: Sequence[Verdict]) -> Verdict | None:
    return next((verdict for verdict in verdicts if verdict.status == "refused"), None)


def _loses_enrolment(log: Sequence[Event], trial: Sequence[Event]) -> bool:
    return len(trial) > len(log) and not any(isinstance(event.data, Enrolled) for event in standing(trial))


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


def _judge_one(protocol: Protocol, log: list[Event], event: Event, now: datetime) -> Verdict:
    if any(each.key == event.key for each in log):
        return Verdict(event, "known")
    try:
        permit(Situation(protocol, tuple(log), now), event)
    except ItpError as error:
        return Verdict(event, "refused", error)
    log.append(event)
    return Verdict(event, "accepted")


def _units(protocol: Protocol, log: Sequence[Event], batch: Sequence[Event]) -> list[list[int]]:
    site = _site(protocol, [*log, *batch])
    places = {position: _place(site, event, position) for position, event in enumerate(batch)}
    units: list[tuple[_Place, list[int]]] = []
    paired = _pairs(log, batch)
    restated = set(paired.values())
    for position in range(len(batch)):
        if position in paired:
            other = paired[position]
            units.append((_unit_place(places, batch, position, other), [position, other]))
        elif position not in restated:
            units.append((places[position], [position]))
    # A pair whose wrong event comes in the same batch has that event's place, and goes behind it.
    return [unit for _, unit in sorted(units, key=lambda each: (each[0], len(each[1])))]


def _unit_place(places: dict[int, _Place], batch: Sequence[Event], void: int, restated: int) -> _Place:
    target = voided_key(batch[void])
    behind = [places[i] for i, event in enumerate(batch) if event.key == target]
    return max([places[restated], *behind])


def _place(site: Site, event: Event, position: int) -> _Place:
    # Nothing can be judged before the enrolment, not even what happened between consent and that day.
    on = date.min if isinstance(event.data, Enrolled) else happened(site, event)
    return on, event.time.astimezone(UTC), position


def _site(protocol: Protocol, events: Sequence[Event]) -> Site:
    enrolments = [event for event in events if isinstance(event.data, Enrolled)]
    return protocol.site(as_data(enrolments[-1], Enrolled).site if enrolments else "default")


def _pairs(log: Sequence[Event], batch: Sequence[Event]) -> dict[int, int]:
    """Which void of a batch (position) goes with which restatement of the same batch."""
    known = {event.key: event for event in [*log, *batch]}
    reported = sorted(range(len(batch)), key=lambda position: (batch[position].time, position))
    pairs: dict[int, int] = {}
    for position in reported:
        void = batch[position]
        target = known.get(voided_key(void)) if isinstance(void.data, Voided) else None
        if target is None:
            continue
        for other in reported:
            if other not in pairs.values() and _restates(batch[other], target):
                pairs[position] = other
                break
    return pairs


def _restates(candidate: Event, target: Event) -> bool:
    return (
        candidate.key != target.key
        and candidate.time >= target.time
        and _alike(candidate.data, target.data)
        and all(
            getattr(candidate.data, name, None) == getattr(target.data, name, None)
            for name in ("visit", "ae")
        )
    )


def _alike(one: Data, other: Data) -> bool:
    # That a visit took place after all, or did not, corrects what was stated of it.
    return type(one) is type(other) or (isinstance(one, _OUTCOMES) and isinstance(other, _OUTCOMES))
