"""The command line, once in this process (quick) and once as the program that users start."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deployments.bootstrap.clock import MARK
from deployments.cli import cli
from tests.support.databases import migrated_sqlite
from tests.support.study import Study

PROGRAM = Path(sys.executable).parent / "itp"


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The standard output, which is one JSON document."""
        return json.loads(self.out)

    @property
    def problems(self) -> list[str]:
        """The lines on the standard error."""
        return self.err.splitlines()


Itp = Callable[..., Said]
Write = Callable[..., Path]
At = Callable[[str], dict[str, str]]


@pytest.fixture
def itp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Itp:
    """Runs a command line in this process, on a data directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ITP_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    # Nobody listens there: what is recorded is shown in Prefect later.
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")

    def run(*arguments: object, stdin: str | None = None, **environment: str) -> Said:
        given = [str(argument) for argument in arguments]
        result = CliRunner().invoke(cli, given, input=stdin, env=environment, prog_name="itp")
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def program(tmp_path: Path) -> Itp:
    """Runs the installed program `itp` as users do, in a process of its own."""

    def run(*arguments: object, stdin: str | None = None, **environment: str) -> Said:
        mine = {"ITP_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "80", **environment}
        command = [str(PROGRAM), *map(str, arguments)]
        done = subprocess.run(
            command,
            input=stdin,
            env=os.environ | mine,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def lines(tmp_path: Path) -> Write:
    """Writes a file of JSON Lines; a string stands in it as it is."""

    def write(*values: object) -> Path:
        file = tmp_path / "events.jsonl"
        rows = [value if isinstance(value, str) else json.dumps(value) for value in values]
        file.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return file

    return write


@pytest.fixture
def at(tmp_path: Path) -> At:
    """Makes the settings of a demonstration whose clock shows an instant now; a later call moves it on."""

    def settings(instant: str) -> dict[str, str]:
        mark = tmp_path / "data" / MARK
        mark.parent.mkdir(exist_ok=True)
        began = datetime.now(UTC).isoformat()  # noqa: TID251 - the demonstration's clock starts here
        database = f"sqlite:///{tmp_path / 'data' / 'study.db'}"
        mark.write_text(json.dumps({"database": database, "start": instant, "began": began, "speed": 1.0}))
        return {"ITP_CLOCK_SPEED": "1"}

    return settings


@pytest.fixture
def enrolled(itp: Itp, lines: Write, at: At, tmp_path: Path) -> Study:
    """ITP-001 in the running study on 7 January: enrolled on the 5th, infusion 1 given on the 6th."""
    migrated_sqlite(tmp_path / "data" / "study.db")
    study = Study()
    study.enrol("2026-01-05", first_infusion_on="2026-01-06")
    study.done("INF1", "2026-01-06", weight_kg=60.5)
    said = itp("record", lines(*raws(study)), **at("2026-01-07T09:00:00+08:00"))
    assert said.code == 0, said.err
    return study


def raws(study: Study) -> list[dict[str, Any]]:
    """What people stated of a subject, as JSON."""
    return [event.to_json() for event in study.log if not event.own]
