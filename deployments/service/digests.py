"""Sends each site's digest at its time: through a flow run, or without Prefect when it is down."""

from __future__ import annotations

import asyncio
import logging
from datetime import date, timedelta

from deployments.service.cards_ahead import CardsAhead
from deployments.service.prefect_link import PrefectLink
from deployments.service.runner import Runner
from deployments.service.sharing import STUDY, Sharing
from flows.daily_digest import DAILY_DIGEST, daily_digest, send_digest
from flows.prefect_api.flow_runs import PrefectProblem, scheduled
from flows.study.runtime import Runtime
from tasks import digest
from tasks.database.store import NO_ANSWER

# What a digest needs is made ready so long before its time: a thousand cards take some ten seconds.
AHEAD = timedelta(minutes=10)

log = logging.getLogger(__name__)


class Digests:
    """Sends the due digests. The outbox knows each by site, date and audience, so that each is sent once."""

    def __init__(
        self, study: Runtime, link: PrefectLink, runner: Runner, sharing: Sharing, cards: CardsAhead
    ) -> None:
        self._study = study
        self._cards = cards
        self._sharing = sharing
        self._link = link
        self._runner = runner

    async def send_due(self) -> None:
        """Send the digests whose time has come, and make the cards of those whose time is near.

        Another service that holds the study does so for this one.
        """
        for site, _ in await self._due(AHEAD) if self._sharing.holds(STUDY) else []:
            await self._cards.make(site)
        for step in (self._by_flow_run, self._directly):
            due = await self._due() if self._sharing.holds(STUDY) else []
            for site, day in due:
                await step(site, day)

    async def _due(self, ahead: timedelta = timedelta(0)) -> list[tuple[str, date]]:
        now = self._study.clock.now()
        return await asyncio.to_thread(digest.due, self._study.store, self._study.protocol, now + ahead)

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
