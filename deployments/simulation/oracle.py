"""The oracle: looks at every step of a simulated study whether what must always hold does.

1. Any number of extra wakes, at any times, changes nothing.
2. Any order of arrival in which the same events are accepted gives the same plan; an event twice counts once.
3. No notice key is issued twice, and none is handed over after what makes it pointless was committed.
4. `wake_at` lies ahead, or is None once nothing can come; every journey ends, or waits for a named person
   who is reminded.
5. A kill between steps loses nothing: the log alone gives the same decision again.
6. An infusion is never proposed while on hold or after a stop.

What a kill does to database and hand-over cannot be seen here; the service's own tests kill it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from deployments.simulation.draws import Draws
from deployments.simulation.engine import HORIZON, Step, Study, follow
from deployments.simulation.record import Notice, Record
from itp_events.decisions import Decision, decide
from itp_events.events import Enrolled, Event, NoticeIssued, NoticeReopened
from itp_events.intake import judge
from itp_events.protocol import Protocol
from itp_events.subject import fold
from itp_events.view import View, view

# Repetitions to a person who does not answer come at least this often: five working days and a long holiday.
_REMINDED_WITHIN = timedelta(days=21)
_CHECKS_OF_ORDER = 3


@dataclass(frozen=True)
class Violation:
    """Which statement did not hold, where, and the log that shows it (as JSON types)."""

    statement: int
    scenario: str
    seed: int
    subject: str
    now: datetime
    problem: str
    log: tuple[dict[str, Any], ...] = ()

    def __str__(self) -> str:
        where = f"{self.scenario}, seed {self.seed}, {self.subject}, {self.now.isoformat()}"
        return f"statement {self.statement}: {self.problem} ({where})"


@dataclass
class Checked:
    """What was looked at, and what did not hold."""

    seeds: int = 0
    subjects: int = 0
    steps: int = 0
    checks: int = 0
    violations: list[Violation] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The outcome as JSON types, each violation with the log that shows it."""
        counts = {name: getattr(self, name) for name in ("seeds", "subjects", "steps", "checks")}
        return counts | {
            "violations": [{"problem": str(each), "log": list(each.log)} for each in self.violations]
        }


def check(studies: Sequence[Study], subjects: int, progress: Callable[[int], None] | None = None) -> Checked:
    """Follow the first `subjects` subjects of each study with the oracle looking on."""
    found = Checked()
    for done, study in enumerate(studies, 1):
        for number in range(subjects):
            oracle = Oracle(study, number, found)
            oracle.course(follow(study, number, oracle))
        found.seeds += 1
        found.subjects += subjects
        if progress:
            progress(done)
    return found


