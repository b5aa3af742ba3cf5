"""What waiting costs: nobody is due, and the service and Prefect's server only look."""

from __future__ import annotations

from bench.processes import cpu_seconds
from bench.stage import Stage
from bench.waiting import settle, wait_until
from tasks.board.reading import stale

QUIET_SHARE = 0.15
QUIET_SECONDS = 5.0


def share_of_a_core(stage: Stage, runner_pid: int, seconds: float) -> float:
    """What service and server use together over so many seconds."""
    before = cpu_seconds(runner_pid) + cpu_seconds(stage.server_pid)
    settle(seconds)
    return (cpu_seconds(runner_pid) + cpu_seconds(stage.server_pid) - before) / seconds


def wait_until_quiet(stage: Stage, runner_pid: int) -> None:
    """Let what the start brings end: runs created, pages shown. A busy machine only looks quiet meanwhile."""
    study = stage.study
    wait_until(lambda: not stale(study.store, study.clock.now(), 1), "every subject's page to be shown", 1800)
    wait_until(
        lambda: share_of_a_core(stage, runner_pid, QUIET_SECONDS) < QUIET_SHARE, "the service to rest", 900
    )
