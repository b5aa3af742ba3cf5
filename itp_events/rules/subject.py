"""A subject, folded from the events of its log: those that people stated and the service's own decisions.

This module derives no dates and no flags: windows.py, withdrawal.py and state.py do.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from typing import TypeVar

from itp_events.errors import Refused
from itp_events.events import (
    Acknowledged,
    AdverseEvent,
    Booked,
    Completed,
    Data,
    Enrolled,
    Event,
    Missed,
    ProtocolAssigned,
    Voided,
)
from itp_events.protocol.model import Protocol, Site
from itp_events.rules.corrections import Basis, Chain, basis_of, voided_key
from itp_events.rules.decision_log import DecisionLog

Kind = TypeVar("Kind", bound=Data)

# The dates of these lie in the future: they do not say when the event happened.
_AHEAD = (Booked, Acknowledged)
# These change the meaning of every other event.
_CHANGES_MORE = (Voided, Enrolled, ProtocolAssigned)
_OF_FACTS = ("_by_type", "completed", "declared_missed", "booked")


@dataclass(frozen=True)
class Subject:
    """A subject: its events that nobody voided, in the study's order, and the service's decision log.

    `protocol` is the version to which the subject is pinned. `enrolment` is the enrolment that counts;
    `corrected`: an earlier enrolment was voided. `handed` holds the outbox keys of the notices whose
    hand-over has begun. `chain` links each event to the one that it corrects or continues.
    """

    code: str
    protocol: Protocol
    site: Site
    enrolment: Event
    facts: tuple[Event, ...]
    decision_log: DecisionLog
    handed: frozenset[str]
    corrected: bool = False
    chain: Chain = field(default_factory=lambda: Chain({}, {}))

    def decided(self, decisions: Iterable[Event], handed: Collection[str]) -> Subject:
        """The subject after further decisions of the service, equal to what fold() gives for that log.

        `handed` holds the outbox keys of all notices whose hand-over has begun.
        """
        later = replace(self, decision_log=self.decision_log.after(decisions), handed=frozenset(handed))
        # Values that follow from the stated events alone are kept: they need not be derived at every wake.
        later.__dict__.update({name: self.__dict__[name] for name in _OF_FACTS if name in self.__dict__})
        return later

    def stating(self, log: Sequence[Event]) -> Subject | None:
        """The subject after one more stated event, the last of `log`, equal to what fold() gives for `log`.

        None for an event that changes the meaning of others: a void, an enrolment, another protocol version.
        """
        fact = log[-1]
        if isinstance(fact.data, _CHANGES_MORE):
            return None
        chained = isinstance(fact.data, AdverseEvent) or any(isinstance(event.data, Voided) for event in log)
        chain = Chain.of(log) if chained else self.chain
        later = replace(self, facts=self._with(self.facts, fact), chain=chain)
        kind = type(fact.data)
        later.__dict__["_by_type"] = {**self._by_type, kind: self._with(self.of(kind), fact)}
        return later

    def _with(self, facts: Sequence[Event], fact: Event) -> tuple[Event, ...]:
        ordered = list(facts)
        insort(ordered, fact, key=lambda event: (*self.place(event), event.key))
        return tuple(ordered)

    def origin(self, event: Event, basis: Basis = basis_of) -> Event:
        """The report since which `basis` of an event is unchanged: the event, or one that it continues."""
        return self.chain.origin(event, basis)

    def known_since(self, event: Event, basis: Basis = basis_of) -> datetime:
        """The instant (UTC) at which the content of an event became known: the time of its origin."""
        return self.origin(event, basis).time

    @property
    def enrolled(self) -> Enrolled:
        """The data of the enrolment that counts."""
        return as_data(self.enrolment, Enrolled)

    def of(self, kind: type[Data]) -> tuple[Event, ...]:
        """The stated events of one type that nobody voided, in the study's order."""
        return self._by_type.get(kind, ())

    @cached_property
    def _by_type(self) -> dict[type[Data], tuple[Event, ...]]:
        by_type: dict[type[Data], list[Event]] = {}
        for event in self.facts:
            by_type.setdefault(type(event.data), []).append(event)
        return {kind: tuple(events) for kind, events in by_type.items()}

    @cached_property
    def completed(self) -> dict[str, Event]:
        """The events of the visits that were done, by visit code."""
        return {as_data(event, Completed).visit: event for event in self.of(Completed)}

    @cached_property
    def declared_missed(self) -> dict[str, Event]:
        """The events of the visits that people declared missed, by visit code."""
        return {as_data(event, Missed).visit: event for event in self.of(Missed)}

    @cached_property
    def booked(self) -> dict[str, Event]:
        """The newest booking of each visit, by visit code; one restated unchanged keeps its first instant."""
        bookings = sorted(self.of(Booked), key=lambda event: (self.known_since(event), event.key))
        return {as_data(event, Booked).visit: event for event in bookings}

    def happened(self, event: Event) -> date:
        """The site-local date on which an event happened."""
        return happened(self.site, event)

    def place(self, event: Event) -> tuple[date, datetime]:
        """The place of an event in the study's order: its site-local date, then the instant of its report."""
        return self.happened(event), event.time


def as_data(event: Event, kind: type[Kind]) -> Kind:
    """The event's data as `kind`, for the type checker."""
    assert isinstance(event.data, kind)
    return event.data


def happened(site: Site, event: Event) -> date:
    """The site-local date on which an event happened: its own date, else the day of its report.

    The day of the report counts for bookings and acknowledgements, whose dates lie in the future.
    """
    on = None if isinstance(event.data, _AHEAD) else getattr(event.data, "on", None)
    return on if isinstance(on, date) else site.date_of(event.time)


def not_voided(history: Iterable[Event]) -> list[Event]:
    """The events of a log that people stated and nobody voided, in log order; voids are left out."""
    facts = [event for event in history if not event.own]
    voided = {voided_key(event) for event in facts if isinstance(event.data, Voided)}
    return [event for event in facts if event.key not in voided and not isinstance(event.data, Voided)]


def fold(protocol: Protocol, history: Sequence[Event], handed: Collection[str] = ()) -> Subject:
    """The subject that a whole log gives, the service's own decisions included, in sequence order.

    `handed` holds the outbox keys of the notices whose hand-over has begun.

    Raises:
        Refused: no enrolment stands in the log.
        BadInput: the subject's protocol version is not installed.
    """
    facts = not_voided(history)
    enrolment = next((event for event in facts if isinstance(event.data, Enrolled)), None)
    if enrolment is None:
        code = history[0].subject if history else "the subject"
        raise Refused("enrolment", f"{code} is not enrolled; record itp.subject.enrolled first")
    decision_log = DecisionLog.of(event for event in history if event.own)
    protocol = protocol.of_version(_assigned(facts) or decision_log.pinned)
    site = protocol.site(as_data(enrolment, Enrolled).site)
    ordered = sorted(facts, key=lambda event: (happened(site, event), event.time, event.key))
    corrected = any(isinstance(event.data, Enrolled) and event.key != enrolment.key for event in history)
    chain = Chain.of(history)
    return Subject(
        enrolment.subject,
        protocol,
        site,
        enrolment,
        tuple(ordered),
        decision_log,
        frozenset(handed),
        corrected,
        chain,
    )


def _assigned(facts: Iterable[Event]) -> str | None:
    assigned = [event for event in facts if isinstance(event.data, ProtocolAssigned)]
    last = max(assigned, key=lambda event: (event.time, event.key), default=None)
    return as_data(last, ProtocolAssigned).version if last else None
