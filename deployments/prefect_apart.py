"""`itp prefect`: Prefect's server in a process of its own, one of several with a Redis between them.

Several servers share a PostgreSQL database and a Redis, as Prefect documents it: any number serve its API and
UI, and one process does its background services. Each keeps the rules of the service's own child: it sends
nothing about itself, refuses what a page of another site sends, and lets nobody change a statement in a form.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from deployments.bootstrap.data_dir import writable
from deployments.bootstrap.logs import say, say_as
from deployments.bootstrap.settings import Settings
from deployments.http.connection import KEPT_SECONDS, WithWebsockets, backlog, raise_descriptor_limit
from deployments.http.origin import is_loopback
from deployments.loading import loading
from deployments.prefect.server_app import server_app
from deployments.prefect.server_process import (
    DATABASE,
    auth_environment,
    prefect_environment,
    server_environment,
)
from itp_events.errors import BadInput, ItpError

if TYPE_CHECKING:
    from prefect.server.services.base import Service

# The number under which PostgreSQL keeps the lock of those who bring Prefect's tables up to date.
MIGRATING = 0x1795
AGAIN_SECONDS = 0.5
SERVICE_AGAIN_SECONDS = 5.0
STOP_SECONDS = 10.0
# A Redis that is silent is left and asked again; without a limit Prefect waits for it for ever.
REDIS_SECONDS = "15"


def main(settings: Settings, *, services: bool) -> int:
    """Serve Prefect's API and UI, or do its background services, until Ctrl-C or SIGTERM.

    Returns the exit code 0.

    Raises:
        ItpError: one line that says why it cannot start.
    """
    say_as(settings.log_format)
    home = writable(settings.data_dir.absolute()) / "prefect"
    home.mkdir(exist_ok=True)
    os.environ.update(environment(settings, home, services=services))
    with _sole_migration(os.environ[DATABASE]):
        _migrate()
    # Those who come later need not look again.
    os.environ["PREFECT_SERVER_DATABASE_MIGRATE_ON_START"] = "false"
    if services:
        with loading():
            import prefect.server.services  # noqa: F401 - all services make themselves known
        asyncio.run(_background_services())
    else:
        _serve(settings, alone=not settings.prefect_redis_url.get_secret_value())
    return 0


def environment(settings: Settings, home: Path, *, services: bool) -> dict[str, str]:
    """The variables of a Prefect server that may be one of several.

    Raises:
        BadInput: settings that do not go together.
    """
    redis, auth = settings.prefect_redis_url.get_secret_value(), settings.prefect_auth.get_secret_value()
    if services and not redis:
        raise BadInput(
            "one server alone does its background services itself; --services is for several, "
            "which share a Redis",
            "ITP_PREFECT_REDIS_URL",
        )
    if not (is_loopback(settings.prefect_host) or auth):
        raise BadInput(
            "without a password Prefect serves this machine alone: set ITP_PREFECT_AUTH, or leave it at "
            "127.0.0.1",
            "ITP_PREFECT_HOST",
        )
    api = f"http://127.0.0.1:{settings.prefect_port}/api"
    given = prefect_environment(home, api) | server_environment(home, settings.prefect_port, os.environ)
    if database := settings.prefect_database_url.get_secret_value():
        given[DATABASE] = _asynchronous(database)
    if redis and not given[DATABASE].startswith("postgresql"):
        raise BadInput("several servers share a PostgreSQL database: name it", "ITP_PREFECT_DATABASE_URL")
    # Prefect copies its pages there at the start, by default into its package, which may be read-only.
    given["PREFECT_UI_STATIC_DIRECTORY"] = str(home / "ui")
    return given | auth_environment(auth) | (redis_environment(redis) if redis else {})


def redis_environment(url: str) -> dict[str, str]:
    """The variables by which several Prefect servers share a Redis."""
    return {
        "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_REDIS_MESSAGING_URL": url,
        "PREFECT_REDIS_MESSAGING_SOCKET_TIMEOUT": REDIS_SECONDS,
        "PREFECT_REDIS_MESSAGING_SOCKET_CONNECT_TIMEOUT": REDIS_SECONDS,
        # Else each process would do all that is due, and runs would be marked as late several times.
        "PREFECT_SERVER_DOCKET_URL": url,
    }


def _asynchronous(url: str) -> str:
    """A database's address with the driver that Prefect uses."""
    try:
        address = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise BadInput("write postgresql://user:password@host/database", "ITP_PREFECT_DATABASE_URL") from None
    if address.get_backend_name() != "postgresql":
        raise BadInput("several servers share a PostgreSQL database", "ITP_PREFECT_DATABASE_URL")
    return address.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


