"""The oracle: looks at every step of a simulated study whether what must always hold does.

1. Any number of extra wakes, at any times, changes nothing.
2. Any order of arrival in which the same events are accepted gives the same plan; an event twice counts once.
3. No notice key is issued twice, and none is handed over after what makes it pointless was committed.
4. `wake_at` lies ahead, or is None once nothing can come; every journey ends, or waits for a named person
   who is reminded.
5. A kill between steps loses nothing: the log alone gives the same decision again.
6. An infusion is never proposed while on hold or after a stop.
10. Each notice to the site reaches the people on duty, and nobody who is away.

What a kill does to database and hand-over cannot be seen here; the service's own tests kill it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from multiprocessing import get_context
from random import Random
from typing import Any

from deployments.simulation.engine import HORIZON, Step, Study, follow
from deployments.simulation.invariants import duty, participants, statements, telling
from deployments.simulation.invariants.reference import NOTICES, Truth
from deployments.simulation.people.draws import Draws
from deployments.simulation.people.on_duty import duty_of
from deployments.simulation.record import Notice, Record
from itp_events.decisions import Decision
from itp_events.events import Event, NoticeClosed, NoticeIssued, NoticeReopened, NoticeWithdrawn
from itp_events.protocol.model import Protocol
from itp_events.rules.keys import stable

# Repetitions to a person who does not answer come at least this often: five working days and a long holiday.
_REMINDED_WITHIN = timedelta(days=21)
# Fewer studies are done before a second process has started.
_WORTH_PROCESSES = 8
# Judging a whole log anew, event by event, takes as long as a dozen steps: done at the end, and now and then.
_ORDERS_AT_THE_END, _ORDERS_ON_THE_WAY = 4, 0.05


@dataclass(frozen=True)
class Violation:
    """A statement that did not hold, its place, and the log that shows it (as JSON types)."""

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
    """The counts of a check, and the statements that did not hold.

    `weeks` are the weeks of each seed in which somebody was told, so that duty was looked at.
    """

    seeds: int = 0
    subjects: int = 0
    steps: int = 0
    checks: int = 0
    weeks: set[tuple[int, int, int]] = field(default_factory=set)
    violations: list[Violation] = field(default_factory=list)

    def add(self, other: Checked) -> None:
        """Count in what was found elsewhere."""
        self.seeds += other.seeds
        self.subjects += other.subjects
        self.steps += other.steps
        self.checks += other.checks
        self.weeks |= other.weeks
        self.violations += other.violations

    def as_json(self) -> dict[str, Any]:
        """The outcome as JSON types, each violation with the log that shows it."""
        counts = {name: getattr(self, name) for name in ("seeds", "subjects", "steps", "checks")}
        return counts | {
            "weeks": len(self.weeks),
            "violations": [{"problem": str(each), "log": list(each.log)} for each in self.violations],
        }


def check(
    studies: Sequence[Study],
    subjects: int,
    progress: Callable[[int], None] | None = None,
    processes: int = 1,
) -> Checked:
    """Follow the first `subjects` subjects of each study with the oracle looking on.

    The outcome does not depend on how many processes share the work. `progress` is told how many studies are
    done.
    """
    found = Checked()
    for done, each in enumerate(_each(studies, subjects, processes), 1):
        found.add(each)
        if progress:
            progress(done)
    return found


def _each(studies: Sequence[Study], subjects: int, processes: int) -> Iterator[Checked]:
    """The findings of each study, in their order."""
    look = partial(_check_one, subjects)
    if processes == 1 or len(studies) < _WORTH_PROCESSES:
        yield from map(look, studies)
        return
    # Not forked: the caller may have threads, and a copy of their locks would never be released.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(look, studies)


def _check_one(subjects: int, study: Study) -> Checked:
    found = Checked(seeds=1, subjects=subjects)
    for number in range(subjects):
        oracle = Oracle(study, number, found)
        oracle.course(follow(study, number, oracle))
    return found


class Oracle:
    """Watches one subject's course."""

    def __init__(self, study: Study, number: int, found: Checked) -> None:
        self.study, self.found = study, found
        self.code = study.life(number).code
        self.chance: Random = Draws(study.seed, self.code).of("oracle")
        self.issued: dict[str, NoticeIssued] = {}
        self.waiting: dict[str, NoticeIssued] = {}
        self.last: Step | None = None
        self.reminded: datetime | None = None
        self.truth: Truth | None = None
        self.subject_told: list[participants.Told] = []

    def step(self, protocol: Protocol, step: Step) -> None:
        """Everything that can be seen in one step."""
        self.last = step
        self.found.steps += 1
        for statement, problem in self._problems(step):
            self._report(statement, step.now, problem, step.log)

    def hand_over(self, notice: Notice, decision: Decision) -> None:
        """A notice leaves: what it asks for must still stand, by what was decided last and by the log."""
        self.reminded = decision.subject_state.now
        self.waiting.pop(notice.row, None)
        log = self.last.log if self.last else ()
        truth, said = self._truth(log), self.issued[notice.row]
        problems = list(truth.pointless(said, notice.row, decision.subject_state.now))
        if stable(notice.row) not in {stable(wanted.key) for wanted in decision.wanted_notices}:
            problems.append(f"{notice.row} leaves, and nothing asks for it")
        now = decision.subject_state.now
        if participants.is_own(said):
            problems += participants.in_vain(said, log, self.study.protocol.site("01"), now)
            problems += participants.repeated(said, self.subject_told)
            self.subject_told.append(participants.Told(said.visit, said.step, said.facts["t"]))
        else:
            self._on_duty(said.audience, now, log)
        for problem in problems:
            self._report(3, now, problem, log)

    def _on_duty(self, audience: str, now: datetime, log: Sequence[Event]) -> None:
        """A notice to the site reaches who is on duty at that instant."""
        day = self.study.protocol.site("01").date_of(now)
        self.found.checks += 1
        self.found.weeks.add((self.study.seed, *day.isocalendar()[:2]))
        of_site = duty_of(self.study.seed, self.study.start)
        for problem in duty.told(of_site, self.study.protocol.ladder, audience, day):
            self._report(10, now, problem, log)

    def course(self, record: Record) -> None:
        """The course is over: it has ended, or a named person who must act was reminded lately."""
        step = self.last
        if step is None:
            return
        self.found.checks += 1
        for problem in self._left_alone(record, step):
            self._report(4, step.now, problem, step.log)
        for _ in range(_ORDERS_AT_THE_END):
            self._another_order(step)

    def _left_alone(self, record: Record, step: Step) -> Iterator[str]:
        state, wake = step.decision.subject_state, step.decision.wake_at
        end = record.enrolled + HORIZON if record.enrolled else state.now
        if state.exit and wake is not None:
            yield f"{state.phase}, and still it asks to be woken on {wake.isoformat()}"
        if state.exit is None and (self.reminded is None or self.reminded < end - _REMINDED_WITHIN):
            yield f"{state.phase}, and nobody was reminded since {self.reminded}"

    def _report(self, statement: int, now: datetime, problem: str, log: Sequence[Event]) -> None:
        name, seed = self.study.behaviour.name, self.study.seed
        events = tuple(event.to_json() for event in log)
        self.found.violations.append(Violation(statement, name, seed, self.code, now, problem, events))

    def _enter(self, decided: Sequence[Event]) -> None:
        for event in decided:
            data = event.data
            if isinstance(data, NoticeIssued):
                self.issued[event.id] = self.waiting[event.id] = data
            elif isinstance(data, NoticeReopened):
                self.waiting[data.notice] = self.issued[data.notice]
            elif isinstance(data, NoticeWithdrawn | NoticeClosed):
                self.waiting.pop(data.notice, None)

    def _problems(self, step: Step) -> Iterator[tuple[int, str]]:
        issued = set(self.issued)
        truth = self._truth(step.log)
        self._enter(step.decision.events)
        checks: tuple[tuple[int, Iterator[str]], ...] = (
            (
                1,
                statements.extra_wakes(
                    self.study.rules, self.study.protocol, step, self.chance, self._handed(step)
                ),
            ),
            (2, statements.sent_twice(self.study.rules, self.study.protocol, step)),
            (3, statements.keys(step, issued)),
            (3, statements.of_use(step, truth, self.waiting)),
            (4, statements.ahead(step, truth)),
            (5, statements.again(self.study.rules, self.study.protocol, step, self.chance)),
            (6, statements.no_infusion(step, truth)),
            (7, telling.untold(step, truth)),
            (7, telling.stood_down(step, truth)),
            (8, telling.told_anew(step, truth)),
            (9, statements.findings(step, truth)),
        )
        for statement, problems in checks:
            self.found.checks += 1
            for problem in problems:
                yield statement, problem
        if step.accepted and self.chance.random() < _ORDERS_ON_THE_WAY:
            self._another_order(step)

    def _truth(self, log: Sequence[Event]) -> Truth:
        """The log's plain reading, made anew only when more than notices were added."""
        said = sum(not isinstance(event.data, NOTICES) for event in log)
        if self.truth is None or len(self.truth.log) != said:
            self.truth = Truth.of(self.study.protocol, log)
        return self.truth

    def _handed(self, step: Step) -> frozenset[str]:
        """The notices that will have left by the next wake: all issued ones, unless channels fail."""
        if self.study.behaviour.delivery_hours.always != 0:
            return step.handed
        left = {event.id for event in step.decision.events if isinstance(event.data, NoticeIssued)}
        return step.handed | left

    def _another_order(self, step: Step) -> None:
        self.found.checks += 1
        for problem in statements.another_order(self.study.rules, self.study.protocol, step, self.chance):
            self._report(2, step.now, problem, step.log)
