"""One subject's course in virtual time: people act, judge() lets in what they report, decide() answers.

Nothing of the protocol is modelled here: windows, duties and refusals all come from the rules that run the
service. The engine only moves the time from one act or wake to the next.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol as Interface

from deployments.simulation.people.answering import answer, assess
from deployments.simulation.people.attending import arrange
from deployments.simulation.people.behaviour import Behaviour
from deployments.simulation.people.corrections import correct
from deployments.simulation.people.draws import Draws
from deployments.simulation.people.enrolling import enrol, enrolment_at
from deployments.simulation.people.mishaps import mishaps
from deployments.simulation.people.moment import Act, Life, Moment
from deployments.simulation.people.reminded import agree
from deployments.simulation.record import Notice, Record, notice_of
from deployments.simulation.replayable import overtaken
from deployments.simulation.rules import SERVICE, Rules
from deployments.simulation.summing import close
from itp_events.decisions import Decision
from itp_events.errors import NotEligible
from itp_events.events import (
    Event,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeSuperseded,
    NoticeWithdrawn,
)
from itp_events.protocol.model import Protocol
from itp_events.rules.subject import Subject

# Longer than any course: who has not ended by then waits for a person, and is left waiting.
HORIZON = timedelta(days=730)
_SECOND = timedelta(seconds=1)
_NOTICES = (NoticeIssued, NoticeReopened, NoticeWithdrawn, NoticeClosed, NoticeSuperseded)


@dataclass(frozen=True)
class Step:
    """One step of a subject's course: what was let in, what was decided, what has been handed over."""

    now: datetime
    accepted: tuple[Event, ...]
    log: Sequence[Event]
    subject: Subject
    handed: frozenset[str]
    decision: Decision


class Watch(Interface):
    """Somebody who looks at every step: the oracle."""

    def step(self, protocol: Protocol, step: Step) -> None:
        """Called after each decision was entered in the log."""

    def hand_over(self, notice: Notice, decision: Decision) -> None:
        """Called before each notice leaves, with what was decided immediately before."""


@dataclass(frozen=True)
class Study:
    """The parts of a run that all its subjects share."""

    protocol: Protocol
    behaviour: Behaviour
    seed: int
    start: date
    rules: Rules = SERVICE

    def awake(self, instant: datetime) -> datetime:
        """`instant`, or the end of the outage in which it lies."""
        midnight = self.protocol.site("01").midnight
        for outage in sorted(self.behaviour.outages, key=lambda each: each.from_day):
            begins = midnight(self.start + timedelta(days=outage.from_day))
            ends = begins + timedelta(days=outage.days)
            if begins <= instant < ends:
                instant = ends  # another may have begun by then
        return instant

    def life(self, number: int) -> Life:
        """Subject `number`, counted from 0."""
        code = f"SIM-{number + 1:04d}"
        return Life(code, self.behaviour, Draws(self.seed, code), self.protocol.site("01"))


def follow(study: Study, number: int, watch: Watch | None = None) -> Record:
    """Follow subject `number` (from 0) from enrolment to the end of its journey, and return its record.

    A statement that a late record overtakes is left unsaid, so that one file can hold the course; `watch`
    sees it.
    """
    unsaid: frozenset[str] = frozenset()
    record = _Course(study, number, watch, unsaid).run()
    while not watch and (more := overtaken(study.protocol, record) - unsaid):
        unsaid |= more
        record = _Course(study, number, watch, unsaid).run()
    return record


