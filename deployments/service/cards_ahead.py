"""Makes the cards that a message about a whole site needs, some at a time and before it is made.

A card takes milliseconds of a processor, and a large site has thousands. Made all at once they would keep
back the reminders of the same minutes, and outlast the time that Prefect gives to a digest's flow run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from itertools import islice

from deployments.service.direct_way import DirectWay
from flows.study.runtime import Runtime
from tasks.board import keeping, reading
from tasks.board.story import story
from tasks.database.store import NO_ANSWER
from tasks.database.unreadable import passing_over

# Cards made in one go: between two goes subjects that are due take their turn, and the service may stop.
AT_ONCE = 20
# A message waits no longer than this for subjects that are due.
PATIENCE_SECONDS = 300.0

log = logging.getLogger(__name__)


class CardsAhead:
    """Makes the cards that are behind, as long as `goes_on` says so."""

    def __init__(self, study: Runtime, direct_way: DirectWay, goes_on: Callable[[], bool]) -> None:
        self._study = study
        self._direct_way = direct_way
        self._goes_on = goes_on

    async def make(self, site: str | None = None) -> None:
        """Make the cards of a site that are behind, or everybody's, and keep them; Prefect shows them later.

        The message makes the cards that it lacks, so that a fault here is logged and keeps no message.

        Raises:
            OperationalError: the database does not answer.
        """
        try:
            await self._make(site)
        except NO_ANSWER:
            raise
        except Exception:
            log.exception("The cards of %s could not be made ahead.", f"site {site}" if site else "the study")

    async def _make(self, site: str | None) -> None:
        ends = time.monotonic() + PATIENCE_SECONDS
        store, now = self._study.store, self._study.clock.now()
        behind = iter(await asyncio.to_thread(reading.behind, store, now, site))
        while some := list(islice(behind, AT_ONCE)):
            await self._direct_way.wait_clear(within=ends - time.monotonic())
            if not self._goes_on():
                return
            await asyncio.to_thread(self._keep, some)

    def _keep(self, codes: Sequence[str]) -> None:
        study, unreadable = self._study, dict[str, str]()
        for code in codes:
            with passing_over(code, unreadable):
                now = study.clock.now()
                keeping.keep_ahead(study.store, story(study.store, study.protocol, code, now), now)
