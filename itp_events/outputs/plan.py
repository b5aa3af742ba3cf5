"""The plan of one subject, from its events alone: the document behind `itp plan`.

This module needs no database and no Prefect, and records nothing. It replays the journey in virtual time with
the same decide() that runs the service, at each event and at each instant at which decide() asked to be
woken, as if every notice were handed over at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from itp_events.decisions import Decision, decide, wake_at
from itp_events.events import Enrolled, Event, NoticeIssued, ProtocolAssigned, Voided
from itp_events.notices.alerts import repeats
from itp_events.notices.reconcile import notice
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import AlertName, Protocol
from itp_events.rules.corrections import Chain, voided_key
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import Subject, fold, not_voided

# Requests that wait for a person are repeated for ever. A forecast shows this many of them.
REPEATS_SHOWN = 3
_REPEATED: tuple[AlertName, ...] = ("decision", "disposition", "death-unrecorded", "re-consent")


@dataclass(frozen=True)
class Plan:
    """The decision about a subject at an instant, the notices of use, and those that silence would bring."""

    decision: Decision
    notices: tuple[NoticeIssued, ...]
    forecast: tuple[NoticeIssued, ...]


def plan(protocol: Protocol, facts: Sequence[Event], as_of: datetime) -> Plan:
    """The plan of a subject at `as_of`, an aware instant; `facts` are its events.

    Events reported after that instant and the service's own decisions are left out.

    Raises:
        Refused: no enrolment stands.
    """
    known = [event for event in facts if event.time <= as_of and _counts(event)]
    life, decision = _replay(protocol, known, as_of)
    return Plan(decision, tuple(_of_use(decision)), tuple(_forecast(life, decision)))


def _counts(event: Event) -> bool:
    # The protocol version to which an enrolment was pinned does not follow from the stated events.
    return not event.own or isinstance(event.data, ProtocolAssigned)


@dataclass
class _Life:
    """A subject whose log grows in virtual time; every notice counts as handed over at once."""

    protocol: Protocol
    log: list[Event]
    issued: set[str]
    subject: Subject | None = None

    def enter(self, fact: Event) -> None:
        self.log.append(fact)
        # Each event is folded in as it comes, so that a long history costs no more than its length.
        self.subject = self.subject.stating(self.log) if self.subject else None

    def enrolled(self) -> bool:
        return self.subject is not None or any(
            isinstance(each.data, Enrolled) for each in not_voided(self.log)
        )

    def step(self, now: datetime) -> Decision:
        """Decide at `now` and enter the decisions in the log."""
        subject = self.subject or fold(self.protocol, self.log, self.issued)
        decision = decide(subject, now)
        self.log.extend(decision.events)
        self.issued |= {event.id for event in decision.events if isinstance(event.data, NoticeIssued)}
        self.subject = subject.decided(decision.events, self.issued) if decision.events else subject
        return decision


def _replay(protocol: Protocol, facts: Sequence[Event], as_of: datetime) -> tuple[_Life, Decision]:
    life = _Life(protocol, [], set())
    waiting = deque(sorted(_entering(facts), key=lambda each: (each[0], each[1].key)))
    wake: datetime | None = None
    while True:
        reported = waiting[0][0] if waiting else as_of
        now = min(reported, wake) if wake else reported
        while waiting and waiting[0][0] <= now:
            life.enter(waiting.popleft()[1])
        if waiting and not life.enrolled():
            wake = None
            continue
        decision = life.step(now)
        if now >= as_of:
            return life, decision
        wake = min(_next(decision) or as_of, as_of)


def _entering(facts: Sequence[Event]) -> Iterator[tuple[datetime, Event]]:
    """Each event with the instant (UTC) at which it enters the log: that of its report.

    The void of an enrolment waits for the corrected enrolment, since intake takes neither without the other.
    """
    chain = Chain.of(facts)
    for fact in facts:
        at = fact.time
        restated = chain.after.get(voided_key(fact)) if isinstance(fact.data, Voided) else None
        if restated is not None and isinstance(restated.data, Enrolled):
            at = max(at, restated.time)
        yield at, fact


def _of_use(decision: Decision) -> Iterator[NoticeIssued]:
    """The notices that are due and of use; of alerts every one whose cause lasts, with all repetitions."""
    state = decision.subject_state
    wanted_notices = {
        wanted.key: wanted
        for wanted in (*decision.wanted_notices, *repeats(state))
        if wanted.due <= state.now
    }
    of_use = [
        wanted for wanted in wanted_notices.values() if wanted.kind == "alert" or wanted.stands(state.now)
    ]
    return (notice(state, wanted, wanted.key) for wanted in sorted(of_use, key=_by_due))


def _forecast(life: _Life, decision: Decision) -> Iterator[NoticeIssued]:
    """The notices that would come if nothing were ever recorded again; endless repetitions are cut."""
    told = {wanted.key for wanted in decision.due()}
    to_come: dict[str, tuple[WantedNotice, SubjectState]] = {}
    while (now := _next(decision)) is not None:
        decision = life.step(now)
        for wanted in decision.due():
            if wanted.key not in told and not _endless(wanted):
                to_come.setdefault(wanted.key, (wanted, decision.subject_state))
    return (
        notice(state, wanted, wanted.key)
        for wanted, state in sorted(to_come.values(), key=lambda pair: _by_due(pair[0]))
    )


def _by_due(wanted: WantedNotice) -> tuple[datetime, str]:
    return wanted.due, wanted.key


def _next(decision: Decision) -> datetime | None:
    """The next wake (UTC) that brings more than another repetition of a request that waits already."""
    return wake_at(
        decision.subject_state, [wanted for wanted in decision.wanted_notices if not _endless(wanted)]
    )


def _endless(wanted: WantedNotice) -> bool:
    return wanted.alert in _REPEATED and wanted.number > REPEATS_SHOWN
