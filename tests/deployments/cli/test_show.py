"""`itp show`, `itp subjects`, `itp agenda`: the running study, every date and decision in words."""

from typing import Any

import pytest

from tests.deployments.cli.conftest import At, Itp, Write
from tests.support.receiver import Receiver
from tests.support.study import Study

pytestmark = pytest.mark.requirement("OUT-01")

NOW = "2026-01-07T10:00:00+08:00"


def _words(text: str) -> str:
    return " ".join(text.split())


def _record(itp: Itp, lines: Write, at: At, when: str, *raws: object) -> None:
    said = itp("record", lines(*raws), **at(when))
    assert said.code == 0, said.err


def test_show_says_what_each_date_hangs_on(itp: Itp, at: At, enrolled: Study) -> None:
    said = itp("show", "ITP-001", **at(NOW))
    assert said.code == 0
    text = _words(said.out)
    assert "INF2 Infusion 2: 1 week after INF1, done on 6 Jan 2026; window -1/+1 day" in text
    assert "INF1 done on 6 Jan 2026" in text
    assert "crc-01 (site: e-2; os:" in text
    assert max(map(len, said.out.splitlines())) <= 80


def test_show_json_is_the_plan_with_reasons_log_decisions_and_what_was_sent(
    itp: Itp, at: At, enrolled: Study
) -> None:
    shown = itp("show", "ITP-001", "--json", **at(NOW)).json
    plan = enrolled.plan("2026-01-07 10:00")
    assert {name: shown[name] for name in plan if name != "as_of"} == {
        name: plan[name] for name in plan if name != "as_of"
    }
    assert shown["why"]["INF2"].startswith("Infusion 2: 1 week after INF1, done on 6 Jan 2026")
    assert [line["seq"] for line in shown["log"]] == list(range(1, len(shown["log"]) + 1))
    assert shown["decisions"][0]["what"] == "protocol version 1: current at enrolment"


