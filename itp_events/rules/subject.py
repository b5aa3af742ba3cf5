"""A subject, folded from the events of its log: those that people stated and the service's own decisions.

This module derives no dates and no flags: windows.py, withdrawal.py and state.py do.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from typing import NamedTuple, TypeVar

from itp_events.errors import Refused
from itp_events.events import (
    Acknowledged,
    AdverseEvent,
    Answered,
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
_AHEAD = (Booked, Acknowledged, Answered)
# These change the meaning of every other event.
_CHANGES_MORE = (Voided, Enrolled, ProtocolAssigned)
_OF_FACTS = ("_by_type", "completed", "declared_missed", "booked")


class VersionPeriod(NamedTuple):
    """The time during which a subject follows one version of the protocol.

    `assigned` is the event that began it at the instant `since` (UTC); both are None for the version of the
    enrolment.
    """

    protocol: Protocol
    since: datetime | None = None
    assigned: Event | None = None


@dataclass(frozen=True)
class Subject:
    """A subject: its events that nobody voided, in the study's order, and the service's decision log.

    `protocol` is the version that the subject follows now, the last of `periods`. `enrolment` is the
    enrolment that counts; `corrected`: an earlier enrolment was voided. `handed` holds the outbox keys of the
    notices whose hand-over has begun. `chain` links each event to the one that it corrects or continues.
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
    periods: tuple[VersionPeriod, ...] = ()

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

    def precedes(self, on: date, known: datetime, period: VersionPeriod) -> bool:
        """Whether something of the site-local date `on`, known since `known`, came before a period began.

        The study's order says it: dates first, then the instants.
        """
        return period.since is not None and (on, known) < (self.site.date_of(period.since), period.since)

    def protocol_at(self, on: date, known: datetime) -> Protocol:
        """The version that held for what happened on a site-local date and is known since `known`."""
        held = [period for period in self.periods if not self.precedes(on, known, period)]
        return held[-1].protocol

    def protocol_known(self, at: datetime) -> Protocol:
        """The version that held at an instant."""
        return self.protocol_at(self.site.date_of(at), at)

    def before(self, on: date, known: datetime) -> Subject:
        """The subject without the assignments that came after a site-local date and an instant."""
        held = tuple(period for period in self.periods if not self.precedes(on, known, period))
        return replace(self, periods=held, protocol=held[-1].protocol)

    def version(self, name: str) -> Protocol:
        """One of the versions that the subject follows or followed."""
        return next(period.protocol for period in self.periods if period.protocol.version == name)

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

    The day of the report counts for bookings, answers and acknowledgements, whose dates lie in the future.
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
    chain = Chain.of(history)
    first = version_at_enrolment(protocol, decision_log.pinned, as_data(enrolment, Enrolled).on)
    periods = (VersionPeriod(first), *_assigned(protocol, facts, chain))
    protocol = periods[-1].protocol
    site = protocol.site(as_data(enrolment, Enrolled).site)
    ordered = sorted(facts, key=lambda event: (happened(site, event), event.time, event.key))
    corrected = any(isinstance(event.data, Enrolled) and event.key != enrolment.key for event in history)
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
        periods,
    )


def version_at_enrolment(protocol: Protocol, pinned: str | None, on: date) -> Protocol:
    """The version of an enrolment on a site-local date: the one recorded for it, else the one in force.

    Raises:
        BadInput: it is not installed.
    """
    return protocol.of_version(pinned) if pinned else protocol.in_force(on)


def _assigned(protocol: Protocol, facts: Iterable[Event], chain: Chain) -> Iterator[VersionPeriod]:
    """The periods that assignments began, in the order of the instants since which they are known."""
    assigned = [(chain.origin(event), event) for event in facts if isinstance(event.data, ProtocolAssigned)]
    for origin, event in sorted(assigned, key=lambda each: (each[0].time, each[1].key)):
        version = as_data(event, ProtocolAssigned).version
        yield VersionPeriod(protocol.of_version(version), origin.time, event)
