"""A study of its own for the measurements: a store, subjects who wait, a Prefect server."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from deployments.bootstrap.settings import Settings
from deployments.bootstrap.study import open_study
from deployments.example_subject import ELIGIBLE
from deployments.prefect.server_process import PrefectServer, prefect_environment
from flows.study.runtime import Runtime
from itp_events.events import parse_event
from tasks.advance import Advanced
from tasks.database.schema import subjects
from tasks.delivery.channels import Channels
from tasks.delivery.claiming import ClaimAtOnce

SCREENING: dict[str, Any] = dict(ELIGIBLE)


@dataclass(frozen=True)
class WatchedStudy(Runtime):
    """A study that notes when each subject was advanced first."""

    advanced: dict[str, datetime] = field(default_factory=dict)

    def advance(self, code: str, now: datetime, at_once: ClaimAtOnce | None = None) -> Advanced:
        """Advance as ever; `now` was read just before."""
        self.advanced.setdefault(code, now)
        return super().advance(code, now, at_once)


@dataclass(frozen=True)
class Stage:
    """An open study and the Prefect server beside it."""

    study: WatchedStudy
    settings: Settings
    server: PrefectServer

    @property
    def server_pid(self) -> int:
        """The process of Prefect's server."""
        assert self.server.pid is not None
        return self.server.pid

    def enrol(self, count: int, first: int = 1) -> list[str]:
        """Enrol so many subjects; nobody shows them in Prefect yet. Their codes."""
        now = self.study.clock.now()
        codes = [f"ITP-{number:05}" for number in range(first, first + count)]
        for code in codes:
            answer = self.study.record([parse_event(_enrolment(code, now))], now)[0]
            assert answer.error is None, answer.error
            self.study.hand_over(code)
        return codes

    def wake_at(self, code: str, instant: datetime) -> None:
        """Let a subject be due at an instant at which the protocol has nothing for it."""
        with self.study.store.writing() as connection:
            connection.execute(subjects.update().where(subjects.c.code == code).values(wake_at=instant))


@contextmanager
def stage() -> Iterator[Stage]:
    """Start a Prefect server and open an empty study in a directory that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="itp-bench-") as directory:
        home = Path(directory)
        server = PrefectServer(home / "prefect", _free_port(), home / "prefect-server.log")
        os.environ |= prefect_environment(server.home, server.api)
        settings = Settings(data_dir=home, prefect_api_url=server.api)
        server.start()
        try:
            server.wait_ready(120)
            study = open_study(settings)
            # The console is told, but not this one.
            channels = Channels.from_config(None, out=(home / "notices.log").open("w"))
            api = (study.store, study.protocol, channels, study.clock, study.prefect_api)
            yield Stage(WatchedStudy(*api), settings, server)
        finally:
            server.stop()


def _enrolment(code: str, now: datetime) -> dict[str, Any]:
    on: date = now.date() - timedelta(days=1)
    data = {"by": "bench", "on": f"{on}", "site": "01", "consent_on": f"{on}", "weight_kg": 60.0}
    return {
        "specversion": "1.0",
        "id": f"enrol-{code}",
        "source": "bench",
        "type": "itp.subject.enrolled",
        "subject": code,
        "time": now.isoformat(),
        "data": data | {"screening": SCREENING},
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
