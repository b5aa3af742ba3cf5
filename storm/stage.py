"""What a storm rages over: `itp up` as its users start it, its database, and a receiver behind Apprise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import URL, make_url

from storm.ledger import Ledger
from storm.verdict import Arrival
from tests.support.ports import free_port
from tests.support.postgres import fresh_database, postgres_server
from tests.support.proxy import Proxy
from tests.support.receiver import Receiver, Request
from tests.support.waiting import wait_until

AUDIENCES = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")
NO_PREFECT = "http://127.0.0.1:9/api"


class MoodyReceiver(Receiver):
    """A receiver that remembers what it answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[int, int | None] = {}

    def _take(self, request: Request) -> int | None:
        self.answers[id(request)] = None
        status = super()._take(request)
        self.answers[id(request)] = status
        return status

    def arrivals(self) -> list[Arrival]:
        """Everything that arrived, in order."""
        return [
            Arrival(
                each.at,
                each.path.strip("/").partition("?")[0],
                each.body["title"],
                each.body["message"],
                self.answers.get(id(each)),
            )
            for each in list(self.requests)
        ]


@dataclass
class Stage:
    """One service on its own data, and everything that can be broken around it."""

    home: Path
    database: str
    receiver: MoodyReceiver
    ledger: Ledger
    program: Path
    with_prefect: bool = False
    proxy: Proxy | None = None
    port: int = field(default_factory=free_port)
    prefect_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where the service's API answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process of the service."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        """What the service says."""
        return self.home / "service.log"

    def start(self) -> None:
        """Start the service, and wait until its doors answer."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [self.program, "up"],
                env=_clean_environment() | self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        wait_until(self._answers, f"the service to answer (see {self.log})", timeout=120, every=0.1)

    def kill(self) -> None:
        """End the service as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)
        self._ended(10)

    def stop(self) -> None:
        """Ask the service to end."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            self._ended(60)

    def _ended(self, seconds: float) -> None:
        assert self._process is not None
        self._process.wait(seconds)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the service ended by itself: see {self.log}"
        try:
            answer = httpx.get(f"{self.address}/livez", timeout=2, trust_env=False, verify=False)
            return answer.status_code < 500
        except httpx.TransportError:
            return False

    def _environment(self) -> dict[str, str]:
        config = self.home / "apprise.conf"
        config.write_text("".join(f"{each}={self.receiver.apprise_url(each)}\n" for each in AUDIENCES))
        url = make_url(self.database)
        if self.proxy is not None:
            url = url.set(port=self.proxy.port)
        prefect = {} if self.with_prefect else {"PREFECT_API_URL": NO_PREFECT}
        ours = {
            "ITP_DATA_DIR": self.home / "data",
            "ITP_DATABASE_URL": url.render_as_string(hide_password=False),
            "ITP_APPRISE_CONFIG": config,
            "ITP_API_PORT": self.port,
            "ITP_PREFECT_PORT": self.prefect_port,
        }
        return {name: str(value) for name, value in ours.items()} | prefect


@contextmanager
def stage(
    home: Path, kind: str, *, program: Path | None = None, with_prefect: bool = False
) -> Iterator[Stage]:
    """Open a stage on an empty database, `sqlite` or `pg`; whatever runs is ended at the end."""
    with MoodyReceiver() as receiver, _database(home, kind) as (database, proxy):
        program = program or Path(sys.executable).with_name("itp")
        found = Stage(home, database, receiver, Ledger(), program, with_prefect, proxy)
        try:
            yield found
        finally:
            receiver.succeed()
            found.stop()


def _clean_environment() -> dict[str, str]:
    """Nothing of what somebody set for a service of their own."""
    theirs = ("ITP_", "PREFECT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(theirs)}


@contextmanager
def _database(home: Path, kind: str) -> Iterator[tuple[str, Proxy | None]]:
    if kind == "sqlite":
        yield f"sqlite:///{home / 'study.db'}", None
        return
    with postgres_server() as server, fresh_database(server) as url, Proxy(_port(url)) as proxy:
        yield url.render_as_string(hide_password=False), proxy


def _port(url: URL) -> int:
    return url.port or 5432