def test_show_grades_the_platelets_and_says_what_confirms_a_response(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    counts = [
        enrolled.raw("itp.visit.completed", on, visit=visit, platelets=120, bleeding=0)
        for visit, on in (("INF2", "2026-01-13"), ("INF3", "2026-01-27"))
    ]
    _record(itp, lines, at, "2026-01-27T12:00:00+08:00", *counts)
    settings = at("2026-01-27T12:01:00+08:00")
    said = itp("show", "ITP-001", **settings)
    text = _words(said.out)
    assert "complete response" in text
    assert "100 or more, no bleeding; confirmed by INF3" in text
    assert "complete response 7 days after the first infusion, from 13 Jan 2026 (INF2); it stands" in text
    assert max(map(len, said.out.splitlines())) <= 80
    [complete, response] = itp("show", "ITP-001", "--json", **settings).json["response"]["spells"]
    assert (complete["grade"], response["grade"]) == ("complete", "response")
    assert (complete["visit"], complete["days"], complete["until"]) == ("INF2", 7, None)


@pytest.mark.requirement("COR-01")
def test_show_marks_what_was_voided(itp: Itp, lines: Write, at: At, enrolled: Study) -> None:
    void = enrolled.void(enrolled.log[1], "2026-01-08").to_json()
    _record(itp, lines, at, "2026-01-09T09:00:00+08:00", void)
    out = itp("show", "ITP-001", **at("2026-01-09T09:01:00+08:00"), COLUMNS="160").out
    [fact] = [line for line in out.splitlines() if "INF1 done on" in line]
    assert "INF1 done on 6 Jan 2026 (weight 60.5 kg) (VOIDED)" in fact
    assert "(site: e-2) no longer counts: entered in error" in _words(out)


def test_show_explains_a_decision_by_its_event_and_its_rule(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    rescue = enrolled.raw("itp.medication.changed", "2026-01-08", kind="rescue", drug="x", detail="y")
    _record(itp, lines, at, "2026-01-09T09:00:00+08:00", rescue)
    settings = at("2026-01-09T09:01:00+08:00")
    because = (
        f"reason: rescue drug x changed on 8 Jan 2026: y (site: {rescue['id']}) "
        "[criterion rescue-medication, assumption†]"
    )
    decisions = itp("show", "ITP-001", "--json", **settings).json["decisions"]
    assert decisions[-1]["what"] == f"flag rescue-medication raised on 8 Jan 2026, {because}"
    text = _words(itp("show", "ITP-001", **settings).out)
    assert "On hold: rescue-medication" in text
    assert "waits for the investigator's decision" in text

    decision = enrolled.raw(
        "itp.withdrawal.decided", "2026-01-09", decision="withdraw", reason="no use", by="inv-01"
    )
    _record(itp, lines, at, "2026-01-09T12:00:00+08:00", decision)
    text = _words(itp("show", "ITP-001", **at("2026-01-09T12:01:00+08:00")).out)
    assert "Withdrawn: LACK OF EFFICACY" in text
    assert "the investigator decided withdraw on 9 Jan 2026: no use" in text
    assert (
        "participation ended on 9 Jan 2026: LACK OF EFFICACY, no use; reason: the investigator decided "
        f"withdraw on 9 Jan 2026: no use (site: {decision['id']}) [criterion rescue-medication, assumption†]"
    ) in text


def test_show_says_of_every_visit_what_became_of_it_and_which_event_says_so(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    booking = enrolled.raw("itp.visit.booked", "2026-01-13", "2026-01-07", visit="INF2")
    missed = enrolled.raw("itp.visit.missed", None, "2026-01-20", visit="INF2", reason="travelling")
    stop = enrolled.raw("itp.consent.withdrawn", "2026-02-01", scope="treatment")
    _record(itp, lines, at, "2026-04-01T09:00:00+08:00", booking, missed, stop)
    why = itp("show", "ITP-001", "--json", **at("2026-04-01T09:01:00+08:00")).json["why"]
    assert why["INF1"].endswith("; INF1 done on 6 Jan 2026 (weight 60.5 kg) (site: e-2)")
    assert why["INF2"].endswith(f"; INF2 missed: travelling (site: {missed['id']})")
    cancelled = f"; cancelled: treatment was stopped on 1 Feb 2026 (site: {stop['id']})"
    assert [code for code, text in why.items() if text.endswith(cancelled)] == [
        *("INF3", "INF4", "INF5", "FU-D14")
    ]
    missed_by_itself = (
        "; counts as missed since 5 Mar 2026, nothing was recorded (automatic on day 20 or later†)"
    )
    assert why["FU-M1"].endswith(missed_by_itself)
    death = enrolled.raw("itp.subject.died", "2026-04-02")
    _record(itp, lines, at, "2026-04-02T12:00:00+08:00", death)
    why = itp("show", "ITP-001", "--json", **at("2026-04-02T12:01:00+08:00")).json["why"]
    assert why["FU-M6"].endswith(f"; cancelled: participation ended on 2 Apr 2026 (site: {death['id']})")


def test_show_names_what_time_alone_brought_about_in_words(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    """Two misses of the service, and three contacts in vain: no key of the service's own is printed."""
    tried = [
        enrolled.raw("itp.contact.attempted", f"2026-02-{on}", reached=False) for on in ("10", "11", "12")
    ]
    _record(itp, lines, at, "2026-04-01T09:00:00+08:00", *tried)
    decisions = itp("show", "ITP-001", "--json", **at("2026-04-01T09:01:00+08:00")).json["decisions"]
    flags = [each["what"] for each in decisions if each["what"].startswith("flag")]
    assert flags == [
        "flag lost-to-follow-up raised on 12 Feb 2026, reason: contact on 12 Feb 2026: not reached "
        f"(site: {tried[-1]['id']}) [criterion lost-to-follow-up (3 contacts in vain on different days, "
        "14 days after a window closed), assumption†]"
    ]


def test_show_says_in_words_which_decision_no_longer_holds(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    rescue = enrolled.event("itp.medication.changed", "2026-01-08", kind="rescue", drug="x", detail="y")
    _record(itp, lines, at, "2026-01-09T09:00:00+08:00", rescue.to_json())
    _record(itp, lines, at, "2026-01-10T09:00:00+08:00", enrolled.void(rescue, "2026-01-09").to_json())
    shown = itp("show", "ITP-001", "--json", **at("2026-01-10T09:01:00+08:00")).json
    assert shown["decisions"][-1]["what"].startswith(
        "no longer holds (the facts it stood on no longer hold): flag rescue-medication raised on 8 Jan 2026"
    )


def test_show_says_which_notices_arrived_and_which_did_not(
    itp: Itp, lines: Write, at: At, receiver: Receiver, enrolled: Study
) -> None:
    config = lines().parent / "apprise.txt"
    names = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")
    config.write_text("".join(f"{name}={receiver.apprise_url(name)}\n" for name in names))
    ae: dict[str, Any] = {"ae": "AE-1", "term": "Fever", "grade": 3, "serious": True, "related": False}
    report = enrolled.raw("itp.adverse-event.reported", "2026-01-08", **ae)
    settings = at("2026-01-08T15:00:00+08:00") | {"ITP_APPRISE_CONFIG": str(config)}
    receiver.fail()
    said = itp("record", lines(report), **settings)
    assert said.code == 0, said.err
    shown = itp("show", "ITP-001", "--json", **settings).json
    failed = [row for row in shown["sent"] if row["step"] == "sae"]
    assert {row["audience"] for row in failed} == {"investigator", "sponsor"}
    assert {row["status"] for row in failed} == {"queued"}
    assert {attempt["outcome"] for row in failed for attempt in row["attempts"]} == {"failed"}
    assert "queued: 1 attempt failed:" in _words(itp("show", "ITP-001", **settings).out)


@pytest.mark.parametrize("command", [["show", "ITP-001"], ["subjects"], ["agenda"]])
def test_a_command_that_reads_begins_no_study(itp: Itp, command: list[str], at: At) -> None:
    settings = at(NOW)
    said = itp(*command, **settings)
    assert said.code == 1
    assert len(said.problems) == 1
    assert said.err.startswith("no study in ")
    assert itp(*command, **settings).code == 1


def test_an_unknown_subject_is_one_line(itp: Itp, at: At, enrolled: Study) -> None:
    said = itp("show", "ITP-404", **at(NOW))
    assert (said.code, said.err) == (1, "ITP-404 is not enrolled here; `itp subjects` lists who is\n")


def test_a_demonstration_is_not_read_by_the_real_clock(itp: Itp, at: At, enrolled: Study) -> None:
    at(NOW)
    said = itp("agenda")
    assert said.code == 2
    assert "holds a demonstration: set ITP_CLOCK_SPEED=1" in said.err


def test_subjects_says_where_everybody_stands(itp: Itp, lines: Write, at: At, enrolled: Study) -> None:
    other = Study(code="ITP-002")
    _record(itp, lines, at, "2026-01-08T09:00:00+08:00", {**_enrolment(other), "id": "other"})
    settings = at("2026-01-08T10:00:00+08:00")
    first, second = itp("subjects", "--json", **settings).json
    assert (first["subject"], first["state"], first["wake_at"]) == (
        "ITP-001",
        "Awaiting INF2",
        "2026-01-09T01:00:00Z",
    )
    assert (second["subject"], second["site"], second["overdue"]) == ("ITP-002", "01", False)
    text = _words(itp("subjects", **settings).out)
    assert "ITP-001 01 Awaiting INF2 9 Jan 2026 09:00" in text
    assert "2 subjects, 2 live, 0 with a visit overdue" in text


def _enrolment(study: Study) -> dict[str, object]:
    study.enrol("2026-01-07")
    return study.log[0].to_json()


def test_agenda_lists_the_sites_own_days_and_no_others(itp: Itp, at: At, enrolled: Study) -> None:
    agenda = itp("agenda", "--days", "7", "--json", **at(NOW)).json["agenda"]
    assert [(row["on"], row["visit"], row["what"]) for row in agenda] == [
        ("2026-01-12", "INF2", "window opens"),
        ("2026-01-13", "INF2", "target"),
    ]
    day_later = itp("agenda", "--days", "7", "--json", **at("2026-01-08T00:00:30+08:00")).json["agenda"]
    assert [row["what"] for row in day_later] == ["window opens", "target", "last day of the window"]


def test_agenda_shows_a_booking_in_place_of_the_target_and_marks_projections(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    booking = enrolled.booked("INF2", "2026-01-14", at="2026-01-07").to_json()
    _record(itp, lines, at, "2026-01-07T12:00:00+08:00", booking)
    agenda = itp("agenda", "--days", "30", "--json", **at("2026-01-07T12:01:00+08:00")).json["agenda"]
    of_inf2 = [(row["on"], row["what"]) for row in agenda if row["visit"] == "INF2"]
    assert ("2026-01-14", "booked") in of_inf2
    assert "target" not in [what for _, what in of_inf2]
    assert {row["visit"]: row["projected"] for row in agenda} == {"INF2": False, "INF3": True}


def test_agenda_puts_what_waits_for_somebody_first(itp: Itp, lines: Write, at: At, enrolled: Study) -> None:
    ae: dict[str, Any] = {"ae": "AE-1", "term": "Fever", "grade": 3, "serious": True, "related": True}
    report = enrolled.raw("itp.adverse-event.reported", "2026-01-15", **ae)
    _record(itp, lines, at, "2026-01-16T09:00:00+08:00", report)
    settings = at("2026-01-16T09:01:00+08:00")
    waiting = itp("agenda", "--json", **settings).json["waiting"]
    assert [(row["visit"], row["what"].partition(":")[0], row["days"]) for row in waiting] == [
        (None, "report to submit", 1),
        (None, "flag", 1),
        ("INF2", "overdue", 1),
    ]
    said = itp("agenda", **settings)
    assert said.out.index("Waiting for somebody") < said.out.index("The next 7 days")
    assert "overdue: nothing recorded, 1 day" in _words(said.out)


def test_agenda_dates_a_flag_by_its_report_as_the_board_does(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    rescue = enrolled.raw("itp.medication.changed", "2026-01-06", kind="rescue", drug="x", detail="y")
    rescue["time"] = "2026-01-09T09:00:00+08:00"
    _record(itp, lines, at, "2026-01-09T09:00:00+08:00", rescue)
    settings = at("2026-01-11T09:00:00+08:00")
    (flag,) = itp("agenda", "--json", **settings).json["waiting"]
    assert (flag["since"], flag["days"]) == ("2026-01-09", 2)
    (card,) = itp("board", "--json", **settings).json
    assert card["flags"] == [{"criterion": "rescue-medication", "since": flag["since"], "assumed": True}]


def test_agenda_names_a_report_after_a_correction_and_a_death_that_is_not_recorded(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    fatal: dict[str, Any] = {"ae": "AE-1", "grade": 5, "serious": True, "related": False}
    wrong = enrolled.raw("itp.adverse-event.reported", "2026-01-08", term="Hemorhage", **fatal)
    _record(itp, lines, at, "2026-01-09T09:00:00+08:00", wrong)
    right = enrolled.raw(
        "itp.adverse-event.reported", "2026-01-08", "2026-01-10", term="Haemorrhage", **fatal
    )
    reference = {"source": wrong["source"], "id": wrong["id"]}
    void = enrolled.raw("itp.event.voided", None, "2026-01-10", event=reference, reason="typo")
    _record(itp, lines, at, "2026-01-10T12:00:00+08:00", void, right)
    waiting = itp("agenda", "--json", **at("2026-01-10T13:00:00+08:00")).json["waiting"]
    assert [each["what"].partition(":")[0] for each in waiting] == ["death not recorded", "report to submit"]
    assert "Haemorrhage" in waiting[1]["what"]


def test_agenda_marks_the_criterion_of_a_flag_with_its_legend(
    itp: Itp, lines: Write, at: At, enrolled: Study
) -> None:
    rescue = enrolled.raw("itp.medication.changed", "2026-01-08", kind="rescue", drug="x", detail="y")
    _record(itp, lines, at, "2026-01-09T09:00:00+08:00", rescue)
    said = itp("agenda", "--days", "1", **at("2026-01-09T10:00:00+08:00"))
    assert "the investigator must decide†" in _words(said.out)
    assert "† assumption, to be confirmed by the site" in said.out


def test_agenda_proposes_no_infusion_while_on_hold(itp: Itp, lines: Write, at: At, enrolled: Study) -> None:
    rescue = enrolled.raw("itp.medication.changed", "2026-01-08", kind="rescue", drug="x", detail="y")
    _record(itp, lines, at, "2026-01-09T09:00:00+08:00", rescue)
    agenda = itp("agenda", "--days", "60", "--json", **at("2026-01-09T09:01:00+08:00")).json["agenda"]
    assert [row["visit"] for row in agenda if row["visit"].startswith("INF")] == []
