"""Prefect's server as a child: what it gets to know, and whom it keeps waiting."""

import asyncio
import importlib
import os
import resource
import shutil
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from docket import Docket
from prefect.settings.models.client import ClientSettings

from deployments import prefect_apart
from deployments.bootstrap.settings import Settings
from deployments.prefect.server_child import look_less_often
from deployments.prefect.server_process import (
    DATABASE,
    PrefectServer,
    child_environment,
    is_ready,
    prefect_environment,
)
from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-09")

SECRETS = {
    "ITP_REDCAP_TOKEN": "s3cret",
    "ITP_DATABASE_URL": "postgresql://study:s3cret@db/study",
    "ITP_SECRET_KEY": "s3cret",
    "ITP_PREFECT_AUTH": "operator:s3cret",
    "PGPASSWORD": "s3cret",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "HTTPS_PROXY": "http://user:s3cret@proxy:3128",
}
NEEDED = {"PATH": "/bin", "HOME": "/home/itp", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONPATH": "/srv/itp"}
PREFECT = {"PREFECT_SERVER_API_AUTH_STRING": "operator:its own", "PREFECT_UI_API_URL": "https://prefect"}


@pytest.mark.requirement("SEC-04")
def test_the_child_gets_what_it_needs_and_no_secret_of_the_study() -> None:
    assert child_environment(SECRETS | NEEDED | PREFECT) == NEEDED | PREFECT


def test_what_the_address_of_its_own_database_leaves_out_is_passed_on() -> None:
    own = {DATABASE: "postgresql+asyncpg://prefect@db/prefect", "PGPASSFILE": "/run/secrets/pgpass"}
    assert child_environment(SECRETS | own) == own | {"PGPASSWORD": SECRETS["PGPASSWORD"]}


def test_the_process_that_is_started_has_no_secret_of_the_study_in_its_environment(tmp_path: Path) -> None:
    server = PrefectServer(tmp_path / "home", free_port(), tmp_path / "log", {**os.environ, **SECRETS})
    server.start()
    try:
        environment = wait_until(lambda: _environment(server.pid), "the child to have its environment")
    finally:
        server.stop()
    assert b"PREFECT_HOME=" in environment
    assert b"s3cret" not in environment


def test_what_the_server_asks_of_itself_it_asks_as_often_as_prefect_means_it_to(tmp_path: Path) -> None:
    """The service's requests give up soon; an event that the server takes in would be lost by that."""
    known = prefect_environment(tmp_path, "http://127.0.0.1:4200/api")
    apart = prefect_apart.environment(Settings(data_dir=tmp_path), tmp_path, services=False)
    server = PrefectServer(tmp_path / "home", free_port(), tmp_path / "log", {**os.environ, **known})
    server.start()
    try:
        given = wait_until(lambda: _environment(server.pid), "the child to have its environment").split(b"\0")
    finally:
        server.stop()
    child = dict(each.decode().split("=", 1) for each in given if each)
    for environment in (child, apart):
        assert (
            int(environment["PREFECT_CLIENT_MAX_RETRIES"])
            >= ClientSettings.model_fields["max_retries"].default
        )


def test_a_server_keeps_its_database_in_its_folder_whatever_letters_the_name_has(
    tmp_path: Path, prefect_home: Path
) -> None:
    home = tmp_path / "100%25 of #7? 'a' \"b\" 研究"
    shutil.copytree(prefect_home, home)
    server = PrefectServer(home, free_port(), home / "log", os.environ)
    server.start()
    try:
        server.wait_ready(120)
        wait_until(lambda: home / "prefect.db" in _opened(server.pid), "the database to be opened")
    finally:
        server.stop()
    assert (home / "prefect.db").stat().st_size > 0
    assert list(tmp_path.iterdir()) == [home]


def test_silent_connections_lose_their_places_to_those_who_ask(tmp_path: Path, prefect_home: Path) -> None:
    shutil.copytree(prefect_home, tmp_path / "home")
    server = PrefectServer(tmp_path / "home", free_port(), tmp_path / "log", os.environ)
    server.start()
    try:
        server.wait_ready(120)
        assert server.pid is not None
        # Half of the descriptors are places.
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (160, 160))
        with ExitStack() as all_of_them:
            silent = [all_of_them.enter_context(_connected(server.port)) for _ in range(200)]
            wait_until(lambda: is_ready(server.api), "an answer beside those who are silent")
            assert _is_closed(silent[0])
            assert not _is_closed(silent[-1])
    finally:
        server.stop()


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def _is_closed(client: socket.socket) -> bool:
    client.settimeout(0.1)
    with suppress(TimeoutError):
        try:
            return client.recv(1) == b""
        except ConnectionResetError:
            return True
    return False


def test_background_tasks_of_prefect_are_looked_for_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    background_workers: Any = importlib.import_module("prefect.server.api.background_workers")
    monkeypatch.setattr(background_workers, "Worker", background_workers.Worker)
    look_less_often(background_workers)

    async def looks() -> set[float]:
        async with (
            Docket("test-looks", "memory://") as docket,
            background_workers.Worker(docket) as worker,
        ):
            return {
                each.total_seconds() for each in (worker.minimum_check_interval, worker.scheduling_resolution)
            }

    assert asyncio.run(looks()) == {1.0}


def _opened(pid: int | None) -> list[Path]:
    """The files that a process has open."""
    return [link.resolve() for link in Path(f"/proc/{pid}/fd").iterdir()]


def _environment(pid: int | None) -> bytes:
    """A process's environment; empty until it runs its own program."""
    found = Path(f"/proc/{pid}/environ").read_bytes()
    return found if b"PREFECT_SERVER_API_PORT=" in found else b""