class Oracle:
    """Watches one subject's course."""

    def __init__(self, study: Study, number: int, found: Checked) -> None:
        self.study, self.found = study, found
        self.code = study.life(number).code
        self.chance: Random = Draws(study.seed, self.code).of("oracle")
        self.open_rows: dict[str, bool] = {}
        self.last: Step | None = None
        self.reminded: datetime | None = None

    def step(self, protocol: Protocol, step: Step) -> None:
        """Everything that can be seen in one step."""
        self.last = step
        self.found.steps += 1
        for statement, problem in self._problems(protocol, step):
            self._report(statement, step.now, problem, step.log)

    def hand_over(self, notice: Notice, decision: Decision) -> None:
        """A notice leaves: what it asks for must still stand by what was decided last."""
        self.reminded = decision.seen.now
        for problem in _pointless(notice, decision):
            self._report(3, decision.seen.now, problem, self.last.log if self.last else ())

    def course(self, record: Record) -> None:
        """The course is over: it has ended, or a named person who must act was reminded lately."""
        step = self.last
        if step is None:
            return
        self.found.checks += 1
        seen = step.decision.seen
        end = record.enrolled + HORIZON if record.enrolled else seen.now
        if seen.exit is None and (self.reminded is None or self.reminded < end - _REMINDED_WITHIN):
            self._report(
                4, seen.now, f"{seen.state}, and nobody was reminded since {self.reminded}", step.log
            )
        for problem in self._any_order(step):
            self._report(2, seen.now, problem, step.log)

    def _report(self, statement: int, now: datetime, problem: str, log: Sequence[Event]) -> None:
        name, seed = self.study.behaviour.name, self.study.seed
        events = tuple(event.to_json() for event in log)
        self.found.violations.append(Violation(statement, name, seed, self.code, now, problem, events))

    def _problems(self, protocol: Protocol, step: Step) -> Iterator[tuple[int, str]]:
        checks: tuple[tuple[int, Iterator[str]], ...] = (
            (1, self._extra_wakes(protocol, step)),
            (2, self._twice(protocol, step)),
            (3, self._keys(step)),
            (4, _ahead(step)),
            (5, _again(protocol, step)),
            (6, _no_infusion(step)),
        )
        for statement, problems in checks:
            self.found.checks += 1
            for problem in problems:
                yield statement, problem

    def _extra_wakes(self, protocol: Protocol, step: Step) -> Iterator[str]:
        decision = step.decision
        until = decision.wake_at or step.now + timedelta(days=30)
        between = step.now + (until - step.now) * self.chance.random()
        # What leaves in this step has begun to be handed over by the time of any later wake.
        left = {event.id for event in decision.events if isinstance(event.data, NoticeIssued)}
        delayed = self.study.behaviour.delivery_hours.always != 0
        handed = step.handed if delayed else step.handed | left
        for at in (step.now, between):
            if at >= until:
                continue
            again = decide(protocol, fold(protocol, step.log, handed), at)
            for event in again.events:
                yield f"an extra wake at {at.isoformat()} brings {event.type} {event.id}"
            if again.wake_at != decision.wake_at:
                yield f"an extra wake at {at.isoformat()} moves wake_at {decision.wake_at} to {again.wake_at}"
            if again.state != decision.state:
                yield f"{decision.state!r} is {again.state!r} at {at.isoformat()}, with no wake between"

    def _twice(self, protocol: Protocol, step: Step) -> Iterator[str]:
        if not step.accepted:
            return
        again = judge(protocol, step.log, step.accepted, step.now)
        for verdict in again.verdicts:
            if verdict.status != "known":
                yield f"{verdict.event.id} sent again is {verdict.status}"

    def _keys(self, step: Step) -> Iterator[str]:
        for event in step.decision.events:
            data = event.data
            if isinstance(data, NoticeIssued):
                if event.id in self.open_rows:
                    yield f"{event.id} is issued twice"
                self.open_rows[event.id] = True
            elif isinstance(data, NoticeReopened) and data.notice in step.handed:
                yield f"{data.notice} is reopened after it was handed over"
        ids = [event.key for event in step.log]
        if len(set(ids)) < len(ids):
            yield "two events of the log have the same source and id"

    def _any_order(self, step: Step) -> Iterator[str]:
        """The facts in other orders of arrival: where all are accepted, the plan is the same."""
        facts = [event for event in step.log if not event.own]
        pinned = [event for event in step.log if event.own and event.type == "itp.protocol.assigned"]
        for _ in range(_CHECKS_OF_ORDER):
            mixed = facts[1:]
            self.chance.shuffle(mixed)
            batch = [facts[0], *mixed] if isinstance(facts[0].data, Enrolled) else mixed
            judged = judge(self.study.protocol, pinned, batch, step.now)
            if {event.key for event in judged.accepted} == {event.key for event in facts}:
                self.found.checks += 1
                arrived = fold(self.study.protocol, [*pinned, *judged.accepted])
                yield from _differences(step.decision.seen, view(arrived.protocol, arrived, step.now))


def _differences(one: View, other: View) -> Iterator[str]:
    for name in ("visits", "flags", "stop", "exit"):
        if getattr(one, name) != getattr(other, name):
            yield f"in another order of arrival its {name} are different"


def _ahead(step: Step) -> Iterator[str]:
    wake, seen = step.decision.wake_at, step.decision.seen
    if wake is not None and wake <= step.now:
        yield f"wake_at {wake.isoformat()} does not lie ahead"
    if wake is None and seen.exit is None:
        yield f"{seen.state}: not ended, and nothing will wake it"


def _again(protocol: Protocol, step: Step) -> Iterator[str]:
    """Killed before the step was committed, the service decides the same from the log as it was."""
    before = step.log[: len(step.log) - len(step.decision.events)]
    again = decide(protocol, fold(protocol, before, step.handed), step.now)
    if again.events != step.decision.events or again.wake_at != step.decision.wake_at:
        yield "decided again from the log alone, the decision is another"


def _no_infusion(step: Step) -> Iterator[str]:
    seen = step.decision.seen
    if not (seen.on_hold or seen.stop or seen.exit):
        return
    infusions = {planned.code for planned in seen.visits if planned.visit.epoch == "treatment"}
    for event in step.decision.events:
        data = event.data
        issued = isinstance(data, NoticeIssued) and data.kind == "reminder"
        if issued and isinstance(data, NoticeIssued) and data.visit in infusions:
            yield f"{data.notice} is issued while {step.decision.state}"
    for planned in seen.visits:
        if planned.code in infusions and seen.suggested(planned):
            yield f"{planned.code} is proposed for {seen.suggested(planned)} while {step.decision.state}"


def _pointless(notice: Notice, decision: Decision) -> Iterator[str]:
    seen = decision.seen
    if notice.row not in {duty.key for duty in decision.duties} and "#" not in notice.row:
        yield f"{notice.row} leaves, and nothing asks for it"
    planned = next((each for each in seen.visits if each.code == notice.visit), None)
    if notice.kind == "alert" or planned is None:
        return
    if seen.exit or planned.outcome:
        yield f"{notice.row} leaves, and {notice.visit} is {planned.outcome or 'over'}"
    if notice.kind == "reminder" and planned.visit.epoch == "treatment" and seen.on_hold:
        yield f"{notice.row} leaves while on hold"


def minimal(violation: Violation) -> str:
    """The log that shows a violation, as JSON Lines."""
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in violation.log)