@contextmanager
def _sole_migration(url: str) -> Iterator[None]:
    """Let no other server change the tables of this PostgreSQL database: Prefect has no lock for it."""
    if not url.startswith("postgresql"):
        yield
        return
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            while not _is_locked(connection):
                time.sleep(AGAIN_SECONDS)  # noqa: TID251 - nothing tells when another server is done
            yield
    except sa.exc.OperationalError as problem:
        said = str(problem.orig).strip().splitlines()[0]
        raise ItpError(f"Prefect's database does not answer: {said}") from problem


def _is_locked(connection: sa.Connection) -> bool:
    # Who waits in the database would hold up Prefect's migrations: some wait for all transactions to end.
    locked: bool = connection.scalar(sa.text("SELECT pg_try_advisory_lock(:number)"), {"number": MIGRATING})
    connection.commit()
    return locked


def _migrate() -> None:
    with loading():
        from prefect.server.database.dependencies import provide_database_interface
    asyncio.run(provide_database_interface().create_db())


async def _background_services() -> None:
    """Run all of Prefect's background services until SIGTERM or Ctrl-C.

    Prefect starts each once and does not look again: one that its database or Redis failed at the start would
    be missing for good, without a word. Here it is started again.
    """
    from docket import Docket
    from prefect.server.api.background_workers import background_worker
    from prefect.server.services.base import Service

    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    url = os.environ["PREFECT_SERVER_DOCKET_URL"]
    async with (
        Docket(name="prefect", url=url, execution_ttl=timedelta(0)) as docket,
        background_worker(docket, ephemeral=False, webserver_only=False),
    ):
        kept = [asyncio.create_task(_keep(made, asked)) for made in Service.enabled_services()]
        say(f"Ready: {len(kept)} background services of Prefect. Ctrl-C stops this.")
        await asked.wait()
        for task in kept:
            task.cancel()
        await asyncio.wait(kept, timeout=STOP_SECONDS)
        # Prefect's own worker may wait for ever for what has gone, and holds nothing that is ours.
        os._exit(0)


async def _keep(made: Callable[[], Service], asked: asyncio.Event) -> None:
    # Some of the services take a cancellation for their own end, and return.
    while not asked.is_set():
        service = made()
        said = "without an error"
        try:
            await service.start()
        except Exception as problem:  # noqa: BLE001 - whatever ended it, it is started again
            said = repr(problem)
        if asked.is_set():
            return
        say(f"Prefect's {type(service).__name__} ended: {said}; it is started again.")
        await asyncio.sleep(SERVICE_AGAIN_SECONDS)


def _serve(settings: Settings, *, alone: bool) -> None:
    with loading():
        import uvicorn

        asks_who = bool(settings.prefect_auth.get_secret_value())
        app = server_app(asks_who=asks_who, webserver_only=not alone)
    raise_descriptor_limit()
    # uvicorn ends in order, and then raises the signal again: this process ends by itself, with code 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.run(
        app,
        host=settings.prefect_host,
        port=settings.prefect_port,
        log_level="warning",
        http=WithWebsockets,
        backlog=backlog(),
        timeout_keep_alive=KEPT_SECONDS,
    )
