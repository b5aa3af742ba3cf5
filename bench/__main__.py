"""`python -m bench`: two minutes by default; --full adds a thousand subjects who wait.

Every number comes from this machine and this run, the comparison too: read the ratios first.
"""

from __future__ import annotations

import argparse
import os

from bench.idle import share_of_a_core, wait_until_quiet
from bench.measured import Measured
from bench.stage import Stage, stage

SUBJECTS = 60
OTHERS = 8
FULL = 1000
REPAIR_SECONDS = 180.0
RUNNER_LIMIT, SERVER_LIMIT, LATE_LIMIT, IDLE_LIMIT = 0.10, 0.25, 0.5, 0.08


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"also {FULL} waiting subjects (some 10 minutes)")
    full = parser.parse_args().full
    with stage() as study:
        _measure(study, full=full)


def _measure(stage: Stage, *, full: bool) -> None:
    # Prefect reads its environment when it is loaded: not before the stage is set.
    from bench.in_process import burst, service, show_all, spread
    from bench.process_per_run import process_per_run

    codes = stage.enrol(SUBJECTS)
    _say(f"Prefect's own way: a process for each of {OTHERS} wakes ...")
    theirs = process_per_run(stage, codes[:OTHERS])
    _say(f"In the service's process: {SUBJECTS} wakes at once, then one after the other ...")
    # One repair when Prefect is found, which creates the flow runs; none while wakes are measured.
    with service(stage, repair_seconds=3600.0):
        show_all(stage, codes)
        wait_until_quiet(stage, os.getpid())
        ours = burst(stage, codes, os.getpid())
        wait_until_quiet(stage, os.getpid())
        timers = spread(stage, codes, os.getpid())
        _report(ours, theirs, timers)
    if full:
        _idle(stage)


def _idle(stage: Stage) -> None:
    from bench.in_process import service, show_all

    codes = stage.enrol(FULL, first=SUBJECTS + 1)
    _say(f"{FULL} more subjects who wait, over one of the service's repairs ...")
    with service(stage, repair_seconds=REPAIR_SECONDS):
        show_all(stage, codes)
        wait_until_quiet(stage, os.getpid())
        share = share_of_a_core(stage, os.getpid(), REPAIR_SECONDS)
    _line("idle", share, IDLE_LIMIT, "of a core")


def _report(ours: Measured, theirs: Measured, timers: Measured) -> None:
    _say(f"\n{'a wake without a notice':32}{'here':>10}{'process':>10}{'ratio':>8}{'limit':>8}")
    _compare("wakes per second", ours.rate, theirs.rate, ours.rate / theirs.rate, None)
    _compare("runner CPU s", ours.runner, theirs.runner, theirs.runner / ours.runner, RUNNER_LIMIT)
    _compare("server CPU s", ours.server, theirs.server, theirs.server / ours.server, SERVER_LIMIT)
    _say("")
    for name, part in (("p50", 0.50), ("p95", 0.95)):
        _line(f"timer late, {name}", timers.late[int(len(timers.late) * part)], LATE_LIMIT, "s")
        _line(f"  all due at once, {name}", ours.late[int(len(ours.late) * part)], LATE_LIMIT, "s")


def _compare(what: str, here: float, process: float, ratio: float, limit: float | None) -> None:
    shown = f"{limit:8.2f}" if limit else ""
    _say(f"{what:32}{here:10.3f}{process:10.3f}{ratio:7.1f}x{shown}")


def _line(what: str, value: float, limit: float, unit: str) -> None:
    _say(f"{what:32}{value:10.3f} {unit}, limit {limit:g}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the measurements are this program's output


if __name__ == "__main__":
    main()
