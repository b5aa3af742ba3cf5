"""`itp record`: each event is recorded, known already, or refused by itself, and the exit code says which."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.deployments.cli.conftest import PROGRAM, At, Itp, Write, raws
from tests.support.receiver import Receiver
from tests.support.study import Study

pytestmark = pytest.mark.requirement("API-02")

NOW = "2026-01-20T09:00:00+08:00"
NOBODY = "http://127.0.0.1:9/api"


def _log(itp: Itp, code: str, settings: dict[str, str]) -> list[str]:
    """The ids of what people stated, as the study's log keeps them."""
    log = itp("show", code, "--json", **settings).json["log"]
    return [line["event"]["id"] for line in log if line["event"]["source"] != "itp"]


def test_what_is_recorded_is_said_with_where_the_subject_stands(itp: Itp, lines: Write, at: At) -> None:
    study = Study()
    study.enrol("2026-01-05")
    said = itp("record", lines(*raws(study)), **at("2026-01-05T12:00:00+08:00"))
    assert said.code == 0
    assert said.out.startswith("recorded  ITP-001  itp.subject.enrolled  (site: e-1)  now: INF1 window open")


def test_the_same_event_again_changes_nothing(itp: Itp, lines: Write, at: At, enrolled: Study) -> None:
    before = _log(itp, "ITP-001", at(NOW))
    said = itp("record", lines(*raws(enrolled)), "--json", **at(NOW))
    assert said.code == 0
    assert [row["status"] for row in said.json] == ["known", "known"]
    assert _log(itp, "ITP-001", at(NOW)) == before


