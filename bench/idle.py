"""What waiting costs: nobody is due, and the service and Prefect's server only look."""

from __future__ import annotations

from bench.processes import cpu_seconds
from bench.stage import Stage
from bench.waiting import settle

MINUTE = 60.0


def idle_share(stage: Stage, runner_pid: int) -> float:
    """The share of one core that service and server use together over a minute."""
    before = cpu_seconds(runner_pid) + cpu_seconds(stage.server_pid)
    settle(MINUTE)
    return (cpu_seconds(runner_pid) + cpu_seconds(stage.server_pid) - before) / MINUTE
