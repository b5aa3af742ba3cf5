"""The pure commands stay pure, and quick enough for a person and for a pipe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployments.cli.conftest import PROGRAM

ROOT = Path(__file__).parents[3]
HEAVY = ("prefect", "sqlalchemy", "apprise", "alembic", "fastapi", "httpx", "tasks", "flows")
COMMANDS = [
    ["plan", "examples/enrol.json", "--as-of", "2026-01-14"],
    ["plan", "examples/enrol.json", "--as-of", "2026-01-14", "--json"],
    ["protocol", "show"],
    ["protocol", "check", "itp_events/protocols/nct06813157.yaml"],
    ["--help"],
    ["plan", "--help"],
]
_LOADED = """
import sys
from deployments.cli import cli
try:
    cli(sys.argv[1:])
finally:
    print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def _name(command: list[str]) -> str:
    return " ".join(command)


@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_a_pure_command_loads_neither_prefect_nor_a_database(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = done.stderr.rpartition("loaded:")[2].split()
    assert "click" in loaded
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_a_pure_command_needs_less_than_a_second_of_computing(command: list[str]) -> None:
    """Measured as CPU time, which other work on the machine does not stretch as it does the wall's."""
    before = os.times()
    subprocess.run([PROGRAM, *command], cwd=ROOT, capture_output=True, check=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 1.0
