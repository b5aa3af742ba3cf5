"""The connection to Prefect: whether it answers, its deployments, and the automation for events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from deployments.prefect.deployments import is_in_order, known_deployments, wanted
from deployments.prefect.pool import pool_id
from deployments.prefect.server_process import is_ready
from deployments.prefect.trigger import EventTrigger
from deployments.service.sole_prefect import SolePrefect
from flows.prefect_api.flow_runs import (
    RECORD_EVENT,
    Deployment,
    FlowRun,
    PrefectProblem,
    PrefectSilent,
    refused_state,
)
from flows.prefect_api.setup import Setup
from flows.study.runtime import Runtime
from tasks.database.monitoring import shared_clock
from tasks.database.repairs import note_repair

ALTERED = (
    "not recorded: the automation that brought it is not the service's own, or had been changed by somebody; "
    "it is put back, and what was posted gets another run within a minute"
)

log = logging.getLogger(__name__)


class PrefectLink:
    """Prefect as the service last found it. It is lost when a call fails, and looked for again by `find`."""

    def __init__(
        self,
        study: Runtime,
        sole: SolePrefect | None = None,
        keeps_in_order: Callable[[], bool] = lambda: True,
    ) -> None:
        """`keeps_in_order`: whether it is this service that applies the deployments and the automation."""
        self.api = study.prefect_api
        self._is_reached = False
        self._keeps_in_order = keeps_in_order
        self.runs = Setup(self.api)
        self.deployments: dict[str, Deployment] = {}
        self.study, self._sole_prefect = study, sole
        self._contents = wanted(tuple(study.protocol.by_code))
        self._applied = False
        # The id of the work pool, by which several servers of one Prefect are known as one.
        self._pool: str | None = None
        self._said = ""

    @property
    def answers(self) -> bool:
        """Whether Prefect answered last time and holds the deployments."""
        return bool(self.deployments)

    @property
    def is_there(self) -> bool:
        """Whether something answered at its address last time, also before the deployments are there.

        A call may fail during a look at the deployments that succeeds after it: Prefect is there then.
        """
        return self._is_reached or self.answers

    def note(self, problem: PrefectProblem) -> None:
        """Take a failed call into account: a Prefect that is silent is lost, one that refused is not."""
        if isinstance(problem, PrefectSilent):
            self.lost(problem)
        elif str(problem) != self._said:
            self._said = str(problem)
            log.warning("Left as it is in Prefect, and tried again: %s", problem)

    def lost(self, reason: PrefectSilent) -> None:
        """Go on without Prefect until it is found again; the log names each reason once."""
        if self.answers or str(reason) != self._said:
            log.warning("Going on without Prefect: %s", reason)
        self._said = str(reason)
        self.deployments, self._is_reached, self._pool = {}, False, None

    async def find(self) -> bool:
        """Look for Prefect if it is lost; True when it has just been found."""
        if self.answers:
            return False
        self._is_reached = await asyncio.to_thread(is_ready, self.api)
        if not self._is_reached:
            return False
        await asyncio.to_thread(self._hold)
        await self.look_up()
        if not self.deployments:
            return False
        self._said = ""
        log.info("Prefect answers at %s.", self.api)
        return True

    async def look_up(self) -> None:
        """Read the deployments; create missing ones, and put back changed ones.

        Where another service does that, some are missing until it has: then Prefect does not answer yet.
        """
        look = self._look_up if self._keeps_in_order() else self._read
        self.deployments = await asyncio.to_thread(look)

    async def keep_in_order(self) -> None:
        """Put back deployments and the automation if they were changed since the last look."""
        await asyncio.to_thread(self._hold)
        if self.answers and self._keeps_in_order() and not await asyncio.to_thread(self._is_in_order):
            await self.look_up()

    def admit(self, due: Iterable[FlowRun]) -> list[FlowRun]:
        """The due runs that may be executed; the others are ended with the reason in their state."""
        runs, recording = list(due), self.deployments.get(RECORD_EVENT)
        brought = [run for run in runs if recording and run.deployment_id == recording.id and run.made_by]
        if recording is None or not brought:
            return runs
        trigger = EventTrigger(self.study.store, self.runs, recording)
        self._put_back(trigger)
        denied = {run.id for run in brought if not trigger.brought(run)}
        for each in denied:
            self.runs.force(each, refused_state(ALTERED))
            self._say(f"the run {each} carried an event that a changed automation had brought; refused")
        return [run for run in runs if run.id not in denied]

    def _hold(self) -> None:
        """Keep other services from showing this study in another Prefect."""
        if self._sole_prefect is not None:
            if self._pool is None and self.is_there:
                self._pool = pool_id(self.runs)
            self._sole_prefect.hold(shared_clock(self.study.store, self.study.wall()), self._pool)

    def _read(self) -> dict[str, Deployment]:
        found = {name: self.runs.deployment(name) for name in self._contents}
        known = {name: deployment for name, deployment in found.items() if deployment is not None}
        return known if len(known) == len(found) else {}

    def _look_up(self) -> dict[str, Deployment]:
        found, mended = known_deployments(self.runs, self._contents)
        if self._applied:
            for what in mended:
                self._say(f"{what}; put back")
        elif mended:
            # After an upgrade the deployments are older than the program; at the first start there are none.
            log.info("Brought up to date in Prefect: %d of %d deployments.", len(mended), len(found))
        self._applied = True
        self._put_back(EventTrigger(self.study.store, self.runs, found[RECORD_EVENT]))
        return found

    def _is_in_order(self) -> bool:
        known = self.deployments
        if known:
            self._put_back(EventTrigger(self.study.store, self.runs, known[RECORD_EVENT]))
        return is_in_order(self.runs, self._contents, known)

    def _put_back(self, trigger: EventTrigger) -> None:
        if what := trigger.put_back():
            self._say(f"{what}; put back")

    def _say(self, what: str) -> None:
        log.warning("In Prefect %s.", what)
        note_repair(self.study.store, f"in Prefect {what}", self.study.clock.now())
