"""`itp export`: every fact, decision and notice of the study, in files that other programs read."""

import csv
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deployments.bootstrap.os_user import os_actor
from itp_events.events import parse_event
from tests.deployments.cli.conftest import At, Itp, Write, raws
from tests.support.study import Study

pytestmark = pytest.mark.requirement("OUT-03")

NOW = "2026-01-07T10:00:00+08:00"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def documents(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_every_fact_is_exported_as_it_was_stated(itp: Itp, at: At, enrolled: Study, tmp_path: Path) -> None:
    assert itp("export", "out", **at(NOW)).code == 0
    exported = [parse_event(each) for each in documents(tmp_path / "out" / "events.jsonl")]
    assert exported == [parse_event(each) for each in raws(enrolled)]


def test_the_exported_facts_give_the_plan_that_the_study_shows(
    itp: Itp, at: At, enrolled: Study, tmp_path: Path
) -> None:
    itp("export", "out", **at(NOW))
    planned = itp("plan", tmp_path / "out" / "events.jsonl", "--as-of", NOW, "--json").json
    assert planned["visits"] == itp("show", "ITP-001", "--json", **at(NOW)).json["visits"]


def test_the_log_holds_the_decisions_too_each_in_its_place(
    itp: Itp, at: At, enrolled: Study, tmp_path: Path
) -> None:
    itp("export", "out", **at(NOW))
    log = documents(tmp_path / "out" / "log.jsonl")
    shown = itp("show", "ITP-001", "--json", **at(NOW)).json["log"]
    assert log == [{"subject": "ITP-001", **line} for line in shown]
    assert {"itp", "site"} <= {line["event"]["source"] for line in shown}
    doors = {(line["actor"], line["door"]) for line in shown if line["event"]["source"] != "itp"}
    assert doors == {(os_actor(), "cli")}


def test_what_was_sent_is_exported_with_what_became_of_it(
    itp: Itp, at: At, enrolled: Study, tmp_path: Path
) -> None:
    itp("export", "out", **at(NOW))
    sent = itp("show", "ITP-001", "--json", **at(NOW)).json["sent"]
    notices = rows(tmp_path / "out" / "notices.csv")
    assert sent
    assert [(row["key"], row["status"], row["due"]) for row in notices] == [
        (each["key"], each["status"], each["due"]) for each in sent
    ]
    attempts = rows(tmp_path / "out" / "attempts.csv")
    assert len(attempts) == sum(len(each["attempts"]) for each in sent)


def test_visits_dispositions_and_refused_enrolments_have_tables_of_their_own(
    itp: Itp, lines: Write, at: At, enrolled: Study, tmp_path: Path
) -> None:
    refused = Study(code="ITP-002").enrolment("2026-01-06", screening={"age_years": 3}, at="2026-01-06")
    itp("record", lines(refused.to_json() | {"id": "other"}), **at(NOW))
    said = itp("export", "out", "--json", **at(NOW))
    assert said.json | {"sv.csv": 1, "ds.csv": 0, "screening.csv": 1} == said.json
    assert [row["VISIT"] for row in rows(tmp_path / "out" / "sv.csv")] == ["INF1"]
    [screening] = rows(tmp_path / "out" / "screening.csv")
    assert screening["subject"] == "ITP-002"
    assert "age" in screening["unmet"]


def test_deviations_and_responses_have_tables_of_their_own(
    itp: Itp, lines: Write, at: At, enrolled: Study, tmp_path: Path
) -> None:
    counts = [
        enrolled.raw("itp.visit.completed", on, visit=visit, platelets=120, bleeding=0)
        for visit, on in (("INF2", "2026-01-16"), ("INF3", "2026-01-30"))
    ]
    later = at("2026-01-31T10:00:00+08:00")
    assert itp("record", lines(*counts), **later).code == 0
    assert itp("export", "out", **later).code == 0
    [deviation] = rows(tmp_path / "out" / "dv.csv")
    assert (deviation["DVSPID"], deviation["VISIT"]) == ("ITP-001/INF2/window/2026-01-16/+2d", "INF2")
    [qualifier] = rows(tmp_path / "out" / "suppdv.csv")
    assert (qualifier["QNAM"], qualifier["QVAL"]) == ("DVIMP", "N")
    found = [
        (row["visit"], row["grade"], row["confirmed"]) for row in rows(tmp_path / "out" / "response.csv")
    ]
    assert found == [("INF1", "not-evaluable", "N"), ("INF2", "complete", "Y"), ("INF3", "complete", "Y")]
    spells = rows(tmp_path / "out" / "response_course.csv")
    assert [(row["what"], row["days_from_first_infusion"]) for row in spells] == [
        ("complete", "10"),
        ("response", "10"),
    ]


def test_a_text_that_a_spreadsheet_would_run_stays_a_text(
    itp: Itp, lines: Write, at: At, enrolled: Study, tmp_path: Path
) -> None:
    visit = enrolled.raw("itp.visit.unscheduled", "2026-01-06", reason="=HYPERLINK()", event_id="x")
    itp("record", lines(visit), **at(NOW))
    itp("export", "out", **at(NOW))
    assert [row["SVUPDES"] for row in rows(tmp_path / "out" / "sv.csv")] == ["", "'=HYPERLINK()"]


def test_a_carriage_return_alone_ends_no_line_of_a_table(
    itp: Itp, lines: Write, at: At, enrolled: Study, tmp_path: Path
) -> None:
    visit = enrolled.raw("itp.visit.unscheduled", "2026-01-06", reason="one\rtwo", event_id="x")
    itp("record", lines(visit), **at(NOW))
    itp("export", "out", **at(NOW))
    assert [row["SVUPDES"] for row in rows(tmp_path / "out" / "sv.csv")] == ["", "one\rtwo"]


def test_numbers_and_texts_are_exported_as_they_were_stated(
    itp: Itp, lines: Write, at: At, enrolled: Study, tmp_path: Path
) -> None:
    reason = "e\u0301, 007, 1e5, 61.50 鼻出血  "
    done = enrolled.raw(
        "itp.visit.completed", "2026-01-16", visit="INF2", platelets=41, weight_kg=61.123456789
    )
    done["data"] |= {"cells_given": 3_123_450_000, "bleeding": 0}
    other = enrolled.raw("itp.visit.unscheduled", "2026-01-16", reason=reason, event_id="x")
    later = at("2026-01-17T10:00:00+08:00")
    assert itp("record", lines(done, other), **later).code == 0
    assert itp("export", "out", **later).code == 0
    exported = (tmp_path / "out" / "events.jsonl").read_text(encoding="utf-8")
    assert '"weight_kg": 61.123456789, "platelets": 41, "bleeding": 0, "cells_given": 3123450000}' in exported
    assert [row["platelets"] for row in rows(tmp_path / "out" / "response.csv")] == ["", "41"]
    assert rows(tmp_path / "out" / "sv.csv")[-1]["SVUPDES"] == reason
    [dose] = [row["DVTERM"] for row in rows(tmp_path / "out" / "dv.csv") if "cells given" in row["DVTERM"]]
    assert dose.startswith("INF2: 3.12345 x 10^9 cells given, ")
    assert dose.endswith("for 61.123456789 kg")


@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_an_export_does_not_go_through_a_symbolic_link(
    itp: Itp, at: At, enrolled: Study, tmp_path: Path, target: str
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / target)
    said = itp("export", "out", **at(NOW))
    assert said.code == 2
    assert said.problems == ["DIR: out is a symbolic link; name the folder itself, new or empty"]
    assert not any((tmp_path / "there").iterdir())
    assert not (tmp_path / "nowhere").exists()


def test_an_export_never_mixes_with_what_is_there(itp: Itp, at: At, enrolled: Study, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert itp("export", "out", **at(NOW)).code == 0
    again = itp("export", "out", **at(NOW))
    assert again.code == 2
    assert again.problems == ["DIR: out is there already; name a new or empty folder"]
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out"]


@pytest.mark.requirement("LOG-01")
def test_an_export_says_whether_the_record_is_what_was_recorded(
    itp: Itp, at: At, enrolled: Study, tmp_path: Path
) -> None:
    assert itp("export", "whole", **at(NOW)).code == 0
    whole = json.loads((tmp_path / "whole" / "manifest.json").read_text(encoding="utf-8"))
    assert whole["verification"]["ok"]
    for each in whole["files"]:
        content = (tmp_path / "whole" / each["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == each["sha256"]
    [database] = tmp_path.rglob("study.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE subjects SET state = 'Completed'")
    told = itp("export", "changed", **at(NOW))
    finding = "subjects, ITP-001: is not what was recorded"
    assert (told.code, finding in told.err) == (1, True)
    changed = json.loads((tmp_path / "changed" / "manifest.json").read_text(encoding="utf-8"))
    assert changed["verification"]["findings"] == [finding]
