"""Starts the service for a measurement: whole on one machine, or in parts as on two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
from sqlalchemy import URL

from bench.processes import cpu_of, tree
from bench.waiting import wait_until
from deployments.prefect.server_process import PrefectServer
from tests.support.api import apprise_config
from tests.support.ports import free_port
from tests.support.postgres import DURABLE, fresh_database, own_server

ITP = (sys.executable, "-c", "from deployments.cli import main; main()")
READY_SECONDS = 300.0
# As of two machines: each has a loop and an API, and one of them Prefect's server.
MACHINES = {"one machine": 1, "two rounds, two APIs": 2}


@dataclass
class Parts:
    """The processes of a service, the addresses of its doors, and its database."""

    machines: int
    home: Path
    database: URL
    recipients: Path
    prefect_port: int = field(default_factory=free_port)
    ports: list[int] = field(default_factory=list)
    # More settings, the same for every process.
    more: dict[str, str] = field(default_factory=dict)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _server: PrefectServer | None = None

    @property
    def doors(self) -> list[str]:
        """The address of each API."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    @property
    def prefect(self) -> str:
        """The address of Prefect's API."""
        return f"http://127.0.0.1:{self.prefect_port}/api"

    def data_dirs(self) -> list[Path]:
        """The data directories of the processes that keep time."""
        commands = ["up"] if self.machines == 1 else ["round", "api"]
        return [self.home / f"{number}" / command for number in range(self.machines) for command in commands]

    def start(self) -> None:
        """Start every process, and wait until all doors and Prefect answer."""
        self.ports = self.ports or [free_port() for _ in range(self.machines)]
        if self.machines == 1:
            self._start("up", 0)
        else:
            self._start_prefect()
            for number in range(self.machines):
                self._start("round", number)
                self._start("api", number)
        wait_until(self._is_ready, "the service to be ready", READY_SECONDS)

    def pids(self) -> list[int]:
        """The service's processes, Prefect's server and PostgreSQL."""
        return [*self._ours(), *tree(self._postmaster())]

    def cpu(self) -> float:
        """The CPU seconds of all processes so far."""
        return cpu_of(self.pids())

    def kill(self) -> None:
        """End every process but PostgreSQL with SIGKILL."""
        for pid in self._ours()[::-1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes.clear()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def stop(self) -> None:
        """Let every process end in order."""
        for process in self._processes[::-1]:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
        self.kill()

    def number(self, query: str) -> int:
        """The number that a query answers with."""
        address = self.database.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])

    def _ours(self) -> list[int]:
        started = [process.pid for process in self._processes]
        if self._server is not None and self._server.pid is not None:
            started.append(self._server.pid)
        return [pid for first in started for pid in tree(first)]

    def _postmaster(self) -> int:
        backend = self.number("SELECT pg_backend_pid()")
        with suppress(FileNotFoundError, ProcessLookupError):
            return int(Path(f"/proc/{backend}/stat").read_text().rsplit(")", 1)[1].split()[1])
        # A backend that has ended meanwhile cannot be asked: the next one is.
        return self._postmaster()

    def _start_prefect(self) -> None:
        home = self.home / "prefect"
        self._server = PrefectServer(home, self.prefect_port, self._log("prefect"), _outside())
        self._server.start()

    def _start(self, command: str, number: int) -> None:
        home = self.home / f"{number}"
        ours = {
            "ITP_DATA_DIR": f"{home / command}",
            "ITP_DATABASE_URL": self.database.render_as_string(hide_password=False),
            "ITP_APPRISE_CONFIG": f"{self.recipients}",
            "ITP_API_PORT": f"{self.ports[number]}",
            "ITP_PREFECT_PORT": f"{self.prefect_port}",
        }
        ours |= self.more
        if command != "up":
            ours |= {"PREFECT_API_URL": self.prefect, "ITP_SECRET_KEY": "for a measurement alone, 32 or more"}
        self._spawn(f"{command}-{number}", (*ITP, command), ours)

    def _spawn(self, name: str, command: tuple[str, ...], ours: dict[str, str]) -> None:
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(command, env=_outside() | ours, stdout=log, stderr=log)
        self._processes.append(process)

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _is_ready(self) -> bool:
        ended = [process.args for process in self._processes if process.poll() is not None]
        assert not ended, f"{ended} ended; see {self.home}"
        with suppress(httpx.TransportError):
            asked = [f"{self.prefect}/health", *(f"{door}/readyz" for door in self.doors)]
            return all(httpx.get(url, trust_env=False, timeout=5).is_success for url in asked)
        return False


def _outside() -> dict[str, str]:
    """This process's variables without those of a service, but for the number of its doors' processes."""
    ours = ("ITP_", "PREFECT_")
    return {k: v for k, v in os.environ.items() if k == "ITP_API_WORKERS" or not k.startswith(ours)}


@contextmanager
def surroundings(recipient: str) -> Iterator[tuple[URL, Path, Path]]:
    """The database, the folder and the recipients' file of a measurement; its recipient is an Apprise URL."""
    with (
        own_server(DURABLE) as server,
        fresh_database(server) as database,
        tempfile.TemporaryDirectory(prefix="itp-bench-") as directory,
    ):
        home = Path(directory)
        yield database, home, apprise_config(home / "apprise.conf", recipient)


@contextmanager
def running(machines: int, home: Path, database: URL, recipients: Path) -> Iterator[Parts]:
    """The service on so many machines' parts, ready."""
    home.mkdir()
    parts = Parts(machines, home, database, recipients)
    try:
        parts.start()
        yield parts
    finally:
        parts.stop()
