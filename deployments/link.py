"""Whether Prefect answers, and the deployments that it holds for us."""

from __future__ import annotations

import asyncio
import logging

from deployments.apply import apply_deployments, known_deployments
from deployments.server import is_ready
from flows.flow_runs import Deployment, FlowRuns, PrefectProblem, PrefectSilent

log = logging.getLogger(__name__)


class PrefectLink:
    """Found at first use, lost when a call fails, then looked for again; nothing waits for it meanwhile."""

    def __init__(self, api: str) -> None:
        self.api = api
        self.runs = FlowRuns(api)
        self.deployments: dict[str, Deployment] = {}
        self._applied = False
        self._said = ""

    @property
    def answers(self) -> bool:
        """Whether Prefect answered last time and holds the deployments."""
        return bool(self.deployments)

    def note(self, problem: PrefectProblem) -> None:
        """Go on without a Prefect that does not answer; one that refused a single request is still there."""
        if isinstance(problem, PrefectSilent):
            self.lost(problem)
        else:
            log.warning("Left as it is, and looked at again by the next repair: %s", problem)

    def lost(self, reason: PrefectSilent) -> None:
        """Go on without Prefect until it is found again; each reason is said once."""
        if self.answers or str(reason) != self._said:
            log.warning("Going on without Prefect: %s", reason)
        self._said = str(reason)
        self.deployments = {}

    async def find(self) -> bool:
        """Look for Prefect if it is lost; whether it has been found just now."""
        if self.answers or not await asyncio.to_thread(is_ready, self.api):
            return False
        await self.look_up()
        self._said = ""
        log.info("Prefect answers at %s.", self.api)
        return True

    async def look_up(self) -> None:
        """Read the deployments, and create what is missing.

        The first time in a process they are applied in any case: the program may be newer than they are.
        """
        if not self._applied:
            await asyncio.to_thread(apply_deployments)
            self._applied = True
        self.deployments = await asyncio.to_thread(known_deployments, self.runs)
