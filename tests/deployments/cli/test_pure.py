"""The pure commands stay pure, and so are quick enough for a pipe (`python -m bench.commands`)."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.requirement("API-02")

ROOT = Path(__file__).parents[3]
HEAVY = ("prefect", "sqlalchemy", "apprise", "alembic", "fastapi", "httpx", "tasks", "flows")
COMMANDS = [
    ["plan", "examples/enrol.json", "--as-of", "2026-01-14"],
    ["plan", "examples/enrol.json", "--as-of", "2026-01-14", "--json"],
    ["protocol", "show"],
    ["protocol", "check", "itp_events/protocol/nct06813157.yaml"],
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
