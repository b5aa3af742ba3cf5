"""How commands end: one line, the right exit code, and a traceback only where it is asked for."""

import itertools
import json
import re
import sqlite3
from pathlib import Path

import click
import pytest
from sqlalchemy.exc import OperationalError

import deployments.cli as command_line
from deployments.bootstrap.lock import sole_service
from deployments.cli import COMMANDS
from itp_events.errors import BadInput, ItpError
from tests.deployments.cli.conftest import At, Itp
from tests.support.study import Study

pytestmark = pytest.mark.requirement("RUN-07")


def _failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(command_line.Commands, "get_command", lambda *_: failing)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInput("is wrong", "ITP_X"), 2, "ITP_X: is wrong"),
        (ItpError("the database has gone"), 1, "the database has gone"),
        (OSError(28, "No space left on device"), 1, "[Errno 28] No space left on device"),
        (
            OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked")),
            1,
            "the study's database does not answer: database is locked; try again, nothing counts twice",
        ),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    itp: Itp, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, line: str
) -> None:
    _failing(monkeypatch, error)
    said = itp("plan")
    assert (said.code, said.out, said.err) == (code, "", f"{line}\n")


def test_an_unexpected_error_is_one_line_that_says_where_its_traceback_is(
    itp: Itp, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(monkeypatch, ZeroDivisionError("division by zero\nand more"))
    said = itp("plan")
    assert said.code == 1
    start, _, log = said.err.strip().partition("; details are in ")
    assert start == "unexpected ZeroDivisionError: division by zero"
    details = Path(log)
    assert "Traceback" in details.read_text()
    assert details.stat().st_mode & 0o077 == 0, "it may hold data of subjects"
    details.unlink()


def test_debug_shows_where_an_unexpected_error_came_from(itp: Itp, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, ZeroDivisionError("division by zero"))
    said = itp("--debug", "plan")
    assert said.code == 1
    assert "details are in" not in said.err


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["plan"], ["plan", "x", "--nonsense"], ["agenda", "--days", "0"]]
)
def test_a_wrong_command_line_is_bad_input(itp: Itp, arguments: list[str]) -> None:
    said = itp(*arguments)
    assert said.code == 2
    assert "Traceback" not in said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_in_its_help(itp: Itp, name: str) -> None:
    said = itp(name, "--help")
    assert said.code == 0
    lines = said.out.splitlines()
    [begins] = [at for at, line in enumerate(lines) if line in ("  Example:", "  Examples:")]
    examples = list(itertools.takewhile(str.strip, lines[begins + 1 :]))
    assert any(re.match(rf"    (.* )?itp {name}", each) for each in examples), "a line for each example"


def test_the_help_lists_every_command(itp: Itp) -> None:
    out = itp("--help").out
    assert [name for name in COMMANDS if f"  {name} " not in out] == []


def test_the_program_ends_with_the_code_of_its_command(program: Itp) -> None:
    assert program("plan", "nowhere.json").code == 2
    assert program("show", "ITP-001").code == 1
    assert (
        program("protocol", "check", Path(command_line.__file__).parents[2] / "itp_events/protocol").code == 0
    )


def test_a_second_service_on_the_same_data_is_one_line_and_exit_1(program: Itp, tmp_path: Path) -> None:
    with sole_service(tmp_path / "data"):
        said = program("up")
    assert said.code == 1
    assert len(said.problems) == 1
    assert "a service runs on" in said.err


def test_a_terminal_without_daggers_still_gets_the_plan(program: Itp, tmp_path: Path) -> None:
    said = program("protocol", "show", PYTHONIOENCODING="ascii")
    assert said.code == 0
    assert "? assumption, to be confirmed by the site" in said.out


def test_json_keeps_the_letters_of_every_language(program: Itp, tmp_path: Path) -> None:
    text = json.dumps({"specversion": "1.0", "id": "中", "type": "x"}, ensure_ascii=False)
    said = program("record", "-", "--json", stdin=text)
    assert said.code == 2
    assert said.json[0]["status"] == "malformed"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (("recrod",), "record"),
        (("protcol", "show"), "protocol"),
        (("protocol", "chekc"), "check"),
        (("show", "--jsn"), "--json"),
        (("agenda", "--dayz", "3"), "--days"),
    ],
)
def test_an_unknown_command_or_option_is_answered_with_the_nearest(
    itp: Itp, line: tuple[str, ...], meant: str
) -> None:
    said = itp(*line)
    assert said.code == 2
    assert re.search(rf"did you mean '?{meant}'?\?", said.err, re.IGNORECASE), said.err


@pytest.mark.parametrize(
    "line", [("show", "itp-01"), ("deviations", "--subject", "ITP-01"), ("show", "ITP-0001")]
)
def test_an_unknown_subject_is_answered_with_the_nearest(
    itp: Itp, at: At, enrolled: Study, line: tuple[str, ...]
) -> None:
    said = itp(*line, **at("2026-01-07T10:00:00+08:00"))
    assert (said.code, said.err) == (
        1,
        f"{line[-1]} is not enrolled here; did you mean ITP-001? `itp subjects` lists who is\n",
    )
