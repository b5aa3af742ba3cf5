"""The lineage of statements, read from the log alone: restatements, and further reports of one event.

A restatement that came in one batch with the void was noted when it came in. Any other statement restates a
voided one only under the same visit or adverse event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from itp_events.events import (
    Acknowledged,
    AdverseEvent,
    Answered,
    Booked,
    Completed,
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
    SaeSubmitted,
    Voided,
    WithdrawalDecided,
)

Looks = Callable[[Data], object]
"""The part of a statement that something rests on."""

_WITH_ITS_VOID = timedelta(seconds=300)
_RESTS_ON: dict[type[Data], tuple[str, ...]] = {
    Enrolled: ("on",),
    Booked: ("visit", "on"),
    Completed: ("visit", "on"),
    Missed: ("visit",),
    AdverseEvent: ("serious", "related", "grade", "fatal"),
    SaeSubmitted: ("ae", "on"),
    Pregnancy: ("partner", "on"),
    MedicationChanged: ("kind", "drug"),
    ContactAttempted: ("on", "reached"),
    ConsentWithdrawn: ("on", "scope", "guardian"),
    WithdrawalDecided: ("on", "decision", "criterion", "decode"),
    Died: ("on",),
    Acknowledged: ("visit", "until"),
    ContactAgreed: ("agreed", "language", "on"),
    Answered: ("visit", "on", "answer"),
}
# Fields that may be spelt otherwise without a change of anything that the study knows.
_WORDS = ("by", "term", "reason", "detail", "confirmed", "cause", "action")


def resting_on(data: Data) -> object:
    """The part of a statement that a clock, a decision or a notice rests on."""
    return (data.type, *(getattr(data, name) for name in _RESTS_ON.get(type(data), ())))


def weight(data: Data) -> object:
    """The part of an adverse event that its withdrawal criterion rests on."""
    return tuple(getattr(data, name, None) for name in ("serious", "related", "grade"))


def nothing(data: Data) -> object:
    """Nothing: the statement is the same fact whatever else is corrected in it."""
    return data.type


def apart_from_words(data: Data) -> object:
    """Everything that a statement says, but how it is worded."""
    return data.type, data.model_dump(exclude=set(_WORDS))


@dataclass(frozen=True)
class Lineage:
    """The statements of people in the order of the log, voided or not."""

    stated: tuple[Event, ...]

    @cached_property
    def voids(self) -> dict[EventKey, Event]:
        """The void of each statement that was taken back."""
        voids = (event for event in self.stated if isinstance(event.data, Voided))
        return {_target(void): void for void in reversed(list(voids))}

    @cached_property
    def _by_key(self) -> dict[EventKey, Event]:
        return {event.key: event for event in self.stated}

    @cached_property
    def corrects(self) -> dict[EventKey, Event]:
        """The corrected statement of each restatement, by the restatement's key."""
        found = {
            event.key: self._by_key[event.restates]
            for event in self.stated
            if event.restates in self._by_key and event.restates is not None
        }
        restated = {wrong.key for wrong in found.values()}
        for key, void in sorted(self.voids.items(), key=lambda each: each[1].time):
            wrong = self._by_key.get(key)
            if wrong is None or key in restated:
                continue
            later = self._later(wrong, void, found)
            if later is not None:
                found[later.key] = wrong
        return found

    def _later(self, wrong: Event, void: Event, found: dict[EventKey, Event]) -> Event | None:
        where = _place(wrong.data)
        if where is None:
            return None
        fitting = [
            event
            for event in self.stated
            if event.key != wrong.key
            and event.key not in found
            and event.time >= max(wrong.time, void.time - _WITH_ITS_VOID)
            and _alike(event.data, wrong.data)
            and _place(event.data) == where
        ]
        return min(fitting, key=lambda each: abs(each.time - void.time), default=None)

    def versions(self, event: Event) -> Iterator[Event]:
        """The statement, and what it corrects, back to the first."""
        seen = {event.key}
        yield event
        while (event := self.corrects.get(event.key, event)).key not in seen:
            seen.add(event.key)
            yield event

    def reports(self, ae: str) -> list[Event]:
        """Every report of one adverse event, voided or not, the oldest first."""
        return self._reports.get(ae, [])

    @cached_property
    def _reports(self) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in sorted(self.stated, key=lambda each: each.time):
            if isinstance(event.data, AdverseEvent):
                found.setdefault(event.data.ae, []).append(event)
        return found

    def before(self, event: Event) -> Event | None:
        """The statement that another continues: the corrected one, else the event's report before it."""
        if event.key in self.corrects:
            return self.corrects[event.key]
        if not isinstance(event.data, AdverseEvent):
            return None
        # A correction stays in the place of what it corrects: it is not the newest report.
        first = [each for each in self.reports(event.data.ae) if each.key not in self.corrects]
        place = first.index(event)
        return self._as_corrected(first[place - 1], event.time) if place else None

    def _as_corrected(self, event: Event, by: datetime) -> Event:
        """The correction of a statement that held at an instant, or the statement itself."""
        while (later := self.corrected.get(event.key)) is not None and later.time <= by:
            event = later
        return event

    @cached_property
    def corrected(self) -> dict[EventKey, Event]:
        """The correction of each statement that has one, by the key of what was wrong."""
        return {wrong.key: self._by_key[key] for key, wrong in self.corrects.items()}

    def origin(self, event: Event, looks: Looks = resting_on) -> Event:
        """The statement that first said the same as the event; `looks` picks the part that counts."""
        first, seen = event, {event.key}
        while (event_before := self.before(event)) is not None and event_before.key not in seen:
            if looks(event_before.data) != looks(first.data):
                break
            seen.add(event_before.key)
            event = event_before
            first = event if event.time <= first.time else first
        return first

    def known(self, event: Event, looks: Looks = resting_on) -> datetime:
        """The instant (UTC) since which the event's content is known; `looks` picks the part that counts."""
        return self.origin(event, looks).time


def _target(void: Event) -> EventKey:
    assert isinstance(void.data, Voided)
    return void.data.event.source, void.data.event.id


def _alike(one: Data, other: Data) -> bool:
    outcomes = (Completed, Missed)
    return type(one) is type(other) or (isinstance(one, outcomes) and isinstance(other, outcomes))


def _place(data: Data) -> str | None:
    return getattr(data, "visit", None) or getattr(data, "ae", None)


def lineage(log: Sequence[Event]) -> Lineage:
    """The statements of a log."""
    return Lineage(tuple(event for event in log if not event.own))
