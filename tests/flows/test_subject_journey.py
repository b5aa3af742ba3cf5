"""The flow itself, run by Prefect's engine in this process against a real server."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import uuid4

import pytest
from prefect import State

from deployments.bootstrap.clock import Clock
from deployments.service.runner import Runner, shared_clients
from flows.prefect_api.flow_runs import Deployment, FlowRun, FlowRuns, scheduled
from flows.study import runtime
from flows.study.runtime import Runtime
from flows.subject_journey import subject_journey
from tasks.advance import Advanced
from tasks.delivery.claiming import ClaimAtOnce

pytestmark = pytest.mark.requirement("RUN-02")

FAR = timedelta(days=3)


@dataclass
class Study:
    """Stands for the store and the channels: says where the subject stands, counts what is handed over."""

    standing: Advanced
    clock: Clock = field(default_factory=Clock)
    handed_over: int = 0
    broken: bool = False

    def advance(self, code: str, now: datetime, at_once: ClaimAtOnce | None = None) -> Advanced:
        if self.broken:
            raise ZeroDivisionError("a fault in the program")
        return self.standing

    def hand_over(self, code: str) -> None:
        self.handed_over += 1


@pytest.fixture
def study() -> Iterator[Study]:
    """A subject who waits for INF3 for three days, in a study that the flow finds."""
    wake = datetime.now(UTC) + FAR  # noqa: TID251 - Prefect's timers run by the world's clock
    study = Study(
        Advanced("ITP-001", "Awaiting INF3", "window", "on-treatment", wake, ("site:01",), False, False)
    )
    runtime.use(lambda: cast("Runtime", study))
    yield study
    runtime.use(lambda: pytest.fail("no study is open"))


@pytest.fixture
def run(runs: FlowRuns, journeys: Deployment, study: Study) -> FlowRun:
    """A flow run that waits until tomorrow."""
    return runs.create(journeys, f"ITP-{uuid4().hex[:8]}", scheduled(study.clock.ahead(86_400)))


def wake(runs: FlowRuns, run: FlowRun, times: int = 1) -> list[str | None]:
    """Wake the flow run, once or several times in a row; the states in which it was left."""

    async def execute() -> list[State | None]:
        runner = Runner(runs)
        async with shared_clients():
            return [await runner.run(subject_journey, run, Clock().now()) for _ in range(times)]

    return [state.name if state else None for state in asyncio.run(execute())]


def shown(runs: FlowRuns, run: FlowRun) -> FlowRun:
    found = runs.read(run.id)
    assert found is not None
    return found


def test_a_wake_leaves_the_run_waiting_by_name_until_the_next(
    runs: FlowRuns, run: FlowRun, study: Study
) -> None:
    assert wake(runs, run) == ["Awaiting INF3"]
    now = shown(runs, run)
    assert (now.state_type, now.state_name, now.tags) == ("SCHEDULED", "Awaiting INF3", ("site:01",))
    assert now.planned is not None
    assert study.standing.wake_at is not None
    assert abs(now.planned - study.standing.wake_at) < timedelta(seconds=1)


def test_nothing_is_handed_over_when_nothing_is_due(runs: FlowRuns, run: FlowRun, study: Study) -> None:
    wake(runs, run)
    assert study.handed_over == 0


def test_every_wake_hands_over_anew(runs: FlowRuns, run: FlowRun, study: Study) -> None:
    study.standing = replace(study.standing, due_notices=True)
    wake(runs, run, times=2)
    assert study.handed_over == 2


@pytest.mark.parametrize("state", ["Completed", "Withdrawn: DEATH"])
def test_a_journey_with_nothing_left_to_wait_for_ends_named_as_it_ended(
    runs: FlowRuns, run: FlowRun, study: Study, state: str
) -> None:
    study.standing = replace(study.standing, state=state, exited=True, wake_at=None)
    assert wake(runs, run) == [state]
    assert shown(runs, run).state_type == "COMPLETED"


def test_after_exit_the_run_waits_while_a_safety_report_is_owed(
    runs: FlowRuns, run: FlowRun, study: Study
) -> None:
    study.standing = replace(study.standing, state="Withdrawn: DEATH", exited=True)
    assert wake(runs, run) == ["Withdrawn: DEATH"]
    assert shown(runs, run).state_type == "SCHEDULED"


def test_an_ended_run_goes_on_when_its_subject_s_exit_was_voided(
    runs: FlowRuns, run: FlowRun, study: Study
) -> None:
    going_on = study.standing
    study.standing = replace(going_on, state="Withdrawn: DEATH", exited=True, wake_at=None)
    wake(runs, run)
    study.standing = going_on
    assert wake(runs, run) == ["Awaiting INF3"]


def test_a_second_journey_does_what_is_due_and_ends(
    runs: FlowRuns, journeys: Deployment, run: FlowRun, study: Study
) -> None:
    study.standing = replace(study.standing, due_notices=True)
    started = runs.create_named(journeys, uuid4().hex, {"subject": run.name}, scheduled(study.clock.now()))
    assert wake(runs, started) == ["Second journey"]
    assert (study.handed_over, shown(runs, started).state_type) == (1, "CANCELLED")
    assert shown(runs, run).state_type == "SCHEDULED"


def test_a_failure_of_the_software_shows_as_failed_and_the_run_can_be_woken_again(
    runs: FlowRuns, run: FlowRun, study: Study
) -> None:
    study.broken = True
    assert wake(runs, run) == ["Failed"]
    assert shown(runs, run).state_type == "FAILED"
    study.broken = False
    assert wake(runs, run) == ["Awaiting INF3"]


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "CANCELLING", "CANCELLED"])
def test_a_run_that_somebody_else_has_or_ended_is_not_started(
    runs: FlowRuns, run: FlowRun, state: str
) -> None:
    runs.force(run.id, {"type": state, "name": state.capitalize()})
    assert wake(runs, run) == [None]


def test_a_run_is_never_executed_twice_at_a_time(runs: FlowRuns, run: FlowRun) -> None:
    async def twice() -> list[State | None]:
        runner = Runner(runs)
        async with shared_clients():
            both = (runner.run(subject_journey, run, Clock().now()) for _ in range(2))
            return list(await asyncio.gather(*both))

    states = [state.name if state else None for state in asyncio.run(twice())]
    assert sorted(states, key=str) == ["Awaiting INF3", None]
