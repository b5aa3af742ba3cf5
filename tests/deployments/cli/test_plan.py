"""`itp plan`: the plan that events give, whatever form they come in; bad ones named, good ones kept."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from itp_events.rules.explain import day
from tests.deployments.cli.conftest import Itp, Said, Write, raws
from tests.support.study import Study

pytestmark = pytest.mark.requirement("OUT-01")


@pytest.fixture
def study() -> Study:
    """ITP-001, enrolled on 5 January, two infusions given, the third booked."""
    study = Study()
    study.enrol("2026-01-05", first_infusion_on="2026-01-06")
    study.done("INF1", "2026-01-06")
    study.done("INF2", "2026-01-16", platelets=41)
    study.booked("INF3", "2026-01-29", at="2026-01-17")
    return study


def _rows(said: Said) -> dict[str, str]:
    """The rows of the table of visits by their codes."""
    table = said.out.partition("Why these dates")[0].splitlines()
    return {row.split()[0]: row for row in table if row.startswith(("INF", "FU-"))}


def _planned(itp: Itp, *values: object, lines: Write, as_of: str = "2026-01-20") -> Said:
    return itp("plan", lines(*values), "--as-of", as_of, "--json")


def test_it_is_the_plan_of_the_core(itp: Itp, lines: Write, study: Study) -> None:
    said = _planned(itp, *raws(study), lines=lines)
    assert said.code == 0
    assert said.err == ""
    assert said.json == study.plan("2026-01-20")


def test_the_form_and_the_order_of_the_file_change_nothing(itp: Itp, lines: Write, study: Study) -> None:
    stated = raws(study)
    array = itp("plan", "-", "--as-of", "2026-01-20", "--json", stdin=json.dumps(stated[::-1], indent=1))
    assert array.json == _planned(itp, *stated, *stated, lines=lines).json


def test_a_date_as_of_means_midnight_at_the_site(itp: Itp, lines: Write, study: Study) -> None:
    stated = raws(study)
    as_date = _planned(itp, *stated, lines=lines, as_of="2026-01-14").json
    assert as_date["as_of"] == "2026-01-13T16:00:00Z"
    assert as_date == _planned(itp, *stated, lines=lines, as_of="2026-01-14T00:00:00+08:00").json


def test_by_default_it_is_the_plan_of_now(itp: Itp, lines: Write, study: Study) -> None:
    before = datetime.now(UTC)  # noqa: TID251 - compared with the clock that the command reads
    as_of = datetime.fromisoformat(itp("plan", lines(*raws(study)), "--json").json["as_of"])
    assert before <= as_of <= datetime.now(UTC)  # noqa: TID251


def test_what_was_reported_later_is_left_out_and_no_error(itp: Itp, lines: Write, study: Study) -> None:
    said = itp("plan", lines(*raws(study)), "--as-of", "2026-01-10")
    assert said.code == 0
    assert said.err == ""
    assert "Left out: 2 of ITP-001 reported later." in said.out
    later = _planned(itp, *raws(study), lines=lines, as_of="2026-01-10").json
    assert later == study.plan("2026-01-10")


def test_an_export_of_the_log_gives_the_plan_of_its_facts(itp: Itp, lines: Write, study: Study) -> None:
    facts = _planned(itp, *raws(study), lines=lines).json
    study.decide("2026-01-18")
    own = sum(event.own for event in study.log)
    export = [event.to_json() for event in study.log]
    assert _planned(itp, *export, lines=lines).json == facts
    said = itp("plan", lines(*export), "--as-of", "2026-01-20")
    assert f"Left out: {own} of ITP-001 decided by the service (source itp)." in said.out


def test_several_subjects_give_one_object_a_line(itp: Itp, lines: Write, study: Study) -> None:
    other = Study(code="ITP-002")
    other.enrol("2026-01-12")
    said = _planned(itp, *raws(study), *raws(other), lines=lines)
    plans = [json.loads(line) for line in said.out.splitlines()]
    assert plans == [study.plan("2026-01-20"), other.plan("2026-01-20")]


def test_bad_events_are_named_by_line_and_field_and_the_good_ones_give_the_plan(
    itp: Itp, lines: Write, study: Study
) -> None:
    good = raws(study)
    file = lines(
        good[0],
        study.raw("itp.visit.completed", "2026-01-06", visit="INF1", wieght_kg=60),
        *good[1:],
        "garbage",
        study.raw("itp.visit.completed", "2026-01-19", visit="INF9"),
        study.raw("itp.visit.completed", "2026-01-19", visit="INF4"),
    )
    said = itp("plan", file, "--as-of", "2026-01-20", "--json")
    assert said.code == 2
    assert said.json == study.plan("2026-01-20")
    malformed, garbage, unknown, early = said.problems
    assert malformed == f"{file}:2: data.wieght_kg: unknown field; did you mean weight_kg?"
    assert garbage == f"{file}:6: is not JSON: Expecting value"
    assert unknown.startswith(f"{file}:7: data.visit: unknown visit 'INF9'; the protocol has INF1, ")
    assert early == f"{file}:8: anchor-first: INF4 cannot be recorded before INF3 is completed or missed"


def test_the_line_of_a_bad_element_of_an_array_is_where_it_begins(itp: Itp, study: Study) -> None:
    stated = [*raws(study), study.raw("itp.subject.died", None, "2026-01-19")]
    text = json.dumps(stated, indent=2)
    line = text[: text.rindex('  {\n    "specversion"')].count("\n") + 1
    said = itp("plan", "-", "--as-of", "2026-01-20", "--json", stdin=text)
    assert said.problems == [f"<stdin>:{line}: data.on: this field is required"]


def test_a_second_enrolment_is_refused_by_its_rule(itp: Itp, lines: Write, study: Study) -> None:
    again = {**raws(study)[0], "id": "again"}
    said = _planned(itp, *raws(study), again, lines=lines)
    assert said.code == 2
    assert "second-enrolment: ITP-001 is enrolled since 5 Jan 2026" in said.err


def test_an_enrolment_that_fails_criteria_gives_no_plan_but_every_criterion(itp: Itp, lines: Write) -> None:
    study = Study()
    raw = study.raw("itp.subject.enrolled", "2026-01-05", **_enrolment(alt_x_uln=3.4, itp_months=3))
    said = _planned(itp, raw, lines=lines)
    assert said.code == 2
    assert said.out == ""
    assert "ITP for 3 months, must be more than 3 months; ALT 3.4 x ULN, limit 3" in said.err
    assert len(said.problems) == 1


def _enrolment(**screening: object) -> dict[str, Any]:
    study = Study()
    study.enrol("2026-01-05")
    data: dict[str, Any] = study.log[0].to_json()["data"]
    data["screening"].update(screening)
    return {name: value for name, value in data.items() if name not in ("by", "on")}


def test_without_an_enrolment_by_then_there_is_no_plan(itp: Itp, lines: Write, study: Study) -> None:
    said = _planned(itp, *raws(study), lines=lines, as_of="2026-01-01")
    assert said.code == 2
    assert said.out == ""
    assert said.problems == [f"{lines(*raws(study))}: no enrolment was reported by 2026-01-01"]


@pytest.mark.parametrize("as_of", ["yesterday", "2026-02-30", "2026-01-14T09:00", "14.1.2026", "9999-12-31"])
def test_an_as_of_that_is_no_moment_is_refused(itp: Itp, lines: Write, study: Study, as_of: str) -> None:
    said = _planned(itp, *raws(study), lines=lines, as_of=as_of)
    assert said.code == 2
    assert said.problems[0].startswith(f"--as-of: {as_of!r} ")
    assert len(said.problems) == 1


@pytest.mark.parametrize("content", ["", "garbage", "[{]", '{"specversion": "1.0"}'])
def test_an_unreadable_file_is_one_line(itp: Itp, lines: Write, content: str) -> None:
    said = itp("plan", lines(content), "--as-of", "2026-01-14")
    assert said.code == 2
    assert said.out == ""
    assert len(said.problems) == 1


def test_a_file_that_is_not_there_is_one_line(itp: Itp) -> None:
    said = itp("plan", "nowhere.json")
    assert (said.code, said.err) == (2, "nowhere.json: cannot be read: No such file or directory\n")


def test_the_table_shows_every_date_whole_on_80_columns(itp: Itp, lines: Write, study: Study) -> None:
    said = itp("plan", lines(*raws(study)), "--as-of", "2026-01-30")
    plan = study.plan("2026-01-30")
    rows = _rows(said)
    for visit in plan["visits"]:
        for name in ("opens", "closes", "target", "booked", "on"):
            if visit[name]:
                assert day(date.fromisoformat(visit[name])) in rows[visit["code"]], (visit["code"], name)
    assert max(map(len, said.out.splitlines())) <= 80


def test_the_table_tells_deviation_status_and_reason(itp: Itp, lines: Write, study: Study) -> None:
    text = " ".join(itp("plan", lines(*raws(study)), "--as-of", "2026-01-20").out.split())
    assert "2 days after the window" in text
    assert "INF3 Infusion 3: 2 weeks after INF2, done on 16 Jan 2026; window -3/+3 days" in text
    assert "Next, if nothing else is recorded" in text


def test_the_table_proposes_a_working_day_where_the_target_is_none(itp: Itp, lines: Write) -> None:
    study = Study()
    study.enrol("2026-01-09")
    study.done("INF1", "2026-01-11")
    plan = study.plan("2026-01-12")
    said = " ".join(itp("plan", lines(*raws(study)), "--as-of", "2026-01-12").out.split())
    assert plan.visit("INF2")["target"] == "2026-01-18"  # a Sunday
    assert plan.visit("INF2")["suggested"] == "2026-01-19"
    assert "INF2 Infusion 2: 1 week after INF1, done on 11 Jan 2026; window -1/+1 day; nearest" in said
    assert said.count("nearest working day 19 Jan 2026") == 1


@pytest.mark.requirement("WIN-10")
def test_assumptions_are_marked_and_the_synopsis_is_not(itp: Itp, lines: Write, study: Study) -> None:
    said = itp("plan", lines(*raws(study)), "--as-of", "2026-01-20")
    rows = _rows(said)
    assert "†" in rows["INF1"]
    assert "†" not in rows["INF2"]
    assert rows["FU-M12"].count("†") == 3
    assert "† assumption, to be confirmed by the site" in said.out


def test_there_are_no_colours_where_there_is_no_terminal(itp: Itp, lines: Write, study: Study) -> None:
    assert "\x1b" not in itp("plan", lines(*raws(study)), "--as-of", "2026-02-10").out


def test_colours_asked_for_are_dropped_by_no_color(itp: Itp, lines: Write, study: Study) -> None:
    file = lines(*raws(study))
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    assert "\x1b[1;31moverdue" in itp("plan", file, "--as-of", "2026-02-10", **terminal).out
    assert "31m" not in itp("plan", file, "--as-of", "2026-02-10", **terminal, NO_COLOR="1").out


@pytest.mark.requirement("TXT-02")
def test_what_people_wrote_cannot_command_the_terminal(itp: Itp, lines: Write, study: Study) -> None:
    study.medication("rescue", "2026-01-19", drug="prednisone\x1b[2J[red]")
    study.decided("stop-treatment", "2026-01-19", reason="because\x1b]0;title\x07")
    said = itp("plan", lines(*raws(study)), "--as-of", "2026-01-20")
    assert "\x1b" not in said.out
    assert "Flags" in said.out


def test_an_installed_protocol_of_ones_own_is_followed(itp: Itp, lines: Write, study: Study) -> None:
    from itp_events.protocol.file import BUILT_IN

    mine = lines().parent / "mine.yaml"
    mine.write_text(
        BUILT_IN.read_text(encoding="utf-8").replace('version: "1"', 'version: "7"'), encoding="utf-8"
    )
    said = itp("plan", lines(*raws(study)), "--as-of", "2026-01-20", "--json", ITP_PROTOCOL=str(mine))
    assert said.json["protocol"] == {"id": "NCT06813157", "version": "7"}
