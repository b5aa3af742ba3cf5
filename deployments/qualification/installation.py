"""The service under qualification: `itp up` in a folder of its own, asked from outside as its users do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deployments.bootstrap.clock import MARK, FastClock
from deployments.demo.service import port_near
from deployments.qualification.inbox import Inbox
from deployments.sqlite_address import sqlite_address
from itp_events.errors import ItpError
from tasks.database.monitoring import figures
from tasks.database.queries import all_subjects
from tasks.database.store import Store

_Found = TypeVar("_Found")
# Prefect makes its database at the first start: minutes on a machine that is busy. The report has the time.
START_SECONDS = 600.0
# A busy machine is no finding: a step that shows how quick something is has a limit of its own.
PATIENCE_SECONDS = 300.0
_LOOK_SECONDS = 0.1


class Failed(Exception):
    """A step did not show what it must show; the text says what was found instead."""


@dataclass
class Installation:
    """The installed program at work on an empty study; its clock starts at `begins`, and `inbox` is told."""

    folder: Path
    inbox: Inbox
    begins: datetime
    protocol: Path | None = None
    _process: subprocess.Popen[bytes] | None = None
    _clock: FastClock | None = None
    _store: Store | None = None
    _environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        configuration = self.folder / "apprise.conf"
        self.inbox.write_configuration(configuration)
        self._port = port_near(0)
        self._environment = {
            "ITP_DATA_DIR": str(self.data_dir),
            "ITP_DATABASE_URL": sqlite_address(self.database),
            "ITP_APPRISE_CONFIG": str(configuration),
            "ITP_API_PORT": str(self._port),
            "ITP_PREFECT_PORT": str(port_near(0)),
            "ITP_CLOCK_SPEED": "1",
            "ITP_CLOCK_START": self.begins.isoformat(),
            "ITP_REPAIR_SECONDS": "2",
        }
        if self.protocol is not None:
            self._environment["ITP_PROTOCOL"] = str(self.protocol.absolute())

    @property
    def data_dir(self) -> Path:
        """The folder of its study."""
        return self.folder / "data"

    @property
    def database(self) -> Path:
        """The file of its database."""
        return self.folder / "study.db"

    @property
    def log(self) -> Path:
        """The output of the service."""
        return self.folder / "service.log"

    @property
    def clock(self) -> FastClock:
        """Its clock, which the steps move forward."""
        if self._clock is None:
            self._clock = FastClock(self.data_dir / MARK)
        return self._clock

    @property
    def prefect_api(self) -> str:
        """The address of its Prefect."""
        return f"http://127.0.0.1:{self._environment['ITP_PREFECT_PORT']}/api"

    def start(self) -> None:
        """Start the service, and wait until its doors and Prefect answer.

        Raises:
            Failed: it ended, or did not answer in time.
        """
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [_program(), "up"],
                env=self._own_environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C reaches the qualification, which then ends its service.
                start_new_session=True,
            )
        self.until(lambda: b"Ready." in self._said_since(before), "the service to be ready", START_SECONDS)

    def _said_since(self, place: int) -> bytes:
        if self._process is not None and self._process.poll() is not None:
            raise Failed(f"the service ended by itself; {self.log} says why")
        with self.log.open("rb") as said:
            said.seek(place)
            return said.read()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def post(self, *events: dict[str, Any]) -> tuple[int, Any]:
        """Post one event, or several as an array, to the HTTP door: the status, and the answer."""
        content = events[0] if len(events) == 1 else list(events)
        answer = self._ask("POST", "/events", content)
        return answer.status_code, answer.json()

    def get(self, path: str) -> Any:
        """The API's answer, as JSON."""
        return self._ask("GET", path).json()

    def _ask(self, method: str, path: str, content: Any = None) -> httpx.Response:
        address = f"http://127.0.0.1:{self._port}{path}"
        return httpx.request(method, address, json=content, timeout=30, trust_env=False)

    def itp(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the installed program on this study."""
        return subprocess.run(
            [_program(), *arguments],
            env=self._own_environment(),
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def itp_json(self, *arguments: str) -> Any:
        """The JSON document of a command.

        Raises:
            Failed: the command did.
        """
        ended = self.itp(*arguments, "--json")
        if ended.returncode:
            raise Failed(f"itp {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr.strip()}")
        return json.loads(ended.stdout)

    @property
    def store(self) -> Store:
        """Its database, opened to be read."""
        if self._store is None:
            self._store = Store.unmigrated(self._environment["ITP_DATABASE_URL"])
        return self._store

    def close(self) -> None:
        """Stop the service, and let go of its database."""
        self.stop()
        if self._store is not None:
            self._store.close()
            self._store = None

    def quiet(self) -> None:
        """Wait until no notice that is due waits, of a subject or of the service.

        Raises:
            Failed: one still does after a minute.
        """
        self.until(lambda: not self._waiting(), "every notice that is due to be handed over")

    def _waiting(self) -> bool:
        return figures(self.store, self.clock.now()).oldest_waiting is not None

    def lose_database(self) -> None:
        """Stop the service, and delete its database, as a dead disk would."""
        self.close()
        for each in self.folder.glob(f"{self.database.name}*"):
            each.unlink()

    def go_to(self, instant: datetime) -> None:
        """Let the clock go on from a later instant, and wait until all that is due then was done and told."""
        self.clock.move_to(instant)
        self.until(lambda: not self._due(instant), f"every subject to be woken by {instant:%Y-%m-%d %H:%M}Z")
        self.quiet()

    def _due(self, instant: datetime) -> list[str]:
        return [row.code for row in all_subjects(self.store) if row.wake_at and row.wake_at <= instant]

    def until(self, look: Callable[[], _Found], what: str, seconds: float = PATIENCE_SECONDS) -> _Found:
        """Look until there is something to see, and return it.

        Raises:
            Failed: nothing was seen in so many real seconds.
        """
        ends, idle = time.monotonic() + seconds, threading.Event()
        while not (found := look()):
            if time.monotonic() > ends:
                raise Failed(f"waited {seconds:g} s in vain for {what}")
            idle.wait(_LOOK_SECONDS)
        return found

    def _own_environment(self) -> dict[str, str]:
        """Nothing of the study that the user's own settings name."""
        theirs = ("ITP_", "PREFECT_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
        return kept | self._environment


def _program() -> str:
    """The installed `itp` beside this Python.

    Raises:
        ItpError: there is none.
    """
    program = Path(sys.executable).with_name("itp")
    if not program.exists():
        raise ItpError(f"there is no {program}: install the program, then qualify it")
    return str(program)
