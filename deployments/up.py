"""`itp up` and `itp round`: the whole service on this machine in one process tree, or its loop alone.

This process runs the service's loop in a thread, and Prefect's server and the API as children. The main
thread waits for Ctrl-C or SIGTERM, and starts a child again when it ends. Several services may share a study
on PostgreSQL, as `deployments.service.sharing` says.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.api.workers import ApiWorkers
from deployments.bootstrap.abort import leave
from deployments.bootstrap.alive import Alive
from deployments.bootstrap.data_dir import open_to_others
from deployments.bootstrap.lock import sole_on_file, sole_service
from deployments.bootstrap.logs import say, say_as, set_up_logs
from deployments.bootstrap.noted_settings import note_settings
from deployments.bootstrap.reach import MEND, unreachable_links
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.stop_signals import StopSignals
from deployments.bootstrap.study import open_study, sqlite_file
from deployments.loading import loading
from deployments.prefect.pool import pool_id
from deployments.prefect.server_process import (
    PrefectServer,
    ServerDidNotStart,
    prefect_environment,
    proxy_environment,
)
from deployments.service.sole_prefect import OtherPrefect, SolePrefect
from flows.prefect_api.flow_runs import PrefectProblem
from flows.prefect_api.setup import Setup
from flows.study.runtime import Runtime, use
from tasks.archive.protocols import installed_protocols
from tasks.database.monitoring import shared_clock
from tasks.database.protocol_files import note_files
from tasks.database.store import NO_ANSWER
from tasks.database.versions import refuse_missing
from tasks.delivery.recipients import let_go
from tasks.limits import TIMER_CONNECTIONS

if TYPE_CHECKING:
    from deployments.api.serve import Api

# Prefect's server takes some seconds to start; after so many it is said that it does not answer yet.
READY_SECONDS = 30.0
# How soon Ctrl-C, a thread that ended and a Prefect that became ready are noticed.
WATCH_SECONDS = 0.2
# A server that ends at once is not started over and over without a pause.
RESTART_SECONDS = 3.0
# At the start Prefect is asked once who it is; one that is silent is found later.
POOL_SECONDS = 1.0

log = logging.getLogger(__name__)


def main(settings: Settings, *, alone: bool = False) -> int:
    """Run the service until Ctrl-C or SIGTERM. Returns exit code 0 when everything begun has ended.

    With `alone` the loop runs without the API and without a Prefect server of its own.

    Raises:
        ItpError: one line that says why it cannot start.
    """
    asked = StopSignals()
    say_as(settings.log_format)
    data_dir = settings.data_dir.absolute()
    with sole_service(data_dir) as hold, sole_on_file(sqlite_file(settings.database)):
        study = open_study(settings)
        refuse_missing(study.store, study.protocol)
        note_files(study.store, installed_protocols(settings.protocols), study.wall())
        note_settings(study.store, settings, study.wall())
        study.instance.note_ended(hold.before)
        # Timers and flows have connections of their own: the API may use up the others.
        timers = replace(study, store=study.store.apart(TIMER_CONNECTIONS))
        use(lambda: timers)
        os.environ.update(prefect_environment(data_dir / "prefect", settings.prefect_api))
        os.environ.update(proxy_environment(os.environ))
        has_prefect = not (alone or settings.prefect_api_url)
        with (
            _sole_prefect(settings, study) as sole_prefect,
            _prefect(settings, data_dir) if has_prefect else nullcontext() as server,
        ):
            hold.sign(study.instance.id)
            drained = _serve(settings, study, timers, server, sole_prefect, asked, alone=alone)
        with suppress(*NO_ANSWER):
            let_go(study.store, study.instance.id)
        timers.store.close()
        study.store.close()
    if not drained:
        leave()
    return 0


@contextmanager
def _sole_prefect(settings: Settings, study: Runtime) -> Iterator[SolePrefect]:
    """Claim for this service's Prefect that it alone shows the study, while the service runs."""
    sole_prefect = SolePrefect.of(study.store, settings.prefect_api, settings.data_dir)
    pool = _pool_of(settings.prefect_api)
    try:
        sole_prefect.hold(shared_clock(study.store, study.wall()), pool)
    except OtherPrefect as problem:
        # A server of the site's own that does not answer yet may be one more of the same Prefect: the loop
        # uses it when that is known, and shows nothing in it before.
        if pool is not None or not settings.prefect_api_url:
            raise
        say(f"Going on without Prefect until it answers: {problem}")
    try:
        yield sole_prefect
    finally:
        with suppress(*NO_ANSWER):
            sole_prefect.release()


