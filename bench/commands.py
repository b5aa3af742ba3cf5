"""`python -m bench.commands`: CPU time of the commands that only read files, beside a bare Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
PROGRAM = str(Path(sys.executable).parent / "itp")
PLAN = (PROGRAM, "plan", "examples/enrol.json", "--as-of", "2026-01-14")
COMMANDS = (
    PLAN,
    (*PLAN, "--json"),
    (PROGRAM, "protocol", "show"),
    (PROGRAM, "protocol", "check", "itp_events/protocol/nct06813157.yaml"),
    (PROGRAM, "--help"),
)
TIMES = 5
LIMIT = 1.0


def main() -> None:
    """Measure each command some times, and print a table."""
    bare = cpu_seconds((sys.executable, "-c", "pass"))
    _say(f"{'CPU s':>7}{'ratio':>8}  command")
    _say(f"{bare:7.2f}{1:7.1f}x  python -c pass")
    for command in COMMANDS:
        spent = cpu_seconds(command)
        _say(f"{spent:7.2f}{spent / bare:7.1f}x  itp {' '.join(command[1:])}")
    _say(f"limit: {LIMIT:g} CPU s")


def cpu_seconds(command: tuple[str, ...]) -> float:
    """What a command costs, start included: the median of some runs."""
    return median(_once(command) for _ in range(TIMES))


def _once(command: tuple[str, ...]) -> float:
    before = os.times()
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a measurement speaks to who started it


if __name__ == "__main__":
    main()
