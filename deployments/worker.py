"""`itp worker`: a Prefect worker for the study's work pool, on one of several machines."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from deployments.bootstrap.abort import leave
from deployments.bootstrap.alive import Alive
from deployments.bootstrap.data_dir import writable
from deployments.bootstrap.logs import say, say_as, set_up_logs
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.stop_signals import StopSignals
from deployments.loading import loading
from deployments.prefect.server_process import auth_environment, prefect_environment, proxy_environment
from tasks.limits import LOOP_THREADS

if TYPE_CHECKING:
    from deployments.pool_worker import VisitsWorker

# How soon Ctrl-C and a worker that ended are noticed.
WATCH_SECONDS = 0.2
# Between two looks at the pool: a wake that no round could begin is seconds late.
LOOK_SECONDS = "2"


def main(settings: Settings) -> int:
    """Serve the work pool until Ctrl-C or SIGTERM. Returns exit code 0 when everything begun has ended.

    Raises:
        ItpError: one line that says why it cannot start.
    """
    asked = StopSignals()
    say_as(settings.log_format)
    data_dir = writable(settings.data_dir.absolute())
    # Prefect reads these when it is loaded.
    os.environ.update(auth_environment(settings.prefect_auth.get_secret_value()))
    os.environ.update(prefect_environment(data_dir / "prefect", settings.prefect_api))
    os.environ.update(proxy_environment(os.environ))
    os.environ.setdefault("PREFECT_WORKER_QUERY_SECONDS", LOOK_SECONDS)
    with loading():
        from deployments.pool_worker import VisitsWorker

    set_up_logs(data_dir / "logs", settings.log_format)
    at_work = _AtWork(VisitsWorker())
    at_work.start()
    alive = Alive(data_dir)
    while not asked.wait(WATCH_SECONDS) and at_work.is_alive():
        alive.sign(at_work.worker.beats)
    if at_work.is_alive():
        say("Stopping ...")
    at_work.stop()
    if not at_work.worker.drained:
        leave()
    return 0


class _AtWork(threading.Thread):
    """Runs a worker in a thread: in the main one Prefect would replace the handler of SIGTERM."""

    def __init__(self, worker: VisitsWorker) -> None:
        super().__init__(name="worker", daemon=True)
        self.worker = worker
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(LOOP_THREADS, "effects"))
        self._task = self._loop.create_task(worker.start(printer=say))
        self._ended_by: BaseException | None = None

    def run(self) -> None:
        """Work until `stop`; called by `start`."""
        asyncio.set_event_loop(self._loop)
        try:
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._task)
        except Exception as problem:  # noqa: BLE001 - raised again in the main thread
            self._ended_by = problem

    def stop(self) -> None:
        """End the worker, and wait until it has.

        Raises:
            Exception: what has ended it before.
        """
        self._loop.call_soon_threadsafe(self._task.cancel)
        self.join()
        if self._ended_by is not None:
            raise self._ended_by
