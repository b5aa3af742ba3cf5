"""Corrections: the events that restate others, and the instant since which each content is known.

This module accepts and refuses nothing. An event and its corrections are one: a restatement continues the
event whose void it follows, and a further report of an adverse event continues the report before it. A clock,
a decision or a notice goes on as long as the values that it rests on do not change. A restatement that came
in one batch with its void is noted on the event; every other link follows from the content of the events and
the instants of their reports, and not from their order of arrival.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from itp_events.events import (
    Acknowledged,
    AdverseEvent,
    Answered,
    Booked,
    Completed,
    ConsentGiven,
    ConsentWithdrawn,
    ContactAgreed,
    ContactAttempted,
    Data,
    Died,
    Enrolled,
    Event,
    EventKey,
    MedicationChanged,
    Missed,
    Pregnancy,
    ProtocolAssigned,
    SaeSubmitted,
    Voided,
    WithdrawalDecided,
)

# An event reported within this time of its void was sent with it: the clocks of senders differ by so much.
TOGETHER = timedelta(seconds=300)
_OUTCOMES = (Completed, Missed)

Basis = Callable[[Data], object]
"""The part of an event's content on which a clock, decision or notice rests, which goes on with it."""


def voided_key(event: Event) -> EventKey:
    """Source and id of the event that a void names."""
    assert isinstance(event.data, Voided)
    return event.data.event.source, event.data.event.id


class Restatement(NamedTuple):
    """A void, the event that it takes back, and the event that states it anew."""

    void: Event
    wrong: Event
    restated: Event


class Link(NamedTuple):
    """The event that another continues: one that it restates after a void, or the report before it."""

    event: Event
    restates: bool


def predecessors(facts: Iterable[Event]) -> dict[EventKey, Link]:
    """The event that each restatement or further report continues directly, by the key of the later one."""
    ordered = _in_time([fact for fact in facts if not fact.own])
    known = {fact.key: fact for fact in ordered}
    found = {fact.key: Link(known[key], restates=True) for fact, key in _named(ordered) if key in known}
    named = {link.event.key for link in found.values()}
    others = [fact for fact in ordered if fact.key not in found and not _takes_back(fact, named)]
    for each in _matched(others, known, _IN_A_LOG):
        found[each.restated.key] = Link(each.wrong, restates=True)
    further = {
        later.key: Link(earlier, restates=False) for later, earlier in _further_reports(ordered, found)
    }
    return further | found


def _in_time(facts: Sequence[Event]) -> list[Event]:
    """The facts by the instants of their reports.

    Of one instant, a noted restatement comes behind what it restates; ids order the others, as the order of
    arrival does not count.
    """
    by_key = {fact.key: fact for fact in facts}

    def behind(fact: Event) -> int:
        """The number of events that were corrected one after the other to become this one."""
        passed = 0
        while fact.restates in by_key and passed < len(facts):
            fact, passed = by_key[fact.restates], passed + 1
        return passed

    return sorted(facts, key=lambda fact: (fact.time, behind(fact), fact.key))


def _named(facts: Sequence[Event]) -> Iterator[tuple[Event, EventKey]]:
    """The events noted as restatements when they came in, each with the key of the event that it restates."""
    return ((fact, fact.restates) for fact in facts if fact.restates is not None)


def _takes_back(fact: Event, keys: Collection[EventKey]) -> bool:
    return isinstance(fact.data, Voided) and voided_key(fact) in keys


def restatements(batch: Sequence[Event], known: Mapping[EventKey, Event]) -> list[Restatement]:
    """The voids of a batch with the event that restates each of them there: one event for one void.

    `known` holds the events that a void may name. Voids without a restatement are left out.
    """
    return _matched(batch, known, _IN_A_BATCH)


def _matched(
    facts: Sequence[Event], known: Mapping[EventKey, Event], ways: Sequence[_Fit]
) -> list[Restatement]:
    waiting = _voids(facts, known)
    if not waiting:
        return []
    candidates = [fact for fact in facts if not isinstance(fact.data, Voided)]
    places = {fact.key: place for place, fact in enumerate(facts)}
    found: dict[EventKey, Restatement] = {}
    for fits in ways:
        for void, wrong in list(waiting):
            fitting = [
                each
                for each in candidates
                if each.key not in found
                and _corrects(each, wrong)
                and (each.time > wrong.time or places[each.key] > places.get(wrong.key, -1))
                and fits(each, wrong, void)
                and not _leads_back(wrong, each, found)
            ]
            if fitting:
                best = min(fitting, key=lambda each: abs(each.time - void.time))
                found[best.key] = Restatement(void, wrong, best)
                waiting.remove((void, wrong))
    return list(found.values())


