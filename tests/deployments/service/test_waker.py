"""A wake that takes too long, in a real Prefect."""

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError

from deployments.bootstrap.clock import Clock
from deployments.service import runner
from deployments.service.direct_way import DirectWay
from deployments.service.hand_overs import DueHandOvers
from deployments.service.prefect_link import PrefectLink
from deployments.service.runner import Runner, shared_clients
from deployments.service.sharing import Sharing
from deployments.service.waker import Waker
from flows.prefect_api.flow_runs import JOURNEY, Deployment, FlowRuns, PrefectRefused
from flows.study import runtime
from flows.study.runtime import Runtime
from flows.subject_journey import subject_journey
from itp_events.protocol.file import load_protocol
from tasks.advance import Advanced
from tasks.database.queries import SubjectRow, subject
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tasks.delivery.claiming import ClaimAtOnce
from tests.deployments.service.test_repair import code, flow_run, is_put_back, journeys, runs, study

pytestmark = pytest.mark.requirement("RUN-01")

__all__ = ["code", "journeys", "runs", "study"]


def waker(study: Runtime, link: PrefectLink, runner: Runner) -> Waker:
    """A waker of which nobody else is on the direct way."""
    return Waker(study, link, runner, DueHandOvers(study, Sharing.of(study)), DirectWay())


@dataclass(frozen=True)
class Stuck(Runtime):
    """A study that the flow run waits for in vain."""

    let_go: threading.Event = field(default_factory=threading.Event)

    def advance(self, code: str, now: datetime, at_once: ClaimAtOnce | None = None) -> Advanced:
        """Wait until the test lets go."""
        self.let_go.wait(60)
        return super().advance(code, now, at_once)


def test_a_wake_that_takes_too_long_is_ended_and_its_run_waits_again_at_once(
    study: Runtime,
    runs: FlowRuns,
    journeys: Deployment,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "WAKE_SECONDS", 0.5)
    stuck = Stuck(study.store, study.protocol, study.channels, study.clock, study.prefect_api)
    runtime.use(lambda: stuck)
    before = flow_run(runs, code).since

    async def wake() -> None:
        link = PrefectLink(study)
        link.deployments = {JOURNEY: journeys}
        row = subject(study.store, code)
        assert row is not None
        try:
            async with shared_clients():
                await waker(study, link, Runner(link.runs)).wake(row)
        finally:
            # The loop waits at its end for the thread that is stuck.
            stuck.let_go.set()
        link.runs.close()

    try:
        asyncio.run(wake())
    finally:
        runtime.use(lambda: pytest.fail("no study is open"))
    assert is_put_back(study, runs, code)
    assert flow_run(runs, code).since != before


class Pending(Runner):
    """Stands for a flow run that ends when the test lets it."""

    def __init__(self, let_go: asyncio.Event) -> None:
        self.let_go, self.ended = let_go, False

    @property
    def is_full(self) -> bool:
        return True

    async def run(self, *_: object) -> None:
        """Wait until the test lets go; Prefect did not give it to us."""
        await self.let_go.wait()
        self.ended = True


class Unreachable(Runtime):
    """A study whose database does not answer."""

    def advance(self, code: str, now: datetime, at_once: ClaimAtOnce | None = None) -> Advanced:
        """Fail as a database does that is gone."""
        raise OperationalError("advance", {}, OSError("gone"))


def test_a_subject_is_held_until_its_flow_run_ends_also_when_the_direct_way_fails(tmp_path: Path) -> None:
    """Let go earlier, it would be woken once more beside a flow run that nobody looks after."""
    store = Store.open(f"sqlite:///{tmp_path / 'study.db'}")
    study = Unreachable(store, load_protocol(), Channels.from_config(None), Clock(), "http://127.0.0.1:9/api")

    async def wake() -> bool:
        runner = Pending(asyncio.Event())
        link = PrefectLink(study)
        link.deployments = {JOURNEY: Deployment(uuid4(), uuid4())}
        waking = asyncio.create_task(waker(study, link, runner).wake(_row()))
        done, _ = await asyncio.wait({waking}, timeout=0.2)
        runner.let_go.set()
        with pytest.raises(OperationalError):
            await waking
        link.runs.close()
        return not done and runner.ended

    assert asyncio.run(wake())
    store.close()


@dataclass(frozen=True)
class DueAgain(Runtime):
    """A study whose subject is due again at once, and then never."""

    once: threading.Event = field(default_factory=threading.Event)
    twice: threading.Event = field(default_factory=threading.Event)

    def advance(self, code: str, now: datetime, at_once: ClaimAtOnce | None = None) -> Advanced:
        """Say when the subject is due next."""
        again = not self.once.is_set()
        (self.once if again else self.twice).set()
        return Advanced(code, "s", "m", "on", now if again else None, (), False, False)


def test_a_subject_whose_flow_run_hangs_is_woken_at_its_next_time_all_the_same(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'study.db'}")
    study = DueAgain(store, load_protocol(), Channels.from_config(None), Clock(), "http://127.0.0.1:9/api")

    async def wake() -> bool:
        runner = Pending(asyncio.Event())
        link = PrefectLink(study)
        link.deployments = {JOURNEY: Deployment(uuid4(), uuid4())}
        waking = asyncio.create_task(waker(study, link, runner).wake(_row()))
        woken = await asyncio.to_thread(study.twice.wait, 10)
        runner.let_go.set()
        await waking
        link.runs.close()
        return woken

    assert asyncio.run(wake())
    store.close()


def test_while_others_are_on_the_direct_way_a_subject_is_advanced_and_its_flow_run_follows(
    tmp_path: Path,
) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'study.db'}")
    study = DueAgain(store, load_protocol(), Channels.from_config(None), Clock(), "http://127.0.0.1:9/api")

    async def wake() -> bool:
        runner, way = Pending(asyncio.Event()), DirectWay()
        link = PrefectLink(study)
        link.deployments = {JOURNEY: Deployment(uuid4(), uuid4())}
        async with way.place():
            await Waker(study, link, runner, DueHandOvers(study, Sharing.of(study)), way).wake(_row())
        link.runs.close()
        return study.once.is_set() and not runner.ended

    assert asyncio.run(wake())
    store.close()


def _row() -> SubjectRow:
    now = Clock().now()
    return SubjectRow("ITP-001", "01", "1", 1, "s", "m", "on", (), now, False, str(uuid4()), now, now)


class Claiming:
    """Stands for a Prefect that lets everything be claimed."""

    def propose(self, *_: object) -> bool:
        """Accept the state."""
        return True


def test_an_answer_that_the_engine_does_not_understand_costs_the_subject_no_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The subject is advanced without Prefect: it is Prefect's fault, not the subject's."""

    async def misunderstood(*_: object, **__: object) -> None:
        raise ValueError("9 validation errors for FlowRun")

    monkeypatch.setattr(runner, "run_flow_async", misunderstood)
    journey = Deployment(uuid4(), uuid4()).journey(uuid4(), "ITP-001")
    at_work = Runner(cast("FlowRuns", Claiming()))
    with pytest.raises(PrefectRefused, match="9 validation errors"):
        asyncio.run(at_work.run(subject_journey, journey, Clock().now()))
    assert not at_work.executing
