"""The plan that events give, without database or Prefect: the document behind `itp plan`.

The journey is replayed in virtual time with the same decide() that runs the service: at each event and
at each instant it asked to be woken, as if every notice were handed over at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from itp_events.decisions import Decision, decide, wake_at
from itp_events.events import Enrolled, Event, NoticeIssued, ProtocolAssigned
from itp_events.notices.alerts import repeats
from itp_events.notices.reconcile import notice
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import AlertName, Protocol
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import Subject, fold, standing

# Repetitions that wait for a person go on for ever; a forecast shows this many of them.
REPEATS_SHOWN = 3
_REPEATED: tuple[AlertName, ...] = ("decision", "disposition", "death-unrecorded")


@dataclass(frozen=True)
class Plan:
    """A subject's situation at an instant, the notices that stand, and those that silence would bring."""

    decision: Decision
    notices: tuple[NoticeIssued, ...]
    forecast: tuple[NoticeIssued, ...]


def plan(protocol: Protocol, facts: Sequence[Event], as_of: datetime) -> Plan:
    """The plan that a subject's facts give at `as_of` (an aware instant).

    Facts reported after it, and the service's own decisions, are left out. Raises Refused when no
    enrolment stands.
    """
    known = [event for event in facts if event.time <= as_of and _counts(event)]
    life, decision = _replay(protocol, known, as_of)
    return Plan(decision, tuple(_standing(decision)), tuple(_forecast(life, decision)))


def _counts(event: Event) -> bool:
    # The version that an enrolment was pinned to cannot be derived from the facts.
    return not event.own or isinstance(event.data, ProtocolAssigned)


@dataclass
class _Life:
    """A subject as its log grows in virtual time; every notice counts as handed over at once."""

    protocol: Protocol
    log: list[Event]
    issued: set[str]
    subject: Subject | None = None

    def enter(self, fact: Event) -> None:
        self.log.append(fact)
        # Folded as facts come: a long history costs what is new at each step, not its own square.
        self.subject = self.subject.stating(self.log) if self.subject else None

    def enrolled(self) -> bool:
        return self.subject is not None or any(isinstance(each.data, Enrolled) for each in standing(self.log))

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
    waiting = deque(sorted(facts, key=lambda event: (event.time, event.key)))
    wake: datetime | None = None
    while True:
        reported = waiting[0].time if waiting else as_of
        now = min(reported, wake) if wake else reported
        while waiting and waiting[0].time <= now:
            life.enter(waiting.popleft())
        if waiting and not life.enrolled():
            wake = None
            continue
        decision = life.step(now)
        if now >= as_of:
            return life, decision
        wake = min(_next(decision) or as_of, as_of)


def _standing(decision: Decision) -> Iterator[NoticeIssued]:
    """What is due and of use; of alerts all whose reason stands, the repeated ones included."""
    state = decision.subject_state
    wanted_notices = {
        wanted.key: wanted
        for wanted in (*decision.wanted_notices, *repeats(state))
        if wanted.due <= state.now
    }
    rows = [
        wanted for wanted in wanted_notices.values() if wanted.kind == "alert" or wanted.stands(state.now)
    ]
    return (notice(state, wanted, wanted.key) for wanted in sorted(rows, key=_by_due))


def _forecast(life: _Life, decision: Decision) -> Iterator[NoticeIssued]:
    """What would come if nothing were ever recorded again; endless repetitions are cut."""
    told = {wanted.key for wanted in decision.due()}
    rows: dict[str, tuple[WantedNotice, SubjectState]] = {}
    while (now := _next(decision)) is not None:
        decision = life.step(now)
        for wanted in decision.due():
            if wanted.key not in told and not _endless(wanted):
                rows.setdefault(wanted.key, (wanted, decision.subject_state))
    return (
        notice(state, wanted, wanted.key)
        for wanted, state in sorted(rows.values(), key=lambda row: _by_due(row[0]))
    )


def _by_due(wanted: WantedNotice) -> tuple[datetime, str]:
    return wanted.due, wanted.key


def _next(decision: Decision) -> datetime | None:
    """The next wake that brings more than another repetition of what already waits for a person."""
    return wake_at(
        decision.subject_state, [wanted for wanted in decision.wanted_notices if not _endless(wanted)]
    )


def _endless(wanted: WantedNotice) -> bool:
    return wanted.alert in _REPEATED and wanted.number > REPEATS_SHOWN
