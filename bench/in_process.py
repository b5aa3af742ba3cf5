"""The service's own way: the round claims due runs and executes them in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from bench.measured import LEAD_SECONDS, Measured
from bench.processes import cpu_seconds
from bench.stage import Stage
from bench.waiting import settle, wait_until
from deployments.service import RoundThread
from flows.flow_runs import FlowRuns
from flows.runtime import use

SPREAD_SECONDS = 0.25
# One repair when Prefect is found, which creates the flow runs; none while wakes are measured.
REPAIR_SECONDS = 3600.0


@contextmanager
def service(stage: Stage) -> Iterator[None]:
    """The round, running in this process; Prefect's own log lines are left out."""
    logging.getLogger("prefect").handlers = []
    logging.getLogger("prefect.flow_runs").propagate = False
    use(lambda: stage.study)
    round_thread = RoundThread(stage.study, REPAIR_SECONDS)
    round_thread.start()
    try:
        yield
    finally:
        round_thread.stop()


def show_all(stage: Stage, codes: Sequence[str]) -> None:
    """Wait until every subject has its flow run, which the service's repair creates."""
    runs = FlowRuns(stage.study.prefect_api, 30)
    wait_until(lambda: len(runs.find(codes)) == len(codes), "every subject to have a flow run", 600)
    settle()


def burst(stage: Stage, codes: Sequence[str], runner_pid: int) -> Measured:
    """Every subject due at the same instant: how many wakes a second, and what each costs."""
    return _wake(stage, codes, runner_pid, gap=0.0)


def spread(stage: Stage, codes: Sequence[str], runner_pid: int) -> Measured:
    """One subject due after the other: how late the timers are."""
    return _wake(stage, codes, runner_pid, gap=SPREAD_SECONDS)


def _wake(stage: Stage, codes: Sequence[str], runner_pid: int, gap: float) -> Measured:
    runs = FlowRuns(stage.study.prefect_api, 30)
    began = {code: run.since for code, run in runs.find(codes).items()}
    first = stage.study.clock.ahead(LEAD_SECONDS)
    due = {code: first + timedelta(seconds=gap * place) for place, code in enumerate(codes)}
    stage.study.advanced.clear()
    for code, instant in due.items():
        stage.wake_at(code, instant)
    runner, server = cpu_seconds(runner_pid), cpu_seconds(stage.server_pid)
    wait_until(lambda: _all_left(runs, codes, began), "every wake to end", 300)
    last = max(run.since or first for run in runs.find(codes).values())
    settle()
    late = sorted((stage.study.advanced[code] - due[code]).total_seconds() for code in codes)
    return Measured(
        len(codes),
        (last - first).total_seconds(),
        (cpu_seconds(runner_pid) - runner) / len(codes),
        (cpu_seconds(stage.server_pid) - server) / len(codes),
        late,
    )


def _all_left(runs: FlowRuns, codes: Sequence[str], began: dict[str, datetime | None]) -> bool:
    time.sleep(1.0)  # noqa: TID251 - asking costs the server CPU time, which is being measured
    found = runs.find(codes)
    return all(found[code].since != began[code] and found[code].state_type == "SCHEDULED" for code in codes)
