"""A cluster for a storm to rage over: the parts of the compose file, and the links between them.

Each part reaches each other thing that it needs by a link of its own, which can be cut without anybody else
noticing: the study's database, Prefect's database, Redis, Prefect.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import URL, make_url

from deployments.api.http.tokens import new_token
from storm.ledger import Ledger
from storm.stage import AUDIENCES, MoodyReceiver
from tests.support.compose import Cluster
from tests.support.postgres import (
    OwnServer,
    breakable_server,
    create_database,
    fresh_database,
    postgres_server,
)
from tests.support.proxy import Proxy
from tests.support.redis import Redis
from tests.support.waiting import wait_until

AUTH = ("ops", "storm")
POSTGRES, REDIS, CADDY = "postgres", "redis", "caddy"
# The settings by which a part finds another thing, and that thing.
LINKS = {
    "ITP_DATABASE_URL": POSTGRES,
    "ITP_PREFECT_DATABASE_URL": POSTGRES,
    "ITP_PREFECT_REDIS_URL": REDIS,
    "PREFECT_API_URL": CADDY,
}
# What a crash of the server forgets is not waited for; what it has confirmed it keeps.
KEEPS_COMMITS = ["fsync=off", "full_page_writes=off", "unix_socket_directories=", "max_connections=300"]


class LinkedCluster(Cluster):
    """The parts, each with links of its own."""

    def __init__(self, folder: Path, held: Mapping[str, str]) -> None:
        super().__init__(folder, held)
        self.links: dict[tuple[str, str], Proxy] = {}

    def pid(self, name: str) -> int | None:
        """The process of a part that runs."""
        process = self.running.get(name)
        return process.pid if process is not None and process.poll() is None else None

    def ended(self) -> list[tuple[str, int]]:
        """The parts that have ended by themselves, with their exit codes."""
        codes = [(name, process.poll()) for name, process in self.running.items()]
        return [(name, code) for name, code in codes if code is not None]

    def _environment(self, name: str, service: dict[str, Any]) -> dict[str, str]:
        given = super()._environment(name, service)
        for setting in LINKS:
            if file := given.pop(f"{setting}_FILE", ""):
                given[setting] = Path(file).read_text()
            if setting in given:
                given[setting] = self._linked(name, setting, given[setting])
        return given

    def _linked(self, name: str, setting: str, address: str) -> str:
        url = make_url(address)
        assert url.port is not None
        if (name, setting) not in self.links:
            self.links[name, setting] = Proxy(url.port).__enter__()
        linked = url.set(host="127.0.0.1", port=self.links[name, setting].port)
        return linked.render_as_string(hide_password=False)

    def close(self) -> None:
        """End what still runs, and the links."""
        super().close()
        for link in self.links.values():
            link.__exit__(None, None, None)


@dataclass
class ClusterStage:
    """Two rounds, two doors, two Prefect servers and their services, PostgreSQL, Redis and the proxy."""

    home: Path
    database: str
    postgres: OwnServer
    redis: Redis
    parts: LinkedCluster
    receiver: MoodyReceiver
    token: str
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def breakable(self) -> list[str]:
        """Everything that can be killed."""
        return [*self.parts.parts, POSTGRES, REDIS, CADDY]

    @property
    def doors(self) -> list[str]:
        """The addresses of the doors."""
        return [self.parts.address(name, 8300) for name in ("api-1", "api-2")]

    def start(self, name: str) -> None:
        """Start one of them; the databases answer then, the others begin."""
        if name == POSTGRES:
            self.postgres.start()
        elif name == REDIS:
            self.redis.start()
        elif name == CADDY:
            self.parts.start_caddy()
        else:
            self.parts.start(name)

    def kill(self, name: str) -> None:
        """End one of them as a power cut would."""
        if name == POSTGRES:
            self.postgres.crash()
        elif name == REDIS:
            self.redis.kill()
        elif name in self.parts.running:
            self.parts.kill(name)

    def begin(self) -> None:
        """Start everything, and wait until the doors and the rounds are ready."""
        for name in (*self.parts.parts, CADDY):
            self.start(name)
        self.wait_ready()
        for name in ("round-1", "round-2"):
            self.parts.wait_for(name, "Ready.")

    def wait_ready(self) -> None:
        """Wait until both doors can record."""
        for door in self.doors:
            wait_until(lambda door=door: _is_ready(door), f"{door} to be ready")  # type: ignore[misc]

    def revive(self) -> list[tuple[str, int]]:
        """Start again what has ended by itself, as compose would; the parts with their exit codes."""
        ended = self.parts.ended()
        for name, _ in ended:
            self.parts.running.pop(name)
            self.start(name)
        return ended

    def stop(self) -> None:
        """Ask the rounds to stop, then the others."""
        names = [name for name in self.parts.running if self.parts.pid(name) is not None]
        rounds = [name for name in names if name.startswith("round")]
        with suppress(subprocess.TimeoutExpired):
            self.parts.stop(*rounds)
            self.parts.stop(*(name for name in names if name not in rounds))

    def journeys(self) -> list[dict[str, Any]]:
        """All flow runs of subjects' journeys, as Prefect holds them."""
        found: list[dict[str, Any]] = []
        with httpx.Client(base_url=self._prefect, auth=AUTH, timeout=60, trust_env=False) as client:
            while True:
                query = {"flows": {"name": {"any_": ["subject-journey"]}}, "limit": 200, "offset": len(found)}
                page = client.post("/flow_runs/filter", json=query).raise_for_status().json()
                found += page
                if len(page) < 200:
                    return found

    @property
    def _prefect(self) -> str:
        return f"{self.parts.address(CADDY, 4200)}/api"


@contextmanager
def cluster_stage(home: Path) -> Iterator[ClusterStage]:
    """Open a stage on empty databases, of which nothing but these runs yet; all is ended at the end."""
    token, entry = new_token("recorder")
    redis = Redis(home)
    with ExitStack() as stack:
        receiver = stack.enter_context(MoodyReceiver())
        postgres = stack.enter_context(breakable_server(KEEPS_COMMITS))
        redis.start()
        stack.callback(redis.stop)
        study = create_database(postgres.url)
        # Prefect needs an extension that the server of our own has not: its database is only cut off.
        prefects = stack.enter_context(fresh_database(stack.enter_context(postgres_server())))
        held = {
            "database_url": _address(study),
            "apprise": "".join(f"{each}={receiver.apprise_url(each)}\n" for each in AUDIENCES),
            "secret_key": secrets.token_urlsafe(32),
            "tokens": f"{entry}\n",
            "prefect_auth": ":".join(AUTH),
            "prefect_database_url": _address(prefects),
            "prefect_redis_url": redis.url,
        }
        parts = LinkedCluster(home, held)
        stack.callback(parts.close)
        # What hangs is let go of first, so that nobody waits for it at the end.
        stack.callback(receiver.succeed)
        yield ClusterStage(home, _address(study), postgres, redis, parts, receiver, token)


def _address(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _is_ready(door: str) -> bool:
    try:
        return httpx.get(f"{door}/readyz", timeout=4, trust_env=False).is_success
    except httpx.TransportError:
        return False
