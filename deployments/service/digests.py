"""Sends each site's digest at its time: through a flow run, or without Prefect when it is down."""

from __future__ import annotations

import asyncio
import logging
from datetime import date

from deployments.service.prefect_link import PrefectLink
from deployments.service.runner import Runner
from deployments.service.sharing import STUDY, Sharing
from flows.daily_digest import DAILY_DIGEST, daily_digest, send_digest
from flows.prefect_api.flow_runs import PrefectProblem, scheduled
from flows.study.runtime import Runtime
from tasks import digest
from tasks.database.store import NO_ANSWER

log = logging.getLogger(__name__)


class Digests:
    """Sends the due digests. The outbox knows each by site, date and audience, so that each is sent once."""

    def __init__(self, study: Runtime, link: PrefectLink, runner: Runner, sharing: Sharing) -> None:
        self._study = study
        self._sharing = sharing
        self._link = link
        self._runner = runner

    async def send_due(self) -> None:
        """Send the digests whose time has come, if it is this service that sends them."""
        for step in (self._by_flow_run, self._directly):
            due = await self._due() if self._sharing.holds(STUDY) else []
            for site, day in due:
                await step(site, day)

    async def _due(self) -> list[tuple[str, date]]:
        return await asyncio.to_thread(
            digest.due, self._study.store, self._study.protocol, self._study.clock.now()
        )

    async def _directly(self, site: str, day: date) -> None:
        try:
            await asyncio.to_thread(send_digest, self._study, site)
        except NO_ANSWER:
            raise
        except Exception:
            # A failure at one site must not keep the other sites' digests.
            log.exception("The digest of site %s for %s could not be made; it is tried again.", site, day)

    async def _by_flow_run(self, site: str, day: date) -> None:
        deployment = self._link.deployments.get(DAILY_DIGEST)
        if deployment is None:
            return
        clock = self._study.clock
        world = clock.wall(clock.now())
        name = f"digest {site} {day}"
        try:
            run = await asyncio.to_thread(
                self._link.runs.create_named, deployment, name, {"site": site}, scheduled(world)
            )
            await self._runner.run(daily_digest, run, world)
        except PrefectProblem as reason:
            log.info("The digest of site %s goes out without a flow run: %s", site, reason)
