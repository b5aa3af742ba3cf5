"""A wake that takes too long, in a real Prefect."""

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from deployments import runner
from deployments.hand_overs import HandOvers
from deployments.link import PrefectLink
from deployments.runner import Runner, shared_clients
from deployments.waker import Waker
from flows import runtime
from flows.flow_runs import JOURNEY, Deployment, FlowRuns
from flows.runtime import Runtime
from tasks.advance import Advanced
from tasks.queries import subject
from tests.deployments.test_repair import code, flow_run, is_put_back, journeys, runs, study

__all__ = ["code", "journeys", "runs", "study"]


@dataclass(frozen=True)
class Stuck(Runtime):
    """A study that the flow run waits for in vain."""

    let_go: threading.Event = field(default_factory=threading.Event)

    def advance(self, code: str, now: datetime) -> Advanced:
        """Wait until the test lets go."""
        self.let_go.wait(60)
        return super().advance(code, now)


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
        link = PrefectLink(study.prefect_api)
        link.deployments = {JOURNEY: journeys}
        row = subject(study.store, code)
        assert row is not None
        async with shared_clients():
            await Waker(study, link, Runner(link.runs), HandOvers(study)).wake(row)
        link.runs.close()

    try:
        asyncio.run(wake())
    finally:
        stuck.let_go.set()
        runtime.use(lambda: pytest.fail("no study is open"))
    assert is_put_back(study, runs, code)
    assert flow_run(runs, code).since != before
