"""`itp audit`: the audit trail as table, CSV and JSON, and through the API."""

import csv
from pathlib import Path

import pytest

from deployments.bootstrap.os_user import os_actor
from tests.deployments.cli.conftest import At, Itp, Write
from tests.support.study import Study

pytestmark = pytest.mark.requirement("AUD-01")

NOW = "2026-01-20T10:00:00+08:00"


@pytest.fixture
def corrected(itp: Itp, lines: Write, at: At) -> Study:
    """A subject whose first infusion was entered six days late, and then corrected."""
    study = Study()
    study.enrol("2026-01-05")
    done = study.done("INF1", "2026-01-05", at="2026-01-11 10:00")
    study.corrected(done, "2026-01-11 11:00", on="2026-01-06")
    stated = (event.to_json() for event in study.log if not event.own)
    said = itp("record", lines(*stated), **at(NOW))
    assert said.code == 0, said.err
    return study


def test_the_table_says_who_did_what_when(itp: Itp, at: At, corrected: Study) -> None:
    out = itp("audit", **at(NOW)).out
    words = " ".join(out.split())
    assert "correction" in words
    assert "entered in error" in words
    assert "crc-01" in words
    assert f"({os_actor()}," in words, "the table names the machine's user beside who stated it"
    assert out.rstrip().endswith("3 entries")
    assert itp("audit", "--since", "2026-02-01", **at(NOW)).out == "Nothing of what is asked for.\n"


def test_json_and_csv_hold_the_same_entries(itp: Itp, at: At, corrected: Study, tmp_path: Path) -> None:
    entries = itp("audit", "--json", "--kind", "late", **at(NOW)).json
    assert [(each["kind"], each["details"]["days"]) for each in entries] == [("late", 6), ("late", 5)]
    file = tmp_path / "audit.csv"
    assert itp("audit", "--kind", "late", "--csv", file, **at(NOW)).out == f"{file}: 2 entries\n"
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [(row["at"], row["subject"], row["what"]) for row in rows] == [
        (each["at"], each["subject"], each["what"]) for each in entries
    ]


@pytest.mark.parametrize("when", ["yesterday", "2026-01-05T09:00:00", "2026-13-01"])
def test_a_time_that_cannot_be_read_is_named(itp: Itp, at: At, corrected: Study, when: str) -> None:
    said = itp("audit", "--since", when, **at(NOW))
    assert said.code == 2
    assert "--since" in said.err
    assert "with its offset" in said.err