def _leads_back(wrong: Event, candidate: Event, found: Mapping[EventKey, Restatement]) -> bool:
    """Whether the event to correct restates the candidate itself, over any number of corrections."""
    while wrong.key in found:
        wrong = found[wrong.key].wrong
        if wrong.key == candidate.key:
            return True
    return False


def _voids(facts: Sequence[Event], known: Mapping[EventKey, Event]) -> list[tuple[Event, Event]]:
    """Each void with the event that it takes back; of several voids of one event, the first."""
    found: dict[EventKey, tuple[Event, Event]] = {}
    for fact in facts:
        if _names_a_fact(fact, known):
            key = voided_key(fact)
            found.setdefault(key, (fact, known[key]))
    return list(found.values())


def _names_a_fact(event: Event, known: Mapping[EventKey, Event]) -> bool:
    if not isinstance(event.data, Voided):
        return False
    named = known.get(voided_key(event))
    return named is not None and not named.own and not isinstance(named.data, Voided)


def _corrects(candidate: Event, wrong: Event) -> bool:
    one, other = candidate.data, wrong.data
    # A visit done and a visit missed correct each other.
    alike = type(one) is type(other) or (isinstance(one, _OUTCOMES) and isinstance(other, _OUTCOMES))
    return alike and candidate.key != wrong.key and candidate.time >= wrong.time


def _together(candidate: Event, void: Event) -> bool:
    return abs(candidate.time - void.time) <= TOGETHER


def _same_content(candidate: Event, wrong: Event, void: Event) -> bool:
    return _same_place(candidate, wrong, void) and basis_of(candidate.data) == basis_of(wrong.data)


def _same_place(candidate: Event, wrong: Event, void: Event) -> bool:
    return _together(candidate, void) and place(candidate.data) == place(wrong.data)


def _other_place(candidate: Event, wrong: Event, void: Event) -> bool:
    # The visit, or the number of the adverse event, may itself have been wrong.
    return _together(candidate, void) and candidate.time >= void.time


def _other_place_before(candidate: Event, wrong: Event, void: Event) -> bool:
    return _together(candidate, void)


def _later(candidate: Event, wrong: Event, void: Event) -> bool:
    named = place(candidate.data)
    return candidate.time > void.time and named is not None and named == place(wrong.data)


def _beside(candidate: Event, wrong: Event, void: Event) -> bool:
    return place(candidate.data) is not None and _same_place(candidate, wrong, void)


_Fit = Callable[[Event, Event, Event], bool]
# The surest first: when two events are corrected together, each is restated by the event most like it.
_IN_A_BATCH: tuple[_Fit, ...] = (
    _same_content,
    _same_place,
    _other_place,
    _later,
    _other_place_before,
)
# In the log, an event that was not noted as a restatement is one only under the same visit or adverse event.
# Any other event that was reported minutes after a void has nothing to do with it.
_IN_A_LOG: tuple[_Fit, ...] = (_beside, _later)


def place(data: Data) -> str | None:
    """The visit or adverse event by which a later restatement is recognised; its type for an enrolment."""
    if isinstance(data, Enrolled):
        return data.type
    visit, ae = getattr(data, "visit", None), getattr(data, "ae", None)
    return visit or ae


def _further_reports(
    ordered: Sequence[Event], restated: Mapping[EventKey, Link]
) -> Iterator[tuple[Event, Event]]:
    """Each further report of an adverse event with the report before it, as it read at that time.

    A later correction of the report before does not change the further one.
    """
    read: dict[str, list[_Report]] = {}
    for event in ordered:
        if not isinstance(event.data, AdverseEvent):
            continue
        of_event = read.setdefault(event.data.ae, [])
        wrong = restated.get(event.key)
        if wrong is None:
            if of_event:
                yield event, of_event[-1].event
            of_event.append(_Report(event.time, event))
        else:
            insort(of_event, _corrected(read, event, wrong.event), key=lambda report: report.since)


class _Report(NamedTuple):
    """A report of an adverse event as it reads at a time, and the instant of its place among the others."""

    since: datetime
    event: Event


