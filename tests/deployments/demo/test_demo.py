"""The demonstration keeps to a folder of its own, and its dozen subjects have different fates."""

import io
import json
import os
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from deployments.bootstrap.clock import MARK
from deployments.cli import cli
from deployments.demo.run import demonstrate
from deployments.demo.script import Script, begins, script
from deployments.demo.service import DemoService
from itp_events.decisions import decide
from itp_events.errors import BadInput
from itp_events.intake.batch import judge
from itp_events.protocol.file import load_protocol
from itp_events.rules.subject import fold

pytestmark = pytest.mark.requirement("SIM-02")

PROTOCOL = load_protocol()
START = begins(PROTOCOL)


@pytest.fixture(scope="module")
def told() -> Script:
    return script(PROTOCOL)


def state(told: Script, code: str, days: int) -> str:
    """The phase of a subject so many days after the demonstration begins; empty before its enrolment."""
    now = START + timedelta(days=days)
    facts = [event for event in told.events if event.subject == code and event.time <= now]
    accepted = judge(PROTOCOL, [], facts, now).accepted
    return decide(fold(PROTOCOL, accepted), now).state if accepted else ""


def test_a_dozen_subjects_take_part(told: Script) -> None:
    assert [f"DEMO-{number:02d}" for number in range(1, 13)] == list(told.codes)
    assert {event.subject for event in told.events} == set(told.codes)


def test_the_first_of_them_completes_within_two_months_of_its_beginning(told: Script) -> None:
    assert "Completed" in {state(told, code, 60) for code in told.codes}
    assert "Completed" not in {state(told, code, 0) for code in told.codes}


def test_in_the_middle_at_least_five_phases_can_be_seen_at_once(told: Script) -> None:
    def phases(days: int) -> set[str]:
        states = {state(told, code, days) for code in told.codes}
        words = ("Awaiting", "window open", "overdue", "On hold", "Completed", "Withdrawn")
        return {word for word in words if any(word in found for found in states)}

    assert max(len(phases(days)) for days in range(55, 80, 3)) >= 5


def test_some_enrol_while_one_looks_and_the_others_are_in_different_epochs(told: Script) -> None:
    states = Counter(state(told, code, 40)[:10] for code in told.codes)
    assert states[""] >= 2
    assert len(states) >= 4


def test_it_is_the_same_story_each_time(told: Script) -> None:
    assert script(PROTOCOL) == told


@pytest.mark.parametrize("name", ["study.db", MARK])
def test_it_takes_no_folder_that_holds_something(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps({"speed": 1}))
    with pytest.raises(BadInput, match=r"holds .* already"):
        DemoService(tmp_path, START, 86400.0)
    done = CliRunner().invoke(cli, ["demo", "--data-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_refused_in_one_line() -> None:
    done = CliRunner().invoke(cli, ["demo", "--data-dir", "/proc/nowhere/demo"])
    assert done.exit_code == 2
    assert done.stderr.startswith("--data-dir: cannot use /proc/nowhere/demo")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_however_it_is_ended_its_service_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: signal.Signals, told: Script
) -> None:
    def asked(service: DemoService) -> bool:
        os.kill(os.getpid(), end)
        return False

    stopped: list[DemoService] = []
    monkeypatch.setattr("deployments.demo.run.script", lambda _: told)
    monkeypatch.setattr(DemoService, "start", lambda _: None)
    monkeypatch.setattr(DemoService, "is_ready", property(asked))
    monkeypatch.setattr(DemoService, "stop", lambda service: stopped.append(service))
    before = signal.getsignal(end)
    demonstrate(tmp_path, 1.0, 60.0, Console(file=io.StringIO()))
    assert len(stopped) == 1
    assert signal.getsignal(end) is before


def test_it_reads_none_of_the_users_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITP_DATABASE_URL", "postgresql+psycopg://the-real-study")
    monkeypatch.setenv("ITP_APPRISE_CONFIG", str(tmp_path / "nowhere.yml"))
    settings = DemoService(tmp_path / "demo", START, 86400.0).settings
    assert settings.database == f"sqlite:///{tmp_path / 'demo' / 'study.db'}"
    assert settings.apprise_config is None
    assert settings.clock_speed == 86400.0
