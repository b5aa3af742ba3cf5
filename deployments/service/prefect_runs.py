"""Executes what Prefect has due besides the wakes: events from forms, runs that somebody started or woke."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect import Flow

from deployments.prefect.deployments import FLOWS
from deployments.service.direct_way import DirectWay
from deployments.service.interrupted_forms import InterruptedForms
from deployments.service.prefect_link import PrefectLink
from deployments.service.runner import Runner
from deployments.service.sharing import Sharing
from flows.prefect_api.flow_runs import DUE_AT_ONCE, JOURNEY, FlowRun, PrefectProblem
from flows.study.runtime import Runtime
from flows.subject_journey import subject_journey
from tasks.database.queries import next_wake

log = logging.getLogger(__name__)


class PrefectRuns:
    """The flow runs that were begun because Prefect has them due."""

    def __init__(
        self, study: Runtime, link: PrefectLink, runner: Runner, sharing: Sharing, direct_way: DirectWay
    ) -> None:
        self._study = study
        self._sharing = sharing
        self._link = link
        self._runner = runner
        self._direct_way = direct_way
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = self._world()

    @property
    def begun(self) -> list[asyncio.Task[None]]:
        """Those that have not ended."""
        return list(self._tasks)

    async def begin_due(self) -> None:
        """Begin the runs that are due in Prefect.

        Raises:
            PrefectProblem: Prefect does not answer.
            OperationalError: the database does not answer; then nothing is begun.
        """
        if not self._link.answers:
            return
        # A database that does not answer is told apart here, before runs are begun that must wait for it.
        await asyncio.to_thread(next_wake, self._study.store)
        flows = {known.id: FLOWS[name] for name, known in self._link.deployments.items()}
        due = await asyncio.to_thread(self._due, self._world(), self._runner.executing)
        known = [(run, flows[run.deployment_id]) for run in due if run.deployment_id in flows]
        codes = {run.key for run, flow in known if flow is subject_journey and run.key}
        taken = await asyncio.to_thread(self._sharing.take, codes)
        for run, flow in known:
            code = run.key if flow is subject_journey else None
            # The journey of a subject that another service wakes just now is left to that one.
            if code is None or code in taken:
                task = asyncio.create_task(self._run(run, flow, code))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def execute(self, run: FlowRun) -> None:
        """Execute a run that is due, unless another service has it, or it may not be executed.

        Raises:
            PrefectProblem: Prefect does not answer.
            OperationalError: the database does not answer; then nothing is begun.
        """
        known = {each.id: name for name, each in self._link.deployments.items()}
        name = known.get(run.deployment_id) if run.deployment_id is not None else None
        if name is None or not await asyncio.to_thread(self._link.admit, [run]):
            return
        code = run.key if name == JOURNEY else None
        taken = set() if code is None else await asyncio.to_thread(self._sharing.take, {code})
        if code is None or code in taken:
            await self._run(run, FLOWS[name], code)

    async def take_up(self) -> None:
        """Plan anew the forms that a killed process has left.

        Raises:
            PrefectProblem: Prefect does not answer.
        """
        others = [known for name, known in self._link.deployments.items() if name != JOURNEY]
        if others:
            interrupted = InterruptedForms(self._link.runs, others, self._began)
            await asyncio.to_thread(interrupted.take_up, self._runner.executing, self._world())

    def _due(self, world: datetime, executing: Collection[UUID]) -> list[FlowRun]:
        """Journeys and forms alike; many journeys due at the same minute keep no form waiting."""
        known = self._link.deployments
        due = self._link.runs.due(known.values(), world)
        if len(due) >= DUE_AT_ONCE:
            due += self._link.runs.due([known[name] for name in known if name != JOURNEY], world)
        return self._link.admit(run for run in due if run.id not in executing)

    async def _run(self, run: FlowRun, flow: Flow[..., Any], code: str | None) -> None:
        try:
            # A person waits for the outcome of a form, so that a form waits for no reminder.
            behind = self._direct_way if flow is subject_journey else None
            await self._runner.run(flow, run, self._world(), behind)
        except PrefectProblem as reason:
            self._link.note(reason)
        except Exception:
            log.exception("The flow run %s could not be executed.", run.name)
        finally:
            if code is not None:
                self._sharing.leave(code)

    def _world(self) -> datetime:
        """The world's present instant, UTC: what Prefect's timers are set by."""
        return self._study.wall()