class _Course:
    def __init__(self, study: Study, number: int, watch: Watch | None, unsaid: frozenset[str]) -> None:
        self.study, self.watch, self.unsaid = study, watch, unsaid
        self.life = study.life(number)
        self.record = Record(self.life.code)
        self.log: list[Event] = []
        self.handed: set[str] = set()
        self.rows: dict[str, Notice] = {}
        self.issued: dict[str, NoticeIssued] = {}
        self.decision: Decision | None = None
        self.agenda: list[tuple[datetime, int, Act]] = []
        self.count = 0
        self.now = datetime.min.replace(tzinfo=UTC)
        enrolled = enrolment_at(self.life, number, study.start)
        self.horizon = enrolled + HORIZON
        self._plan(Act(enrolled, enrol))

    def run(self) -> Record:
        while (now := self._next()) is not None and now <= self.horizon:
            self._step(now)
        return close(self.record, self.decision, self.log, self.rows.values())

    def _plan(self, *acts: Act) -> None:
        for act in acts:
            self.count += 1
            at = max(act.at, self.now).replace(microsecond=0) + _SECOND
            heapq.heappush(self.agenda, (at, self.count, act))

    def _next(self) -> datetime | None:
        """The next instant at which somebody acts or the service asked to be woken; not in an outage."""
        wake = self.decision.wake_at if self.decision else None
        acts = [self.agenda[0][0]] if self.agenda else []
        ahead = [*acts, *([wake] if wake else [])]
        return self.study.awake(min(ahead)) if ahead else None

    def _step(self, now: datetime) -> None:
        self.now = now
        wake = self.decision.wake_at if self.decision else None
        accepted = self._act(now)
        if not accepted and (wake is None or wake > now):
            return
        self._decide(now, accepted)

    def _act(self, now: datetime) -> tuple[Event, ...]:
        state = self.decision.subject_state if self.decision else None
        moment = Moment(self.life, now, state)
        while self.agenda and self.agenda[0][0] <= now:
            heapq.heappop(self.agenda)[2].do(moment)
        self._plan(*moment.plans)
        said = [event for event in moment.said if event.id not in self.unsaid]
        return self._let_in(said, now) if said else ()

    def _let_in(self, said: list[Event], now: datetime) -> tuple[Event, ...]:
        judgement = self.study.rules.judge(self.study.protocol, self.log, said, now)
        for verdict in judgement.verdicts:
            if isinstance(verdict.error, NotEligible):
                self.record.not_eligible = "; ".join(verdict.error.unmet)
            elif verdict.error is not None:
                rule = getattr(verdict.error, "rule", "malformed")
                self.record.refused.append((verdict.event.type, rule, str(verdict.error)))
        self.log += judgement.accepted
        return judgement.accepted

    def _decide(self, now: datetime, accepted: tuple[Event, ...] = ()) -> None:
        subject = self._subject(accepted)
        self.decision = self.study.rules.decide(subject, now)
        self.log += self.decision.events
        self.record.steps += 1
        if self.watch:
            self.watch.step(
                self.study.protocol, Step(now, accepted, self.log, subject, subject.handed, self.decision)
            )
        self._enter(self.decision.events)
        self._react(self.decision, accepted)

    def _subject(self, accepted: tuple[Event, ...]) -> Subject:
        """The subject that the log gives; folded anew only when people stated something."""
        if accepted or self.decision is None:
            return self.study.rules.fold(self.study.protocol, self.log, self.handed)
        return self.decision.subject_state.subject.decided(self.decision.events, self.handed)

    def _enter(self, events: Sequence[Event]) -> None:
        for event in events:
            data = event.data
            if isinstance(data, NoticeIssued):
                self.rows[event.id] = notice_of(event, data)
                self.issued[event.id] = data
                self._queue(event.id, event.time)
            elif isinstance(data, NoticeReopened):
                self.rows[data.notice].ended = None
                self._queue(data.notice, event.time)
            elif isinstance(data, NoticeWithdrawn | NoticeClosed):
                self.rows[data.notice].ended = data.reason

    def _queue(self, row: str, now: datetime) -> None:
        hours = self.study.behaviour.delivery_hours.draw(self.life.draws.of("delivery", row))
        if hours <= 0:
            self._hand_over(row, now)
        else:
            self._plan(Act(now + timedelta(hours=hours), lambda moment: self._retry(row, moment.now)))

    def _retry(self, row: str, now: datetime) -> None:
        """The channel answers again: decide first, as the sender does, then hand over what still stands."""
        if row not in self.handed:
            self._decide(now)
            if self.rows[row].ended is None:
                self._hand_over(row, now)

    def _hand_over(self, row: str, now: datetime) -> None:
        notice = self.rows[row]
        if self.watch and self.decision:
            self.watch.hand_over(notice, self.decision)
        notice.sent = notice.sent or now
        self.handed.add(row)
        if self.decision:
            self._plan(*answer(self.life, self.decision.subject_state, self.issued[row]))

    def _react(self, decision: Decision, accepted: Sequence[Event]) -> None:
        if self.record.enrolled is None:
            self.record.enrolled = decision.subject_state.now
            self._plan(*mishaps(self.life, decision.subject_state.now))
            self._plan(*agree(self.life, decision.subject_state))
        self._plan(
            *correct(self.life, decision.subject_state.now, accepted),
            *arrange(self.life, decision.subject_state),
        )
        if accepted or any(not isinstance(event.data, _NOTICES) for event in decision.events):
            self._plan(*assess(self.life, decision.subject_state))
