"""`itp protocol show` and `itp protocol check`."""

import re
from pathlib import Path

import pytest

from itp_events.protocol.file import BUILT_IN, load_protocol
from tests.deployments.cli.conftest import Itp

pytestmark = pytest.mark.requirement("WIN-01")


def _rows(out: str) -> dict[str, str]:
    return {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line.strip()}


def test_the_schedule_of_activities_names_every_visit_with_anchor_and_window(itp: Itp) -> None:
    said = itp("protocol", "show")
    rows = _rows(said.out.partition("Dose and sites")[0])
    assert said.code == 0
    assert rows["INF2"] == "INF2 Infusion 2 1 week after INF1 -1/+1 day"
    assert rows["INF3"] == "INF3 Infusion 3 2 weeks after INF2 -3/+3 days"
    assert rows["FU-M12"] == "FU-M12 Follow-up month 12 12 months after end of treatment† -7/+7 days†"
    assert [code for code in load_protocol().by_code if code not in rows] == []


@pytest.mark.requirement("WIN-10")
def test_everything_that_the_synopsis_does_not_say_is_marked(itp: Itp) -> None:
    out = itp("protocol", "show").out
    rows = _rows(out)
    assert rows["INF1"].count("†") == 2
    assert "†" not in rows["INF5"]
    protocol = load_protocol()
    assert all(f"{criterion}†" in out for criterion in protocol.criteria)
    assert all(f"{alert}†" in out for alert in protocol.alerts)
    assert out.count("†") == len(_assumptions())


def test_the_effect_of_every_criterion_is_said_in_words(itp: Itp) -> None:
    out = itp("protocol", "show").out
    rows = _rows(out.partition("Withdrawal criteria")[2].partition("Limits at enrolment")[0])
    assert rows["consent-withdrawn†"].startswith("consent-withdrawn† exit or stop ")
    assert rows["pregnancy†"].startswith("pregnancy† stop-treatment PREGNANCY the subject's; ")
    assert "by-" not in " ".join(rows.values())


def _assumptions() -> list[str]:
    """Each marked statement: the rows that assume, the notes of the program's own, and the legend."""
    text = BUILT_IN.read_text(encoding="utf-8")
    in_rows = (
        text.count("source: assumption") + text.count("target: assumption") + text.count("window: assumption")
    )
    readings = text.count("reading: ")
    kinds = len(set(re.findall(r"reading: ([\w-]+)", text)))
    # The ladder's own source marks two lines.
    return ["†"] * (in_rows + 4 + readings + kinds)


def test_it_fits_80_columns(itp: Itp) -> None:
    assert max(map(len, itp("protocol", "show").out.splitlines())) <= 80


def test_as_json_it_is_what_the_file_says(itp: Itp) -> None:
    found = itp("protocol", "show", "--json").json
    assert (found["id"], found["visits"][1]["target"], found["visits"][1]["before"]) == (
        "NCT06813157",
        "P1W",
        "P1D",
    )
    assert found["reminders"]["treatment"][0]["from"] == "T"


def test_a_right_file_is_ok(itp: Itp) -> None:
    said = itp("protocol", "check", BUILT_IN)
    assert (said.code, said.out) == (0, "ok: NCT06813157 version 1, 12 visits, INF1 to FU-M12\n")
    assert itp("protocol", "check", BUILT_IN, "--json").json["ok"] is True


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "anchor: INF1,",
            "anchor: INF5,",
            "visits.1.anchor: circular anchor: INF2 -> INF5 -> INF4 -> INF3 -> INF2",
        ),
        ("label: Infusion 2", "lable: Infusion 2", "visits.1.lable: unknown field"),
    ],
)
def test_a_wrong_file_is_one_line_with_file_line_and_reason(
    itp: Itp, tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = BUILT_IN.read_text(encoding="utf-8")
    line = text[: text.index(old)].count("\n") + 1
    file = tmp_path / "wrong.yaml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    found = itp("protocol", "check", file)
    assert (found.code, found.out, found.err) == (2, "", f"{file}:{line}: {said}\n")
    assert itp("protocol", "show", ITP_PROTOCOL=str(file)).err == found.err


def test_a_file_that_is_not_there_is_one_line(itp: Itp) -> None:
    said = itp("protocol", "check", "nowhere.yaml")
    assert (said.code, said.err) == (2, "nowhere.yaml: cannot be read: No such file or directory\n")
