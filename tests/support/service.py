"""The whole service as its users start it: a process of its own, on a data directory of its own."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from deployments.bootstrap.clock import FastClock
from deployments.bootstrap.settings import Settings, load_settings
from deployments.bootstrap.study import open_study
from deployments.example_subject import ELIGIBLE
from flows.prefect_api.flow_runs import FlowRun, FlowRuns
from flows.study.recording import record_and_show
from flows.study.roles import Speaker
from flows.study.runtime import Runtime
from itp_events.events import Event, parse_event
from tasks.advance import Answer
from tasks.database.queries import SubjectRow, subject
from tests.support.ports import free_port
from tests.support.receiver import Receiver, Request
from tests.support.waiting import PATIENCE, wait_until

SITE = ZoneInfo("Asia/Shanghai")
AUDIENCES = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")


def _apprise(url: str) -> str:
    """An Apprise configuration that sends every audience's notices to its own path of one address."""
    lines = "".join(f"  - {url}{audience}:\n      - tag: {audience}\n" for audience in AUDIENCES)
    return f"version: 1\nurls:\n{lines}"


@dataclass
class Service:
    """`itp up` on 127.0.0.1: started, asked, stopped, killed; its notices go to `receiver`."""

    data_dir: Path
    receiver: Receiver
    environment: dict[str, object] = field(default_factory=dict)
    # The command that starts it: `up`, or a part of the service.
    part: str = "up"
    prefect_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _study: Runtime | None = None
    _flow_runs: FlowRuns | None = None

    @property
    def settings(self) -> Settings:
        """The settings that the service runs with."""
        return load_settings(self._own_environment(), Path("/nonexistent"))

    @property
    def log(self) -> str:
        """What the service has said so far."""
        path = self.data_dir.parent / f"{self.data_dir.name}.log"
        return path.read_text() if path.exists() else ""

    @property
    def pid(self) -> int:
        """The process that runs the service."""
        assert self._process is not None
        return self._process.pid

    @property
    def study(self) -> Runtime:
        """The service's study, opened in this process too, as a command would."""
        if self._study is None:
            self._study = open_study(self.settings)
        return self._study

    def start(self, *, ready: bool = True) -> None:
        """Start it, and return when it says that it is ready (or at once)."""
        before = len(self.log)
        with (self.data_dir.parent / f"{self.data_dir.name}.log").open("ab") as output:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("itp"), self.part],
                env=os.environ | self._own_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=Path(__file__).parents[2],
            )
        if ready:
            wait_until(lambda: self._says("Ready.", before), "the service to be ready")

    def wait_ended(self) -> int:
        """Wait until the process has ended; its exit code."""
        assert self._process is not None
        return self._process.wait(timeout=PATIENCE)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and return its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        return self.wait_ended()

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)

    def close(self) -> None:
        """End it, if it runs, and let go of the study."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
        if self._study is not None:
            self._study.store.close()
        if self._flow_runs is not None:
            self._flow_runs.close()

    def record(self, *events: dict[str, Any]) -> list[Answer]:
        """Record events as `itp record` does, at the study's present instant."""
        stated = [parse_event(event) for event in events]
        return record_and_show(self.study, stated, self.study.clock.now(), Speaker(decides=True))

    def subject(self, code: str) -> SubjectRow:
        """Where the subject stands."""
        row = subject(self.study.store, code)
        assert row is not None, f"{code} is not enrolled"
        return row

    def flow_run(self, code: str) -> FlowRun | None:
        """The subject's flow run as Prefect shows it."""
        return self.flow_runs.find([code]).get(code)

    @property
    def flow_runs(self) -> FlowRuns:
        """Prefect's API, with the patience of a test."""
        if self._flow_runs is None:
            self._flow_runs = FlowRuns(self.settings.prefect_api, 10.0)
        return self._flow_runs

    def told(self, code: str) -> list[Request]:
        """The notices about a subject so far, oldest first; digests name no subject in their title."""
        return [request for request in list(self.receiver.requests) if code in request.body["title"]]

    def enrol(self, code: str, **data: Any) -> None:
        """Enrol a subject today, with the first infusion in four days unless `data` says otherwise."""
        now = self.study.clock.now()
        today = now.astimezone(SITE).date()
        stated = {"first_infusion_on": (today + timedelta(days=4)).isoformat()} | data
        [answer] = self.record(enrolment(code, now, today, **stated))
        assert answer.status == "recorded", answer.error

    def bring_forward(self, code: str, seconds: float = 3.0) -> datetime:
        """Move the clock so that the subject is due in so many real seconds; the instant at which it is."""
        due = self.subject(code).wake_at
        assert due is not None, f"nothing is due for {code} any more"
        self.move_clock_to(due - timedelta(seconds=seconds))
        return due

    def wait_for_wake(self, code: str, due: datetime) -> SubjectRow:
        """Wait until the subject has been advanced past an instant at which it was due."""

        def advanced() -> SubjectRow | None:
            row = self.subject(code)
            return row if row.wake_at is None or row.wake_at > due else None

        row = wait_until(advanced, f"{code} to be woken at {due}")
        assert row is not None
        return row

    def wait_for_run(self, code: str, holds: Callable[[FlowRun], bool], what: str) -> FlowRun:
        """Wait until the subject's flow run is there and as it should be."""

        def found() -> FlowRun | None:
            run = self.flow_run(code)
            return run if run is not None and holds(run) else None

        run = wait_until(found, f"the flow run of {code} {what}", every=0.2)
        assert run is not None
        return run

    def is_shown(self, code: str) -> Callable[[FlowRun], bool]:
        """Whether a flow run waits for what the subject waits for at the time of looking."""

        def holds(run: FlowRun) -> bool:
            row = self.subject(code)
            if row.wake_at is None or run.planned is None:
                return False
            waits = run.state_type == "SCHEDULED" and run.state_name == row.state
            return waits and abs(run.planned - self.study.clock.wall(row.wake_at)) < timedelta(seconds=1)

        return holds

    def move_clock_to(self, instant: datetime) -> None:
        """Let a demonstration's clock go on from a later instant."""
        clock = self.study.clock
        assert isinstance(clock, FastClock)
        clock.move_to(instant)

    def begin_week(self) -> date:
        """Let a demonstration's clock go on from the next Monday that begins three weeks without a holiday.

        It shows 10:00 at the site then. Returns that Monday.
        """
        is_working = self.study.protocol.site("01").workdays.is_working
        today = self.study.clock.now().astimezone(SITE).date()
        monday = today + timedelta(days=7 - today.weekday())
        while not all(
            is_working(monday + timedelta(weeks=week, days=day)) for week in range(3) for day in range(5)
        ):
            monday += timedelta(days=7)
        self.move_clock_to(datetime.combine(monday, time(10), SITE))
        return monday

    def _own_environment(self) -> dict[str, str]:
        config = self.data_dir.parent / "apprise.yml"
        if not config.exists():
            config.write_text(_apprise(self.receiver.apprise_url()))
        ours = {
            "ITP_DATA_DIR": self.data_dir,
            "ITP_PREFECT_PORT": self.prefect_port,
            "ITP_API_PORT": self.api_port,
            "ITP_APPRISE_CONFIG": config,
            # The doors in the service's own process: quicker to start, and one child less.
            "ITP_API_WORKERS": 0,
        }
        return {name: str(value) for name, value in (ours | self.environment).items()}

    def _says(self, line: str, since: int) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the service ended at once: {self.log[since:]}"
        return line in self.log[since:]


def event(kind: str, code: str, at: datetime, data: dict[str, Any], *, number: str = "") -> dict[str, Any]:
    """A CloudEvent that somebody reports at an instant."""
    return {
        "specversion": "1.0",
        "id": number or uuid.uuid4().hex,
        "source": "test",
        "type": f"itp.{kind}",
        "subject": code,
        "time": at.isoformat(),
        "data": {"by": "crc-01"} | data,
    }


def enrolment(code: str, at: datetime, on: date, **data: Any) -> dict[str, Any]:
    """The enrolment of somebody who meets every inclusion criterion."""
    stated = {"on": on.isoformat(), "site": "01", "consent_on": on.isoformat(), "weight_kg": 61.5}
    return event("subject.enrolled", code, at, stated | {"screening": dict(ELIGIBLE)} | data)


def children(pid: int) -> Sequence[int]:
    """The processes that a process has started and that still run."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def is_running(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


__all__ = ["Event", "Service", "children", "enrolment", "event", "is_running"]
