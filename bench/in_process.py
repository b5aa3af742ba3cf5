"""The service's own way: the round claims due runs and executes them in this process."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from bench.idle import wait_until_quiet
from bench.measured import LEAD_SECONDS, Measured
from bench.processes import cpu_seconds
from bench.stage import Stage
from bench.waiting import settle, wait_until
from deployments.service.thread import ServiceThread
from flows.prefect_api.flow_runs import FlowRuns
from flows.study.runtime import use

SPREAD_SECONDS = 0.25


@contextmanager
def service(stage: Stage, repair_seconds: float) -> Iterator[None]:
    """The round, running in this process; its log lines and Prefect's are left out."""
    logging.getLogger("prefect").handlers = []
    logging.getLogger("deployments").setLevel(logging.ERROR)
    logging.getLogger("prefect.flow_runs").propagate = False
    use(lambda: stage.study)
    round_thread = ServiceThread(stage.study, repair_seconds)
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
    wait_until(lambda: len(stage.study.advanced) == len(codes), "every subject to be woken", 300)
    wait_until_quiet(stage, runner_pid)
    # On a machine that is too busy Prefect misses a wake, which the service does without it.
    woken = [run.since for run in runs.find(codes).values() if run.since and run.since != began[run.name]]
    late = sorted((stage.study.advanced[code] - due[code]).total_seconds() for code in codes)
    return Measured(
        len(woken),
        (max(woken) - first).total_seconds(),
        (cpu_seconds(runner_pid) - runner) / len(woken),
        (cpu_seconds(stage.server_pid) - server) / len(woken),
        late,
    )
