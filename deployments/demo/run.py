"""Runs the demonstration: starts the service, records the story in time, prints the changes."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from rich.console import Console

from deployments.bootstrap.study import open_study
from deployments.demo.narrator import Narrator
from deployments.demo.script import Script, begins, script
from deployments.demo.service import DemoService
from flows.prefect_api.flow_runs import JOURNEY, FlowRuns, PrefectProblem
from flows.study.recording import record_and_show
from flows.study.roles import Speaker
from flows.study.runtime import Runtime
from itp_events.errors import ItpError
from itp_events.events import Event
from itp_events.protocol.file import load_protocol
from tasks.database.queries import all_subjects

READY_SECONDS = 180.0
_LOOK_SECONDS = 0.3


def demonstrate(data_dir: Path, days_per_second: float, seconds: float, out: Console) -> None:
    """Run the demonstration for at most so many real seconds, or until its story ends; then stop everything.

    Raises:
        ItpError: one line that says why it cannot run, and where to look.
    """
    began = time.monotonic()
    service = DemoService(data_dir, begins(load_protocol()), days_per_second * 86400)
    _introduce(data_dir, days_per_second, out)
    with _ended_like_ctrl_c():
        try:
            service.start()
            the_script = script(load_protocol())
            _until_ready(service, began)
            with (data_dir / "told.log").open("w", encoding="utf-8") as log:
                _tell(service, the_script, log, out, (began, seconds))
        except KeyboardInterrupt:
            out.print("Stopping ...")
        finally:
            # A second Ctrl-C must not leave the service behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            service.stop()


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Let a closed terminal or a kill end the demonstration in order, its service first."""
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, signal.default_int_handler) for each in ends}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _introduce(data_dir: Path, days_per_second: float, out: Console) -> None:
    out.print(
        f"A dozen simulated subjects, {_pace(days_per_second)}: each line tells of one subject's new phase. "
        f"Ctrl-C stops it.\nStarting the service; everything is kept in {data_dir} ...",
        soft_wrap=True,
    )


def _pace(days_per_second: float) -> str:
    return "a day a second" if days_per_second == 1 else f"{days_per_second:g} days a second"


def _until_ready(service: DemoService, began: float) -> None:
    idle = threading.Event()
    while not service.is_ready:
        if time.monotonic() - began > READY_SECONDS:
            raise ItpError(f"the service was not ready within {READY_SECONDS:g} s; {service.log} says why")
        idle.wait(_LOOK_SECONDS)


def _tell(
    service: DemoService, the_script: Script, log: TextIO, out: Console, time_given: tuple[float, float]
) -> None:
    study = open_study(service.settings)
    study = replace(study, channels=replace(study.channels, out=log))
    began, seconds = time_given
    narrator = Narrator(out, study_ui(service), study.protocol.site("01"))
    world = study.wall().date()
    narrator.introduce(service.settings.base_url, str(service.log), world, _journeys(service))
    waiting, idle = deque(the_script.events), threading.Event()
    try:
        while time.monotonic() - began < seconds and not idle.wait(_LOOK_SECONDS):
            _state(study, waiting, out)
            rows = all_subjects(study.store)
            narrator.look(rows, study.clock.now(), time.monotonic() - began)
            if not waiting and len(rows) == len(the_script.codes) and all(row.exited for row in rows):
                break
        out.rule(f"{len(rows)} subjects, {sum(row.exited for row in rows)} ended")
    finally:
        study.store.close()


def _journeys(service: DemoService) -> str | None:
    """The id of the journeys' flow, by which the work lists select; None where Prefect is slow."""
    runs = FlowRuns(service.settings.prefect_api)
    try:
        found = runs.deployment(JOURNEY)
    except PrefectProblem:
        return None
    finally:
        runs.close()
    return str(found.flow_id) if found else None


def study_ui(service: DemoService) -> str:
    """The address of Prefect's UI."""
    return service.settings.prefect_api.removesuffix("/api")


# The people of the story, whom nobody tells apart.
SCRIPT = Speaker(decides=True, door="cli")


def _state(study: Runtime, waiting: deque[Event], out: Console) -> None:
    """Record the events of the story up to now, through the same door as people do."""
    now = study.clock.now()
    due: list[Event] = []
    while waiting and waiting[0].time <= now:
        due.append(waiting.popleft())
    for answer in record_and_show(study, due, now, SCRIPT) if due else ():
        if answer.error is not None:
            out.print(f"             refused: {answer.event.id}: {answer.error}", style="dim", soft_wrap=True)
