"""The examples that the README leads a new user through can be used on any day."""

import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from itp_events.events import parse_event
from itp_events.intake.batch import judge
from itp_events.outputs.plan import plan
from itp_events.outputs.plan_json import document
from itp_events.protocol.file import load_protocol
from tasks.delivery.channels import problems

pytestmark = pytest.mark.requirement("INT-01")

EXAMPLES = Path(__file__).parent.parent / "examples"
CORRECTION = EXAMPLES / "correct.json"
FILES = sorted({*EXAMPLES.glob("*.json")} - {CORRECTION})


def _today(file: Path) -> dict[str, Any]:
    script = ["sh", str(EXAMPLES / "today.sh"), str(file)]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    event: dict[str, Any] = json.loads(done.stdout)
    return event


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_example_is_an_event_of_the_catalogue(file: Path) -> None:
    assert parse_event(json.loads(file.read_text())).subject == "ITP-007"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_moved_to_today_happens_on_the_day_it_is_reported_at_the_site(file: Path) -> None:
    event = _today(file)
    reported = datetime.fromisoformat(event["time"]).astimezone(ZoneInfo("Asia/Shanghai"))
    assert event["data"]["on"] == reported.date().isoformat()
    assert event["time"] != json.loads(file.read_text())["time"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_moved_to_today_changes_nothing_but_its_dates_and_its_id(file: Path) -> None:
    moved, written = _today(file), json.loads(file.read_text())
    for event in (moved, written):
        del event["time"]
        del event["id"]
        event["data"] = {
            key: value for key, value in event["data"].items() if key not in ("on", "first_infusion_on")
        }
    assert moved == written


def test_the_correction_moves_the_first_infusion_of_the_other_examples() -> None:
    stated = [json.loads((EXAMPLES / name).read_text()) for name in ("enrol.json", "inf1.json")]
    events = [parse_event(each) for each in [*stated, *json.loads(CORRECTION.read_text())]]
    as_of = datetime.fromisoformat("2026-01-07T00:00:00+08:00")
    judged = judge(load_protocol(), (), events, as_of)
    assert [verdict.error for verdict in judged.verdicts] == [None] * 4
    shown = document(plan(load_protocol(), judged.accepted, as_of))
    assert shown["visits"][0]["on"] == "2026-01-06"


def test_the_example_of_a_configuration_reaches_every_audience() -> None:
    assert problems(EXAMPLES / "apprise.conf") == []


def test_each_use_of_an_example_is_an_event_of_its_own() -> None:
    file = EXAMPLES / "enrol.json"
    assert len({_today(file)["id"], _today(file)["id"], json.loads(file.read_text())["id"]}) == 3


def test_consent_in_the_example_is_not_moved_and_so_never_follows_enrolment() -> None:
    data = _today(EXAMPLES / "enrol.json")["data"]
    assert data["consent_on"] < data["on"] == data["first_infusion_on"]
