"""Executes flow runs in this process: claimed from Prefect, run by its engine, bounded in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.schemas.objects import FlowRun as EngineRun
from prefect.client.schemas.objects import State, StateDetails, StateType
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.exceptions import Abort, ObjectNotFound, Pause
from prefect.flow_engine import run_flow_async

from deployments.service.direct_way import DirectWay
from flows.prefect_api.flow_runs import FlowRun, FlowRuns, PrefectRefused, PrefectSilent, pending, problem_of
from tasks.limits import FLOW_RUNS

# A wake takes well below a second; the sends that it waits for take 30 s at most.
WAKE_SECONDS = 60.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def shared_clients() -> AsyncIterator[None]:
    """Let all flow runs in this context share one client of each kind.

    Otherwise the engine opens clients for each run, whose TLS contexts cost four fifths of a wake.
    """
    async with AsyncClientContext.get_or_create():
        with SyncClientContext.get_or_create():
            yield


class Runner:
    """Executes flow runs, four of them side by side, and none twice at a time."""

    def __init__(self, runs: FlowRuns) -> None:
        self._runs = runs
        self._places = asyncio.Semaphore(FLOW_RUNS)
        self._executing: set[UUID] = set()
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether a run would have to wait for a place."""
        return len(self._executing) >= FLOW_RUNS

    def close(self) -> None:
        """Claim nothing more."""
        self._closed = True

    @property
    def executing(self) -> frozenset[UUID]:
        """The flow runs that are claimed or being executed here."""
        return frozenset(self._executing)

    async def run(
        self, flow: Flow[..., Any], run: FlowRun, at: datetime, behind: DirectWay | None = None
    ) -> State | None:
        """Claim a run as planned for `at` (the world's instant) and execute it.

        A run `behind` the direct way is claimed once that is clear.

        Returns the state in which the run was left, or None when Prefect did not let this process claim it.

        Raises:
            PrefectProblem: Prefect stopped answering, or refused; the flow's effects until then stand.
        """
        if run.id in self._executing:
            return None
        self._executing.add(run.id)
        try:
            async with self._place(behind):
                if self._closed or not await asyncio.to_thread(self._runs.propose, run.id, pending(at)):
                    return None
                return await _execute(flow, _for_engine(run, at))
        finally:
            self._executing.discard(run.id)

    @asynccontextmanager
    async def _place(self, behind: DirectWay | None) -> AsyncIterator[None]:
        while True:
            if behind is not None:
                await behind.wait_clear()
            async with self._places:
                # A subject may have come onto the direct way while this run waited for its place.
                if behind is None or behind.is_clear:
                    yield
                    return


async def _execute(flow: Flow[..., Any], run: EngineRun) -> State | None:
    try:
        async with asyncio.timeout(WAKE_SECONDS):
            return await run_flow_async(flow, flow_run=run, parameters=run.parameters, return_type="state")
    except Pause as left:
        return left.state
    except Abort as refused:
        log.warning("Prefect stopped the run %s: %s", run.name, refused)
        return None
    except TimeoutError:
        log.error("The run %s took more than %g s and was ended.", run.name, WAKE_SECONDS)
        return State(type=StateType.CRASHED)
    except ObjectNotFound as problem:
        raise PrefectRefused(f"the run {run.name} was deleted while it was executed") from problem
    except httpx.HTTPStatusError as problem:
        raise problem_of(problem.response) from problem
    except httpx.HTTPError as problem:
        raise PrefectSilent(f"Prefect stopped answering in the run {run.name}: {problem}") from problem
    except Exception as problem:
        # An error of the flow is a state of its run. This error is the engine's, about an answer of Prefect.
        raise PrefectRefused(f"the run {run.name} could not be executed: {problem!r:.200}") from problem


def _for_engine(run: FlowRun, at: datetime) -> EngineRun:
    # Without its deployment: the engine would open a websocket for it, to watch for a suspension that a run
    # of some milliseconds never sees.
    claimed = State(type=StateType.PENDING, state_details=StateDetails.model_validate({"scheduled_time": at}))
    return EngineRun(
        id=run.id,
        flow_id=run.flow_id,
        name=run.name,
        parameters=run.parameters,
        tags=list(run.tags),
        state=claimed,
    )
