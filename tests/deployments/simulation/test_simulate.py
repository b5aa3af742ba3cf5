"""`itp simulate` as a user runs it."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deployments.cli import cli
from itp_events.events import parse_event
from itp_events.protocol.file import BUILT_IN

pytestmark = pytest.mark.requirement("SIM-01")


def itp(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="itp")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dry-run")
    done = itp("simulate", "--subjects", 4, "--seed", 5, "--out", out)
    assert done.exit_code == 0, done.output
    return out


def test_it_leaves_a_report_the_events_and_the_notices(folder: Path) -> None:
    assert {file.name for file in folder.iterdir()} == {"report.html", "events.jsonl", "notices.csv"}


def test_its_events_are_those_of_the_catalogue_in_order_of_time(folder: Path) -> None:
    events = [parse_event(json.loads(line)) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [event.time for event in events] == sorted(event.time for event in events)


def test_itp_plan_accepts_its_events(folder: Path) -> None:
    done = itp("plan", folder / "events.jsonl", "--as-of", "2024-06-01", "--json")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""


def test_the_notices_are_one_line_each(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "notices.csv").read_text(encoding="utf-8").splitlines()))
    assert len({row["key"] for row in rows}) == len(rows) > 20


def test_the_first_line_on_the_terminal_says_how_many_messages_a_week(folder: Path) -> None:
    done = itp("simulate", "--subjects", 2)
    assert "the coordinator gets" in done.output.splitlines()[0]


def test_a_run_of_two_protocols_writes_the_differences(tmp_path: Path) -> None:
    done = itp("simulate", "--subjects", 2, "--compare", BUILT_IN, BUILT_IN, "--out", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["windows"] == []
    assert (tmp_path / "differences.csv").exists()


def test_a_check_says_how_much_it_looked_at() -> None:
    done = itp("simulate", "--check", "--seeds", 2, "--subjects", 1, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert (found["seeds"], found["subjects"], found["violations"]) == (2, 2, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scenario", "chaos"), "'chaos' is no scenario"),
        (("--start", "soon"), "must be a date"),
        (("--scenario", "typical", "--behaviour", BUILT_IN), "cannot go with --behaviour"),
        (("--scenario", ""), "is no scenario"),
        (("--behaviour", BUILT_IN), "unknown field"),
        (("--start", "9999-12-31"), "must lie between"),
        (("--subjects", 100_000), "would be screened until after"),
        (("--seeds", 3), "goes with --check only"),
        (("--check", "--out", "somewhere"), "cannot go with --check"),
        (("--check", "--compare", BUILT_IN, BUILT_IN), "cannot go with --check"),
        (("--protocol", BUILT_IN, "--compare", BUILT_IN, BUILT_IN), "cannot go with --compare"),
        (("--out", "/proc/nowhere"), "cannot write into"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: tuple[object, ...], said: str) -> None:
    done = itp("simulate", "--subjects", 1, *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
