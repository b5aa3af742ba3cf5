"""The Prefect server that the service runs for itself: a child process on the loopback address."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from deployments.sqlite_address import sqlite_address
from itp_events.errors import ItpError
from tasks.tls import trusted

STOP_SECONDS = 8.0
# A server whose service was killed frees its port within some seconds.
FREE_SECONDS = 6.0
# Two years, in seconds: a subject takes part for 14 months at most.
ENDED_RUNS_KEPT = 2 * 366 * 86_400
EVENTS_KEPT = "P7D"
SELDOM_SECONDS = "60"
# With waits of 2, 4, 8, 16, 32 and 64 seconds between.
OWN_RETRIES = 6
DATABASE = "PREFECT_API_DATABASE_CONNECTION_URL"


class ServerDidNotStart(ItpError):
    """Prefect's server ended, or did not answer in time."""


def prefect_environment(home: Path, api: str) -> dict[str, str]:
    """The variables for Prefect: it sends nothing from this machine, and keeps everything in `home`."""
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_API_URL": api,
        "DO_NOT_TRACK": "1",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        # The versions are the same, and the check is one more call before the first wake.
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        # A server that stopped answering is noticed soon, and the subject advanced without it.
        "PREFECT_API_REQUEST_TIMEOUT": "10",
        "PREFECT_CLIENT_MAX_RETRIES": "2",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    }


def proxy_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep calls within this machine away from a proxy that `environ` names."""
    kept = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    bypassed = ",".join(filter(None, (kept, "127.0.0.1", "localhost")))
    return {"NO_PROXY": bypassed, "no_proxy": bypassed}


def auth_environment(secret: str) -> dict[str, str]:
    """The variables that protect Prefect's API by `user:password`, for its server and its clients."""
    names = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
    return dict.fromkeys(names, secret) if secret else {}


def server_environment(home: Path, port: int, environ: Mapping[str, str]) -> dict[str, str]:
    """More variables for Prefect's own server: no analytics, no advertisement, its database in `home`.

    They come after those of `prefect_environment`, some of which are for the service's own requests alone.

    A database that `environ` names as Prefect does is used instead.
    """
    sqlite = sqlite_address(home / "prefect.db", "sqlite+aiosqlite")
    return {
        DATABASE: environ.get(DATABASE) or environ.get("PREFECT_SERVER_DATABASE_CONNECTION_URL") or sqlite,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_UI_API_URL": environ.get("PREFECT_UI_API_URL") or f"http://127.0.0.1:{port}/api",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        # Runs that have ended are kept for longer than a subject takes part, forms too; then they go, with
        # their logs. A run that waits has not ended. Events are for what happens just now.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(ENDED_RUNS_KEPT),
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": EVENTS_KEPT,
        # The server asks itself too, as when the automation makes a run of a posted event. It turns some of
        # that away while it is busy (503), and nobody would repeat it later: the event would be lost.
        "PREFECT_CLIENT_MAX_RETRIES": str(OWN_RETRIES),
        # The study pauses no run, keeps no lease there, and plans its runs itself: a schedule that somebody
        # adds begins within a minute. Each of these questions was asked every five seconds.
        "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": SELDOM_SECONDS,
        "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": SELDOM_SECONDS,
        "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": SELDOM_SECONDS,
    }


# The variables that any program needs to run, and that Prefect itself reads.
_KEPT = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR", "TERM"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("NO_PROXY", "no_proxy", "DO_NOT_TRACK"),
    }
)
_KEPT_PREFIXES = ("LC_", "PYTHON", "PREFECT_", "COVERAGE_")


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment for Prefect's server, without the study's settings and secrets."""
    # These variables complete the URL of a PostgreSQL database.
    of_database = ("PG",) if "postgres" in environ.get(DATABASE, "") else ()
    prefixes = (*_KEPT_PREFIXES, *of_database)
    return {name: value for name, value in environ.items() if name in _KEPT or name.startswith(prefixes)}


@dataclass
class PrefectServer:
    """The child process; `home` is Prefect's own directory, `log` the file with its output."""

    home: Path
    port: int
    log: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _child: subprocess.Popen[bytes] | None = None
    _started: float = 0.0

    @property
    def api(self) -> str:
        """The address of its API."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(self) -> None:
        """Start the child; it needs some seconds before it answers.

        Raises:
            ServerDidNotStart: its port is taken.
        """
        self._started = time.monotonic()
        _wait_until_free(self.port)
        self.home.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "deployments.prefect.server_child", str(self.port)],
                env=child_environment(self.environ)
                | prefect_environment(self.home, self.api)
                | server_environment(self.home, self.port, self.environ),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal reaches the service alone, which stops the child when it is done.
                start_new_session=True,
            )

    def rested(self, seconds: float) -> bool:
        """Whether the last start was so many seconds ago."""
        return time.monotonic() - self._started > seconds

    def wait_ready(self, seconds: float) -> None:
        """Wait until the API answers.

        Raises:
            ServerDidNotStart: the child ended, or `seconds` passed.
        """
        deadline = time.monotonic() + seconds
        while not is_ready(self.api):
            if self.pid is None:
                raise ServerDidNotStart(f"Prefect's server ended as it started; see {self.log}")
            if time.monotonic() > deadline:
                raise ServerDidNotStart(f"Prefect's server did not answer in {seconds:g} s; see {self.log}")
            self._pause(0.1)

    def stop(self) -> None:
        """Ask the child to stop, and end it when it does not."""
        if self._child is None:
            return
        self._child.send_signal(signal.SIGTERM)
        if not self._pause(STOP_SECONDS):
            self._child.kill()
            self._child.wait()
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child = None

    def _pause(self, seconds: float) -> bool:
        assert self._child is not None
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def _wait_until_free(port: int) -> None:
    deadline = time.monotonic() + FREE_SECONDS
    while is_taken(port):
        if time.monotonic() > deadline:
            raise ServerDidNotStart(f"port {port} is in use: set ITP_PREFECT_PORT to a free one")
        time.sleep(0.1)  # noqa: TID251 - nothing tells when another process lets go of its port


def is_taken(port: int) -> bool:
    """Whether something listens on the loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_ready(api: str) -> bool:
    """Whether a Prefect API answers at the address."""
    try:
        answer = httpx.get(f"{api}/health", timeout=1.0, trust_env=False, verify=trusted(trust_env=False))
        return answer.status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
