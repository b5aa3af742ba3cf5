"""Runs the service's loop in a thread of its own.

In the main thread Prefect would replace the handler of SIGTERM while a flow runs, and the service could not
stop in order.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from deployments.service.backups import BackupPlan
from deployments.service.loop import DRAIN_SECONDS, ServiceLoop
from deployments.service.sole_prefect import SolePrefect
from flows.study.runtime import Runtime
from tasks.integrity.stamps import Authority
from tasks.limits import LOOP_THREADS

log = logging.getLogger(__name__)


class ServiceThread(threading.Thread):
    """Runs the service's loop until `stop`."""

    def __init__(
        self,
        study: Runtime,
        repair_seconds: float,
        sole: SolePrefect | None = None,
        backups: BackupPlan | None = None,
        authority: Authority | None = None,
    ) -> None:
        super().__init__(name="service-loop", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(LOOP_THREADS, "effects"))
        self._service_loop = ServiceLoop(study, repair_seconds, sole, backups, authority)
        self._drained = False

    @property
    def prefect_answers(self) -> bool:
        """Whether Prefect answered the loop last time."""
        return self._service_loop.link.answers

    @property
    def beats(self) -> int:
        """The number of times that the loop has come round; one that stays the same is a loop that hangs."""
        return self._service_loop.beats

    def run(self) -> None:
        """Run the loop; called by `start`."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._go())

    def ask_to_stop(self) -> None:
        """Begin nothing more."""
        self._loop.call_soon_threadsafe(self._service_loop.stop)

    def stop(self) -> bool:
        """Wait until everything that has begun ends, for 12 s at most; False when something did not.

        The next start takes up the rest.
        """
        self.ask_to_stop()
        self.join(DRAIN_SECONDS + 2)
        return self._drained

    async def _go(self) -> None:
        try:
            self._drained = await self._service_loop.go()
        except Exception:
            log.exception("The service cannot go on.")