def _corrected(read: Mapping[str, list[_Report]], event: Event, wrong: Event) -> _Report:
    """The report that takes the place of the wrong one, which is read no more under the number it had."""
    reports = read.get(wrong.data.ae, []) if isinstance(wrong.data, AdverseEvent) else []
    place = next((report for report in reports if report.event.key == wrong.key), None)
    if place is not None:
        reports.remove(place)
    if place is None or _stated_anew(event, wrong, severity):
        return _Report(event.time, event)
    return _Report(place.since, event)


def _stated_anew(event: Event, wrong: Event, basis: Basis) -> bool:
    """Whether a restatement came without its void and has other content: it then counts from its own time."""
    return event.restates != wrong.key and basis(event.data) != basis(wrong.data)


def basis_of(data: Data) -> object:
    """The part of an event's content that decides whether a restatement says the same."""
    basis = _BASES.get(type(data))
    return basis(data) if basis else data


class Chain(NamedTuple):
    """The links between events and those that they continue; empty when nothing was ever corrected."""

    before: Mapping[EventKey, Link]
    after: Mapping[EventKey, Event]

    @classmethod
    def of(cls, facts: Sequence[Event]) -> Chain:
        """The chain of a log's facts, voided ones included."""
        before = predecessors(facts)
        by_key = {fact.key: fact for fact in facts}
        after = {link.event.key: by_key[key] for key, link in before.items() if link.restates}
        return cls(before, after)

    def today(self, event: Event) -> Event:
        """The event as corrected by voids: the newest restatement, or the event itself without one."""
        seen = {event.key}
        while (later := self.after.get(event.key)) is not None and later.key not in seen:
            seen.add(later.key)
            event = later
        return event

    def first_stated(self, event: Event, basis: Basis) -> Event:
        """The first of the events that corrected each other by a void, back from this one.

        An event stated anew later with other content counts from its own time.
        """
        while (link := self.before.get(event.key)) is not None and link.restates:
            if _stated_anew(event, link.event, basis):
                break
            event = link.event
        return event

    def versions(self, event: Event) -> Iterator[Event]:
        """The event and those that it continues, back to the first report."""
        passed = {event.key}
        yield event
        while (link := self.before.get(event.key)) is not None and link.event.key not in passed:
            passed.add(link.event.key)
            yield link.event
            event = link.event

    def origin(self, event: Event, basis: Basis = basis_of) -> Event:
        """The report since which the event's `basis` is unchanged."""
        if event.key not in self.before:
            return event
        first = event
        now = basis(event.data)
        for version in self.versions(event):
            if basis(version.data) != now:
                break
            first = version
        return first


def severity(data: Data) -> object:
    """The part of an adverse event that its alert and its flag rest on."""
    assert isinstance(data, AdverseEvent)
    return data.serious, data.related, data.grade, data.fatal


def flagged(data: Data) -> object:
    """The part of an adverse event that its flag rests on."""
    assert isinstance(data, AdverseEvent)
    return data.serious, data.related, data.grade


def dosed(data: Data) -> object:
    """The part of an infusion that the alert about its dose rests on."""
    # It may correct the statement that the infusion was missed: then nothing was given by that.
    given = data if isinstance(data, Completed) else None
    return given and (given.visit, given.on, given.cells_given, given.weight_kg)


def whose(data: Data) -> object:
    """The part of a pregnancy that its alert and its clock rest on."""
    assert isinstance(data, Pregnancy)
    return data.partner


def same_death(data: Data) -> object:
    """The part of a death that its clock rests on: a death stays one death under every correction."""
    assert isinstance(data, Died)
    return True


def _of(*names: str) -> Basis:
    def basis(data: Data) -> object:
        return (data.type, *(getattr(data, name) for name in names))

    return basis


_BASES: dict[type[Data], Basis] = {
    Enrolled: _of("on"),
    Booked: _of("visit", "on"),
    Completed: _of("visit", "on"),
    Missed: _of("visit"),
    AdverseEvent: severity,
    SaeSubmitted: _of("ae", "on"),
    Pregnancy: _of("partner", "on"),
    MedicationChanged: _of("kind", "drug"),
    ContactAttempted: _of("on", "reached"),
    ConsentWithdrawn: _of("on", "scope", "guardian"),
    WithdrawalDecided: _of("on", "decision", "criterion", "decode"),
    Died: _of("on"),
    Acknowledged: _of("visit", "until"),
    ConsentGiven: _of("kind", "version", "on"),
    ContactAgreed: _of("agreed", "language", "on"),
    Answered: _of("visit", "on", "answer"),
    ProtocolAssigned: _of("version"),
}
