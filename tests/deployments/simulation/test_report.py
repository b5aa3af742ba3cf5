"""The report stands alone, answers first, and is the same bytes for the same run; so is the comparison."""

import re
from pathlib import Path

import pytest

from deployments.simulation.compare import compare, differences_csv
from deployments.simulation.report.page import report
from deployments.simulation.study_run import simulate
from deployments.simulation.summary import summary
from itp_events.protocol.file import BUILT_IN
from tests.deployments.simulation.runs import numbers, run, study

pytestmark = pytest.mark.requirement("SIM-01")


@pytest.fixture(scope="module")
def page() -> str:
    return report(run(), numbers())


def test_its_first_answer_is_how_many_messages_a_week_the_coordinator_gets(page: str) -> None:
    weekly = numbers()["messages_per_week"]["coordinator"]
    body = page[page.index("<body>") :]
    answer = re.sub(r"<[^>]+>|\s+", " ", body[body.index('class="answer"') : body.index("<table>")])
    assert f"About {weekly['mean']:g}" in answer
    assert str(weekly["busiest"]) in answer
    assert body.index('class="answer"') < body.index("<svg")


def test_it_loads_nothing_from_elsewhere(page: str) -> None:
    assert not re.search(r'(src|href)="(?!#)', page.replace("xlink:", ""))
    assert "<script" not in page
    assert "@import" not in page
    assert "url(http" not in page


def test_it_has_every_figure_and_no_two_share_an_id(page: str) -> None:
    assert page.count("<svg ") == 6
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_same_run_gives_the_same_bytes(page: str) -> None:
    assert report(run(), numbers()) == page
    assert not re.search(r"<dc:date>", page)


@pytest.fixture(scope="module")
def amended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in protocol with a wider window for infusion 2 and an earlier first rung."""
    text = BUILT_IN.read_text(encoding="utf-8")
    row = (
        "{code: INF2, label: Infusion 2, epoch: treatment, anchor: INF1, target: P1W, before: P1D, after: P1D"
    )
    assert row in text
    text = text.replace(row, row.replace("before: P1D, after: P1D", "before: P3D, after: P3D"))
    text = text.replace('version: "1"', 'version: "2"')
    file = tmp_path_factory.mktemp("protocol") / "amended.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_two_protocols_that_are_the_same_differ_in_nothing() -> None:
    found = compare(run("typical", 6), run("typical", 6), ("a", "b"))
    assert found["windows"] == found["outcomes"] == found["only_old"] == found["only_new"] == []
    assert all(row["difference"] == 0 for row in found["totals"])


def test_a_comparison_names_the_windows_that_moved_for_the_same_subjects(amended: Path) -> None:
    new = simulate(study("typical", protocol=amended), 6)
    found = compare(run("typical", 6), new, ("old", "new"))
    enrolled = [record.code for record in new.records if record.enrolled]
    assert [row["subject"] for row in found["windows"] if row["visit"] == "INF2"] == enrolled
    assert [record.enrolled for record in new.records] == [
        record.enrolled for record in run("typical", 6).records
    ]
    rows = differences_csv(found).splitlines()
    assert len(rows) == 1 + sum(len(found[name]) for name in ("windows", "outcomes", "only_old", "only_new"))
    page = report(new, summary(new), found)
    assert "Two protocols, the same subjects" in page
    for step in {row["step"] for row in found["notices"] if row["only_old"] or row["only_new"]}:
        assert f"<tr><td>{step}</td>" in page[page.index("<th>only old</th>") :]
