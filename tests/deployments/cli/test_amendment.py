"""`itp protocol diff`, and the assignment that follows it, on a running study."""

import html
import re
from pathlib import Path

import pytest

from itp_events.protocol.file import BUILT_IN
from tests.deployments.cli.conftest import At, Itp, Write
from tests.support.study import Json, Study

pytestmark = pytest.mark.requirement("AMD-01")

NOW = "2026-01-07T10:00:00+08:00"


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A folder with version 1 and a version 2 whose infusion 3 comes a week later."""
    folder = tmp_path / "protocols"
    folder.mkdir()
    text = BUILT_IN.read_text(encoding="utf-8")
    second = text.replace('version: "1"', 'version: "2"').replace(
        "anchor: INF2, target: P2W", "anchor: INF2, target: P3W"
    )
    assert second.count("P3W") == 1
    (folder / "v1.yaml").write_text(text, encoding="utf-8")
    (folder / "v2.yaml").write_text(second, encoding="utf-8")
    return folder


def test_diff_shows_the_dates_and_notices_that_would_change(
    itp: Itp, at: At, enrolled: Study, versions: Path
) -> None:
    """Before a subject is moved, the site sees what would move."""
    paths = (versions / "v1.yaml", versions / "v2.yaml")
    said = itp("protocol", "diff", *paths, "--subject", "ITP-001", "--json", **at(NOW))
    assert said.code == 0, said.err
    assert said.json["visits"][0] == {
        "code": "INF3",
        "old": {"opens": "2026-01-24", "target": "2026-01-27", "closes": "2026-01-30"},
        "new": {"opens": "2026-01-31", "target": "2026-02-03", "closes": "2026-02-06"},
        "outcome": {"old": None, "new": None},
    }
    assert said.json["standing"] == []
    assert said.json["notices"]
    table = itp("protocol", "diff", *paths, "--subject", "ITP-001", **at(NOW), COLUMNS="120").out
    assert "version 1 -> 2" in table
    assert "31 Jan to 6 Feb 2026, target 3 Feb 2026 " in table
    assert "† assumption, to be confirmed by the site" in table
    assert re.search(r"FU-M1 .*2026†, target [^†]*2026†", table)


def test_an_assignment_moves_the_running_subject(
    itp: Itp, lines: Write, at: At, enrolled: Study, versions: Path
) -> None:
    """Pinned to version 1 while 2 is current; planned by 2 once it is assigned."""
    here = {**at(NOW), "ITP_PROTOCOL": str(versions)}
    assert itp("show", "ITP-001", "--json", **here).json["protocol"]["version"] == "1"
    assigned = enrolled.raw("itp.protocol.assigned", None, "2026-01-07 09:30", version="2", reason="amended")
    said = itp("record", lines(assigned), **here)
    assert said.code == 0, said.err
    shown = itp("show", "ITP-001", "--json", **here).json
    assert shown["protocol"]["version"] == "2"
    assert next(row for row in shown["visits"] if row["code"] == "INF3")["target"] == "2026-02-03"


def test_diff_of_an_unknown_subject_is_one_line(itp: Itp, at: At, enrolled: Study, versions: Path) -> None:
    """A subject that is not enrolled is said, with what to do."""
    paths = (versions / "v1.yaml", versions / "v2.yaml")
    said = itp("protocol", "diff", *paths, "--subject", "ITP-404", **at(NOW))
    assert said.code == 1
    assert said.problems == ["ITP-404 is not enrolled here; `itp subjects` lists who is"]


def test_diff_shows_a_flag_and_a_dose_that_a_version_would_bring(
    itp: Itp, lines: Write, at: At, enrolled: Study, tmp_path: Path
) -> None:
    """A criterion and a dose move no date: what they change is where the subject stands."""
    second = BUILT_IN.read_text(encoding="utf-8")
    for old, new in (('version: "1"', 'version: "2"'), ("grade: 4", "grade: 3"), ("1.0e+8", "2.0e+6")):
        second = second.replace(old, new)
    (tmp_path / "v2.yaml").write_text(second, encoding="utf-8")
    ae: Json = {"ae": "AE-1", "term": "Fever", "grade": 3, "serious": False, "related": True}
    report = enrolled.raw("itp.adverse-event.reported", "2026-01-08", **ae)
    assert itp("record", lines(report), **at("2026-01-08T12:00:00+08:00")).code == 0
    paths = (BUILT_IN, tmp_path / "v2.yaml")
    later = at("2026-01-08T13:00:00+08:00")
    shown = itp("protocol", "diff", *paths, "--subject", "ITP-001", "--json", **later).json
    assert shown["standing"] == [
        {"what": "state", "old": "Awaiting INF2", "new": "On hold: adverse-event"},
        {
            "what": "dose",
            "old": "6.05e+09 cells (1e+08 per kg, 60.5 kg)",
            "new": "1.21e+08 cells (2e+06 per kg, 60.5 kg)",
        },
        {"what": "flag adverse-event", "old": None, "new": "waits for a decision"},
    ]
    assert shown["today"] == "1"
    table = itp("protocol", "diff", *paths, "--subject", "ITP-001", **later).out
    assert "flag adverse-event  none" in table
    assert "at once" in table
    other_way = itp("protocol", "diff", *reversed(paths), "--subject", "ITP-001", **later).out
    assert "Note: ITP-001 follows version 1, not 2." in other_way


def test_what_the_preview_says_is_what_the_assignment_brings(
    itp: Itp, at: At, enrolled: Study, versions: Path, tmp_path: Path
) -> None:
    """The preview over all subjects, the step itself, and the same step again, which finds nobody to move."""
    here = {**at(NOW), "ITP_PROTOCOL": str(versions)}
    report = tmp_path / "report.csv"
    seen = itp("amendment", "preview", "2", "--csv", str(report), "--json", **here)
    assert seen.code == 0, seen.err
    (subject,) = seen.json["subjects"]
    windows = {row["about"]: row["would_be"] for row in subject["changes"] if row["what"] == "window"}
    assert windows["INF3"] == "31 Jan to 6 Feb 2026, target 3 Feb 2026"
    assert "ITP-001,INF3,window" in report.read_text(encoding="utf-8-sig")
    step = ("amendment", "apply", "2", "--reason", "amendment 1", "--by", "crc.li", "--yes", "--json")
    done = itp(*step, **here)
    assert done.code == 0, done.err
    assert [(each["subject"], each["status"]) for each in done.json["answers"]] == [("ITP-001", "recorded")]
    visits = itp("show", "ITP-001", "--json", **here).json["visits"]
    inf3 = next(row for row in visits if row["code"] == "INF3")
    assert (inf3["opens"], inf3["target"], inf3["version"]) == ("2026-01-31", "2026-02-03", "2")
    assert "0 subjects would move" in itp(*step[:-1], **here).out


def test_the_report_of_a_preview_counts_and_lists_the_changes(
    itp: Itp, at: At, enrolled: Study, versions: Path, tmp_path: Path
) -> None:
    """One page without network, with what the table says."""
    here = {**at(NOW), "ITP_PROTOCOL": str(versions)}
    report = tmp_path / "amendment.html"
    said = itp("amendment", "preview", "2", "--html", report, "--json", **here)
    assert said.code == 0, said.err
    (subject,) = said.json["subjects"]
    page = html.unescape(report.read_text(encoding="utf-8"))
    assert "what version 2 would change" in page
    assert "http" not in page
    windows = [each for each in subject["changes"] if each["what"] == "window"]
    assert f'<th scope="row">All 1</th><td></td><td class="number">{len(windows)}</td>' in page
    for change in subject["changes"]:
        row = "".join(f"<td>{change[name]}</td>" for name in ("about", "what", "today", "would_be"))
        assert row in page
    nobody = itp("amendment", "preview", "1", "--html", report, **here)
    assert nobody.code == 0, nobody.err
    assert "Nobody would move" in report.read_text(encoding="utf-8")
    refused = itp("amendment", "preview", "2", "--html", tmp_path / "no" / "a.html", **here)
    assert (refused.code, "cannot be written" in refused.err) == (1, True)


def test_a_version_is_installed_once_and_other_content_is_refused(
    itp: Itp, at: At, enrolled: Study, versions: Path, tmp_path: Path
) -> None:
    """It goes beside the built-in one into the data directory; visits must keep their order."""
    second = versions / "v2.yaml"
    assert "version 2 is installed as" in itp("protocol", "install", str(second), **at(NOW)).out
    assert "installed already" in itp("protocol", "install", str(second), **at(NOW)).out
    assert itp("amendment", "preview", "2", **at(NOW)).code == 0
    other = tmp_path / "other.yaml"
    other.write_text(second.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    refused = itp("protocol", "install", str(other), **at(NOW))
    assert refused.code == 1
    assert "another file is version '2' already" in refused.err
