"""The type of the workers that serve the study's work pool: they execute flow runs in their own process.

`itp worker` starts one, and so does `prefect worker start --pool itp-visits`, which finds the type by this
package's entry point. Prefect's own workers start a process for each run, which costs seconds of CPU for a
wake of milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

import httpx
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from deployments.prefect.pool import DESCRIPTION, POOL, TEMPLATE, worker_name

if TYPE_CHECKING:
    import anyio.abc
    from prefect.client.schemas.objects import FlowRun

    from deployments.service.pool_share import PoolShare

# Runs that are taken at once: some wait for a place, so that none stays empty until the next look.
AT_ONCE = 50
# What has begun is given so long to end; service managers kill after more.
DRAIN_SECONDS = 10.0
# Prefect writes two lines into its database for each run that a worker takes; they say nothing.
QUIET = "prefect.flow_runs.worker"

log = logging.getLogger(__name__)


class VisitsWorkerResult(BaseWorkerResult):
    """That a run was executed; how it ended is its state."""


class VisitsWorker(BaseWorker[BaseJobConfiguration, BaseVariables, VisitsWorkerResult]):
    """Takes the study's flow runs from its work pool. The study is the one that the settings name."""

    type = POOL
    _description = DESCRIPTION
    _display_name = "Study visits"

    def __init__(self, work_pool_name: str = POOL, **options: Any) -> None:
        # Without a limit it would claim all that is due, and execute it four at a time.
        options["limit"] = options.get("limit") or AT_ONCE
        # A run that is claimed ahead of its time is kept from those who could execute it.
        super().__init__(work_pool_name, **options | {"prefetch_seconds": 0})
        self._named = bool(options.get("name"))
        self._share: PoolShare | None = None
        self.drained = True
        # How often it has looked at the pool, whatever Prefect said to it.
        self.beats = 0
        logging.getLogger(QUIET).setLevel(logging.WARNING)

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """A template without variables: nothing can be set for a run."""
        return TEMPLATE

    async def setup(self) -> None:
        """Open the study, then register with Prefect.

        Raises:
            ItpError: one line that says why the study cannot be opened.
        """
        # The service's own parts are loaded here: Prefect's server loads this module to know the type.
        from deployments.bootstrap.settings import load_settings
        from deployments.service.pool_share import PoolShare

        self._share = await asyncio.to_thread(PoolShare.open, load_settings())
        if not self._named:
            self.name = worker_name(self._share.place)
        self._share.begin()
        await self._share.find_prefect()
        await super().setup()

    async def teardown(self, *exc_info: Any) -> None:
        """Let what has begun end, and leave the study to the others."""
        if self._share is not None:
            self.drained = await self._share.end(DRAIN_SECONDS)
            self._share = None
        await super().teardown(*exc_info)

    async def start(self, *args: Any, **options: Any) -> None:
        """Work until the task is cancelled; all runs share one client of each kind."""
        from deployments.service.runner import shared_clients

        async with shared_clients():
            await super().start(*args, **options)

    async def sync_with_backend(self) -> None:
        """Say that this worker is at work, when Prefect answers.

        By itself Prefect's worker ends after some minutes without an answer.
        """
        try:
            await super().sync_with_backend()
        except httpx.HTTPError as problem:
            log.info("Prefect does not hear that this worker is at work: %r", problem)

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Take what is due; nothing while Prefect does not answer, or holds no deployment."""
        assert self._share is not None
        self.beats += 1
        await self._share.find_prefect()
        if not self._share.reaches_prefect:
            return []
        try:
            return await super().get_and_submit_flow_runs()
        except httpx.HTTPError as problem:
            self._share.lost_prefect(problem)
            return []

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> VisitsWorkerResult:
        """Claim a flow run and execute it in this process."""
        from flows.prefect_api.flow_runs import FlowRun as Due

        assert self._share is not None
        if task_status is not None:
            task_status.started(os.getpid())
        await self._share.execute(Due.of(flow_run.model_dump(mode="json")))
        return VisitsWorkerResult(status_code=0, identifier=str(os.getpid()))

    async def _submit_run(self, flow_run: FlowRun) -> None:
        # Prefect's own way prepares a process first: six calls, which cost its server more than the run does.
        try:
            await self.run(flow_run, self.job_configuration())
        finally:
            self._release_limit_slot(flow_run.id)
            self._submitting_flow_run_ids.discard(flow_run.id)
            if self._cancelling_observer is not None:
                self._cancelling_observer.remove_in_flight_flow_run_id(flow_run.id)
