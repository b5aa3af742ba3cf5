"""Prefect's own way: `serve` starts a new process for every wake of the very same flow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.measured import LEAD_SECONDS, Measured
from bench.processes import cpu_seconds
from bench.stage import Stage
from bench.waiting import settle, wait_until
from flows.prefect_api.flow_runs import JOURNEY, Deployment, FlowRuns, scheduled

AT_A_TIME = 4
SERVE = f"""
from prefect import serve
from prefect.deployments.runner import RunnerDeployment
journey = RunnerDeployment.from_entrypoint("deployments/entry.py:subject_journey", "{JOURNEY}")
serve(journey, limit={AT_A_TIME})
"""


def process_per_run(stage: Stage, codes: Sequence[str]) -> Measured:
    """Wake each subject once, all at the same instant, each through a process of its own."""
    runs = FlowRuns(stage.study.prefect_api, 30)
    with _served(stage) as serving:
        journeys = _deployment(runs)
        due = stage.study.clock.ahead(LEAD_SECONDS)
        for code in codes:
            runs.create(journeys, code, scheduled(due))
        runner, server = cpu_seconds(serving.pid), cpu_seconds(stage.server_pid)
        wait_until(lambda: _all_wait(runs, codes), "every process to end", 300)
        last = max(run.since or due for run in runs.find(codes).values())
        settle(5.0)
        return Measured(
            len(codes),
            (last - due).total_seconds(),
            (cpu_seconds(serving.pid) - runner) / len(codes),
            (cpu_seconds(stage.server_pid) - server) / len(codes),
        )


def _all_wait(runs: FlowRuns, codes: Sequence[str]) -> bool:
    settle(1.0)  # asking costs the server CPU time, which is being measured
    return all(run.state_name.startswith(("Awaiting", "INF")) for run in runs.find(codes).values())


def _deployment(runs: FlowRuns) -> Deployment:
    wait_until(lambda: runs.deployment(JOURNEY) is not None, "Prefect to serve the flow", 60)
    journeys = runs.deployment(JOURNEY)
    assert journeys is not None
    settle()
    return journeys


@contextmanager
def _served(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "ITP_DATA_DIR": str(stage.settings.data_dir),
        # As often as the service asks, so that the wait for the next poll is not what is measured.
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    }
    log = stage.settings.data_dir / "serve.log"
    with log.open("wb") as output:
        serving = subprocess.Popen(
            [sys.executable, "-c", SERVE], env=os.environ | environment, stdout=output, stderr=output
        )
    try:
        yield serving
    finally:
        serving.terminate()
        serving.wait(timeout=60)