def test_bad_events_are_named_and_the_good_ones_beside_them_kept(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    good = enrolled.raw("itp.visit.completed", "2026-01-13", visit="INF2", event_id="good")
    file = lines(
        "garbage",
        enrolled.raw("itp.visit.completed", "2026-01-14", visit="INF9"),
        good,
        enrolled.raw("itp.visit.completed", "2026-01-18", visit="INF4"),
        enrolled.raw("itp.visit.completed", "2026-01-18", visit="INF3", wieght_kg=60),
    )
    said = itp("record", file, "--json", **at(NOW))
    assert said.code == 2
    assert [(row["status"], row["field"]) for row in said.json] == [
        ("malformed", None),
        ("refused", "data.visit"),
        ("recorded", None),
        ("refused", None),
        ("malformed", "data.wieght_kg"),
    ]
    assert [row.get("rule") for row in said.json] == [None, None, None, "anchor-first", None]
    assert sorted(line.split(": ")[0] for line in said.problems) == [
        f"{file}:{line}" for line in (1, 2, 4, 5)
    ]
    assert _log(itp, "ITP-001", at(NOW))[-1] == "good"


def test_several_subjects_are_recorded_from_one_array_on_the_standard_input(itp: Itp, at: At) -> None:
    studies = [Study(code=f"ITP-00{number}") for number in (1, 2)]
    for study in studies:
        study.enrol("2026-01-05")
    events = [{**raw, "id": raw["subject"]} for study in studies for raw in raws(study)]
    said = itp("record", "-", stdin=json.dumps(events), **at(NOW))
    assert said.code == 0
    assert [line.split()[:2] for line in said.out.splitlines()] == [
        ["recorded", "ITP-001"],
        ["recorded", "ITP-002"],
    ]


def test_a_refused_enrolment_names_every_criterion_and_enrols_nobody(itp: Itp, lines: Write, at: At) -> None:
    study = Study()
    study.enrol("2026-01-05")
    raw = raws(study)[0]
    raw["data"]["screening"] |= {"ast_x_uln": 3.4, "age_years": 76}
    said = itp("record", lines(raw), "--json", **at(NOW))
    assert said.code == 2
    assert said.json[0]["rule"] == "eligibility"
    assert said.json[0]["unmet"] == ["age 76 years, must be 4 to 75", "AST 3.4 x ULN, limit 3†"]
    assert itp("subjects", "--json", **at(NOW)).json == []


def test_the_service_s_own_source_and_the_future_are_refused(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    later = enrolled.raw("itp.visit.completed", "2026-01-25", visit="INF2")
    own = {**enrolled.raw("itp.visit.missed", None, "2026-01-15", visit="INF2", reason="x"), "source": "itp"}
    said = itp("record", lines(later, own), "--json", **at(NOW))
    assert [row["rule"] for row in said.json] == ["future", "source"]
    assert said.code == 2


def test_an_empty_array_is_nothing_to_record_and_no_error(itp: Itp, at: At) -> None:
    said = itp("record", "-", "--json", stdin="[]", **at(NOW))
    assert (said.code, said.json, said.err) == (0, [], "")


def test_an_unreadable_file_records_nothing(itp: Itp, lines: Write, at: At) -> None:
    said = itp("record", lines("[{", ""), **at(NOW))
    assert said.code == 2
    assert len(said.problems) == 1
    assert itp("subjects", **at(NOW)).code == 1


def test_a_database_that_cannot_be_reached_is_one_line_and_exit_1(itp: Itp, lines: Write) -> None:
    study = Study()
    study.enrol("2026-01-05")
    said = itp("record", lines(*raws(study)), ITP_DATABASE_URL="postgresql://itp@127.0.0.1:9/itp")
    assert said.code == 1
    assert len(said.problems) == 1
    assert said.err.startswith("the database cannot be opened: ")


def test_an_address_that_is_no_database_is_bad_input(itp: Itp, lines: Write) -> None:
    study = Study()
    study.enrol("2026-01-05")
    said = itp("record", lines(*raws(study)), ITP_DATABASE_URL="mysql://x/y")
    assert said.code == 2
    assert said.err == "ITP_DATABASE_URL: mysql is not supported; use sqlite or postgresql\n"


def test_without_a_channel_notices_wait_for_the_service_to_print_them(itp: Itp, lines: Write, at: At) -> None:
    study = Study()
    study.enrol("2026-01-05")
    settings = at("2026-01-05T12:00:00+08:00")
    said = itp("record", lines(*raws(study)), **settings)
    assert said.err == ""
    assert len(said.out.splitlines()) == 1
    sent = itp("show", "ITP-001", "--json", **settings).json["sent"]
    assert [(row["visit"], row["step"], row["status"]) for row in sent] == [
        ("INF1", "T", "queued"),
        ("INF1", "T-3d", "queued"),
    ]


def test_with_a_channel_what_is_due_leaves_at_once(
    itp: Itp, lines: Write, at: At, receiver: Receiver
) -> None:
    study = Study()
    study.enrol("2026-01-05")
    config = lines().parent / "apprise.txt"
    config.write_text(f"coordinator={receiver.apprise_url('coordinator')}\n")
    settings = at("2026-01-05T12:00:00+08:00") | {"ITP_APPRISE_CONFIG": str(config)}
    said = itp("record", lines(*raws(study)), "--json", **settings)
    assert [row["status"] for row in said.json] == ["recorded"]
    assert len(receiver.at("coordinator")) == 1


def test_the_answer_does_not_wait_for_the_provider(
    lines: Write, at: At, tmp_path: Path, receiver: Receiver
) -> None:
    study = Study()
    study.enrol("2026-01-05")
    config = tmp_path / "apprise.txt"
    config.write_text(f"coordinator={receiver.apprise_url('coordinator?rto=60')}\n")
    settings = at("2026-01-05T12:00:00+08:00") | {"ITP_APPRISE_CONFIG": str(config)}
    environment = os.environ | {"ITP_DATA_DIR": str(tmp_path / "data"), "PREFECT_API_URL": NOBODY} | settings
    receiver.hang()
    command: list[Path | str] = [PROGRAM, "record", lines(*raws(study))]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline().startswith("recorded  ITP-001")
        receiver.wait_for(1)
        assert program.poll() is None, "the notice is still on its way"
        receiver.succeed()
    assert program.returncode == 0


def test_the_installed_program_answers_the_same(program: Itp, lines: Write, at: At) -> None:
    study = Study()
    study.enrol("2026-01-05")
    settings = at(NOW) | {"PREFECT_API_URL": NOBODY}
    file = lines(*raws(study), "garbage")
    said = program("record", file, **settings)
    assert said.code == 2
    assert said.out.startswith("recorded  ITP-001")
    assert said.problems[-1] == f"{file}:2: is not JSON: Expecting value"
