"""`itp deviations`: what deviated from the protocol, with its importance and its assessment."""

import pytest

from deployments.bootstrap.os_user import os_actor
from tests.deployments.cli.conftest import At, Itp, Said, Write
from tests.support.study import Study

pytestmark = pytest.mark.requirement("DEV-01")

LATE = "ITP-001/INF2/window/2026-01-16/+2d"
MISSED = "ITP-001/INF3/missed"


def recorded(itp: Itp, lines: Write, at: At, enrolled: Study) -> dict[str, str]:
    """Infusion 2 two days late, infusion 3 missed; the settings of a look at it on 10 February."""
    facts = [
        enrolled.raw("itp.visit.completed", "2026-01-16", visit="INF2"),
        enrolled.raw("itp.visit.missed", None, "2026-02-03", visit="INF3", reason="=fever"),
    ]
    said = itp("record", lines(*facts), **at("2026-02-10T09:00:00+08:00"))
    assert said.code == 0, said.err
    return at("2026-02-10T09:10:00+08:00")


def assess(itp: Itp, lines: Write, enrolled: Study, settings: dict[str, str], named: str) -> Said:
    raw = enrolled.raw(
        "itp.deviation.assessed",
        None,
        "2026-02-10 08:00",
        by="inv-01",
        deviation=named,
        important=False,
        cause="infection",
    )
    return itp("record", lines(raw), **settings)


def test_it_lists_the_deviations_the_oldest_first(itp: Itp, lines: Write, at: At, enrolled: Study) -> None:
    settings = recorded(itp, lines, at, enrolled)
    said = itp("deviations", **settings)
    assert said.code == 0
    assert said.out.index(LATE) < said.out.index(MISSED)
    assert "2 deviations, 1 important, 1 of these to be assessed by the investigator" in said.out
    assert "yes†" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_it_leaves_out_what_is_not_asked_for(itp: Itp, lines: Write, at: At, enrolled: Study) -> None:
    settings = recorded(itp, lines, at, enrolled)

    def shown(*options: str) -> list[str]:
        return [row["id"] for row in itp("deviations", "--json", *options, **settings).json]

    assert shown("--important") == [MISSED]
    assert shown("--subject", "ITP-001", "--unassessed") == [LATE, MISSED]
    assert assess(itp, lines, enrolled, settings, LATE).code == 0
    assert shown("--unassessed") == [MISSED]


def test_as_json_each_is_what_the_plan_says_of_it(itp: Itp, lines: Write, at: At, enrolled: Study) -> None:
    settings = recorded(itp, lines, at, enrolled)
    assert assess(itp, lines, enrolled, settings, MISSED).code == 0
    rows = itp("deviations", "--json", **settings).json
    planned = itp("show", "ITP-001", "--json", **settings).json["deviations"]
    assert rows == [
        {"subject": "ITP-001", "site": "01", **row, "term": each["term"]}
        for row, each in zip(planned, rows, strict=True)
    ]
    assert rows[1]["assessed"]["cause"] == "infection"
    assert rows[1]["important"] is False
    assert (rows[1]["assessed"]["actor"], rows[1]["assessed"]["door"]) == (os_actor(), "cli")


def test_show_lists_them_too(itp: Itp, lines: Write, at: At, enrolled: Study) -> None:
    settings = recorded(itp, lines, at, enrolled)
    assert assess(itp, lines, enrolled, settings, MISSED).code == 0
    out = itp("show", "ITP-001", **settings).out
    assert LATE in out
    words = " ".join(out.replace("│", " ").split())
    assert f"assessed by inv-01 ({os_actor()}, cli); cause: infection" in words
    assert max(map(len, out.splitlines())) <= 80


def test_an_assessment_of_none_is_refused_and_names_the_nearest(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    settings = recorded(itp, lines, at, enrolled)
    said = assess(itp, lines, enrolled, settings, "ITP-001/INF3/mised")
    assert said.code == 2
    assert f"the nearest is '{MISSED}'" in said.err


def test_a_subject_that_is_not_enrolled_is_named(itp: Itp, at: At, enrolled: Study) -> None:
    said = itp("deviations", "--subject", "ITP-999", **at("2026-02-10T09:00:00+08:00"))
    assert (said.code, said.err) == (1, "ITP-999 is not enrolled here; `itp subjects` lists who is\n")


def test_no_deviation_is_said(itp: Itp, at: At, enrolled: Study) -> None:
    assert itp("deviations", **at("2026-01-07T10:00:00+08:00")).out == "No deviation is known.\n"
