"""The part of a study's work that a Prefect worker does: the flow runs that it takes from the work pool.

It shares the study as rounds do: a subject that a round wakes just now is left to that one, and what it holds
itself is free seconds after it died. It does nothing by itself: waking, handing over again, repairing and all
that is done once stay with the rounds.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack, suppress
from typing import Self

import sqlalchemy as sa

from deployments.bootstrap.lock import sole_service
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.study import open_study
from deployments.service.direct_way import DirectWay
from deployments.service.prefect_link import PrefectLink
from deployments.service.prefect_runs import PrefectRuns
from deployments.service.runner import Runner
from deployments.service.sharing import Sharing
from deployments.service.silent_database import SilentDatabase
from deployments.service.sole_prefect import SolePrefect
from flows.prefect_api.flow_runs import FlowRun, PrefectProblem, PrefectSilent
from flows.study.runtime import Runtime, use
from itp_events.errors import BadInput
from tasks.database.instance import SIGN_SECONDS
from tasks.database.store import NO_ANSWER
from tasks.database.versions import refuse_missing
from tasks.delivery.recipients import let_go

log = logging.getLogger(__name__)


class PoolShare:
    """A study as one worker has it open; everything but `open` is called in one event loop."""

    def __init__(self, study: Runtime, sole: SolePrefect, held: ExitStack) -> None:
        self._study, self._held = study, held
        self._database = SilentDatabase()
        self._sharing = Sharing.of(study)
        # Deployments, the pool and the automation are kept in order by a round.
        self._link = PrefectLink(study, sole, keeps_in_order=lambda: False)
        self._runner = Runner(self._link.runs)
        self._runs = PrefectRuns(study, self._link, self._runner, self._sharing, DirectWay())
        self._executing: set[asyncio.Task[None]] = set()
        self._signs: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the study that the settings name, which no other process of this data directory has open.

        Raises:
            ItpError: one line that says why it cannot be shared with a worker.
        """
        if sa.make_url(settings.database).get_backend_name() == "sqlite":
            raise BadInput(
                "a worker shares the study with rounds, and a SQLite file has one service: use PostgreSQL",
                "ITP_DATABASE_URL",
            )
        with ExitStack() as stack:
            hold = stack.enter_context(sole_service(settings.data_dir.absolute()))
            study = open_study(settings)
            stack.callback(study.store.close)
            refuse_missing(study.store, study.protocol)
            study.instance.note_ended(hold.before)
            hold.sign(study.instance.id)
            use(lambda: study)
            sole = SolePrefect.of(study.store, settings.prefect_api, settings.data_dir)
            return cls(study, sole, stack.pop_all())

    @property
    def place(self) -> str:
        """The machine and the data directory, for people."""
        return self._study.place

    @property
    def reaches_prefect(self) -> bool:
        """Whether Prefect answered last time, and holds the deployments."""
        return self._link.answers

    def begin(self) -> None:
        """Give signs of life from now on."""
        self._signs = asyncio.create_task(self._give_signs())

    async def find_prefect(self) -> None:
        """Look for Prefect if it does not answer."""
        try:
            await self._link.find()
        except PrefectProblem as reason:
            self._link.note(reason)
        except NO_ANSWER as problem:
            self._database.complain(problem)

    def lost_prefect(self, reason: Exception) -> None:
        """Take into account that Prefect did not answer one of its own clients."""
        self._link.lost(PrefectSilent(f"Prefect does not say what is due: {reason!r}"))

    async def execute(self, run: FlowRun) -> None:
        """Execute a flow run that is due, unless another has it; what goes wrong is left to the rounds."""
        task = asyncio.current_task()
        assert task is not None
        self._executing.add(task)
        try:
            await self._runs.execute(run)
        except PrefectProblem as reason:
            self._link.note(reason)
        except NO_ANSWER as problem:
            self._database.complain(problem)
        finally:
            self._executing.discard(task)

    async def end(self, seconds: float) -> bool:
        """Wait so long for what has begun, and leave the study; False when something did not end."""
        self._runner.close()
        running: set[asyncio.Task[None]] = set()
        if self._executing:
            _, running = await asyncio.wait(self._executing, timeout=seconds)
        if self._signs is not None:
            self._signs.cancel()
        with suppress(*NO_ANSWER):
            await asyncio.to_thread(self._sharing.resign)
            await asyncio.to_thread(let_go, self._study.store, self._study.instance.id)
        self._held.close()
        return not running

    async def _give_signs(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._sharing.take_turn, ())
            except NO_ANSWER as problem:
                self._database.complain(problem)
            except Exception:
                log.exception("No sign of life could be given; it is tried again.")
            await asyncio.sleep(SIGN_SECONDS)