def _pool_of(api: str) -> str | None:
    """The id of the work pool in a Prefect that answers already; else None."""
    setup = Setup(api, POOL_SECONDS)
    try:
        return pool_id(setup)
    except PrefectProblem:
        return None
    finally:
        setup.close()


@contextmanager
def _prefect(settings: Settings, data_dir: Path) -> Iterator[PrefectServer]:
    """Run Prefect's server as a child."""
    server = PrefectServer(
        data_dir / "prefect", settings.prefect_port, data_dir / "logs" / "prefect-server.log"
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _serve(
    settings: Settings,
    study: Runtime,
    timers: Runtime,
    server: PrefectServer | None,
    sole_prefect: SolePrefect,
    asked: StopSignals,
    *,
    alone: bool,
) -> bool:
    # Prefect is loaded here, after the environment is set and while its server starts.
    with loading():
        from deployments.archiving import backup_plan
        from deployments.service.thread import ServiceThread
        from deployments.stamping import stamping_authority

    set_up_logs(settings.data_dir.absolute() / "logs", settings.log_format)
    api = None if alone else _api(settings, study)
    authority = stamping_authority(settings)
    service = ServiceThread(timers, settings.repair_seconds, sole_prefect, backup_plan(settings), authority)
    service.start()
    if api is not None:
        api.start()
    told = _Told(settings, study, alone=alone)
    alive = Alive(settings.data_dir.absolute())
    try:
        while not asked.wait(WATCH_SECONDS) and service.is_alive():
            _keep_running(server)
            if isinstance(api, ApiWorkers):
                api.look()
            alive.sign(service.beats)
            told.look(prefect_answers=service.prefect_answers)
    finally:
        say("Stopping ...")
        # The loop claims nothing more while the API answers the requests that have begun.
        service.ask_to_stop()
        answered = api is None or api.stop()
        drained = service.stop()
    return drained and answered


def _api(settings: Settings, study: Runtime) -> Api | ApiWorkers:
    """The API in processes of its own, or with ITP_API_WORKERS=0 in this one."""
    if settings.api_workers:
        return ApiWorkers(settings, study.instance)
    from deployments.api.serve import Api

    return Api(settings, study)


def _keep_running(server: PrefectServer | None) -> None:
    if server is not None and server.pid is None and server.rested(RESTART_SECONDS):
        log.warning("Prefect's server ended; starting it again. See %s", server.log)
        try:
            server.start()
        except ServerDidNotStart as problem:
            log.warning("Going on without Prefect: %s", problem)


class _Told:
    """The lines on the terminal while the service starts: that it works, and later that Prefect answers."""

    def __init__(self, settings: Settings, study: Runtime, *, alone: bool) -> None:
        self._settings, self._study, self._alone = settings, study, alone
        self._ui = settings.prefect_api.removesuffix("/api")
        self._began = time.monotonic()
        self._ready = self._announced = False
        data_dir = settings.data_dir.absolute()
        say(f"Starting; timers run already. Data in {data_dir}")
        if problem := open_to_others(data_dir):
            say(f"Warning: {problem}")

    def look(self, *, prefect_answers: bool) -> None:
        """Print once that the service is ready; after half a minute without Prefect, print the next steps."""
        if prefect_answers and not self._ready:
            self._ready = True
            say(f"Ready. Prefect's UI: {self._ui}")
            self._announce()
        elif not self._announced and time.monotonic() - self._began > READY_SECONDS:
            say(f"Prefect does not answer yet at {self._ui}; reminders go out without it.")
            self._announce()

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            if self._alone:
                say(f"{_channels(self._study)} Ctrl-C stops this.")
                return
            say(f"The API: {self._settings.base_url}")
            say(_channels(self._study))
            if problem := unreachable_links(self._settings, self._study.channels):
                say(f"Warning: {problem}; {MEND}")
            itp = _program()
            say(f"Try next, in another terminal: {itp} record --help, {itp} subjects. Ctrl-C stops this.")


def _channels(study: Runtime) -> str:
    count = len(study.channels.configured)
    return "\n".join([f"Notices go to {count} recipients."] * bool(count) + list(study.channels.problems))


def _program() -> str:
    """The name by which this program can be called again from the same folder."""
    return sys.argv[0] if Path(sys.argv[0]).name == "itp" else "itp"
