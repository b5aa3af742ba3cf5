"""What people see: a subject's page, the study's board, the drawings, and what is told about a subject."""

import re
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from flows.study.roles import Speaker
from itp_events.events import FACT_TYPES
from tasks.advance import record
from tasks.board import keeping, links, reading
from tasks.board.cards import Card, card
from tasks.board.drawings import timeline
from tasks.board.happenings import happenings, open_problems
from tasks.board.markdown import plain, table, unlinked
from tasks.board.overview import Board
from tasks.board.paper import image
from tasks.board.reading import Shown
from tasks.board.story import story
from tasks.board.study_page import study_page
from tasks.board.subject_page import subject_page
from tasks.board.words import step
from tasks.database.repairs import Mend
from tasks.database.schema import cards
from tasks.delivery.sending import Outcome
from tests.support import Receiver
from tests.support.study import INFUSIONS, Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("OUT-02")

NOW = datetime(2026, 2, 3, 2, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def overdue(desk: Desk, study: Study) -> Card:
    """INF3 was due until 29 January 2026, and on 3 February nothing is recorded."""
    desk.take(study.enrol("2026-01-05", baseline_platelets=11))
    desk.take(study.done("INF1", "2026-01-05", platelets=12, bleeding=True))
    desk.take(study.done("INF2", "2026-01-14", platelets=35, bleeding=False))
    desk.wake("ITP-001", NOW)
    return card(story(desk.store, desk.protocol, "ITP-001", NOW))


def board_of(cards: list[Card], **artifacts: str) -> Board:
    return Board(cards, NOW, SHANGHAI, artifacts, [], 0, [])


def section(page: str, title: str) -> str:
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0]


# A subject's page


def page(desk: Desk) -> str:
    return subject_page(story(desk.store, desk.protocol, "ITP-001", NOW), "data:x", "/board", "/run")


def test_a_subjects_page_says_first_who_must_do_what(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    assert "**coordinator**: INF3 is 3 days overdue" in section(page(desk), "Who must do what")


def test_a_subjects_page_has_the_plan_with_deviation_and_reason(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    plan = section(page(desk), "Plan")
    assert "| **INF2** | done | 12 Jan 2026 | 11 Jan to 13 Jan | 14 Jan | 1 day after the window |" in plan
    assert "2 weeks after INF2 (14 Jan)" in plan
    assert "12 months after INF5 (if " in plan


def test_a_subjects_page_says_what_was_sent_to_whom_and_whether_it_arrived(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    assert "| INF3 | escalation, step 1 | coordinator | waits to be sent |" in page(desk)
    desk.hand_over(NOW)
    assert "| INF3 | escalation, step 1 | coordinator | arrived Tue 3 Feb 2026 10:00 |" in page(desk)


def test_a_notice_is_shown_as_arrived_when_the_word_of_it_came_late(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    first = desk.claim(NOW)
    for each in first:
        desk.end(each, Outcome("unknown", "no answer"))
    second = desk.claim(NOW + timedelta(minutes=10))
    for each in first:
        desk.end(each, Outcome("sent"))
    for each in second:
        desk.end(each, Outcome("failed", "the provider answered 503"))
    assert "| INF3 | escalation, step 1 | coordinator | arrived Tue 3 Feb 2026" in page(desk)


def test_a_subjects_page_grades_the_platelets_of_each_visit(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    found = section(page(desk), "Platelets and response (IWG)")
    assert "Baseline: 11 × 10⁹/L." in found
    assert "| INF1 | 5 Jan 2026 | 12 | bleeding | no response | bleeding |" in found
    assert "| INF2 | 14 Jan 2026 | 35 | no bleeding | response |" in found
    assert "not confirmed by a second count at least 7 days apart" in found


def test_a_subjects_page_says_that_the_visit_will_count_as_missed_by_itself(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    assert "| INF3 | counts as missed† |" in section(page(desk), "What comes next by itself")


def test_a_subjects_page_lists_its_deviations_and_asks_for_the_assessment(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    desk.take(study.missed("INF3", "2026-02-03"))
    missed = "**investigator**: assess 1 important deviation: ITP-001/INF3/missed"
    assert missed in section(page(desk), "Who must do what")
    found = section(page(desk), "Deviations")
    late = "INF2 done on 14 Jan 2026, 1 day after the window of 11 to 13 Jan 2026"
    assert f"| 14 Jan 2026 | {late} | no | ITP-001/INF2/window/2026-01-14/+1d |" in found
    assert "INF3 missed: travelling | **yes, to be assessed** |" in found
    desk.take(study.assessed("ITP-001/INF3/missed", at="2026-02-03 12:00", cause="fever"))
    assert missed not in page(desk)
    assert "no, assessed by inv-01; cause: fever" in section(page(desk), "Deviations")


# The board


@pytest.mark.requirement("DEV-02")
def test_the_board_lists_the_important_deviations_that_nobody_assessed(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    desk.take(study.missed("INF3", "2026-02-03"))
    told = story(desk.store, desk.protocol, "ITP-001", NOW)
    board = study_page(board_of([card(told)]))
    found = section(board, "Investigator: important deviations to assess")
    assert "| ITP-001 | INF3 | visit missed or skipped | Sat 31 Jan |" in found
    assert "**1 unassessed deviation**" in board


def test_the_board_lists_the_overdue_the_longest_first_with_a_link_to_the_plan(
    desk: Desk, study: Study
) -> None:
    first = overdue(desk, study)
    second = deepcopy(first) | {"code": "ITP-002"}
    late = next(visit for visit in second["visits"] if visit["code"] == "INF3")
    late["closes"] = "2026-01-20"
    found = section(
        study_page(board_of([first, second], **{"plan-itp-001": "a1"})), "Coordinator: overdue visits"
    )
    assert found.index("ITP-002") < found.index("ITP-001")
    assert "| [ITP-001](/artifacts/artifact/a1) | INF3 · infusion 3 | **3 days** | Sat 31 Jan |" in found


def test_the_board_tells_what_waits_for_the_investigator_and_until_when(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-02-02", at="2026-02-02 08:00"))
    desk.take(study.adverse_event("2026-02-03", at="2026-02-03 09:00", serious=True, related=True))
    found = study_page(board_of([card(story(desk.store, desk.protocol, "ITP-001", NOW))]))
    assert "| ITP-001 | adverse event†: may the subject go on? | Tue 3 Feb | since today |" in found
    assert "| ITP-001 | serious adverse event AE-1 | Wed 4 Feb 09:00† |" in section(
        found, "Investigator: safety reports to submit"
    )


def test_a_visit_whose_target_has_passed_stays_under_today_until_its_window_closes(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol("2026-02-02", at="2026-02-02 08:00"))
    found = study_page(board_of([card(story(desk.store, desk.protocol, "ITP-001", NOW))]))
    assert (
        "| ITP-001 | INF1 · infusion 1 | target† was Mon 2 Feb, nothing recorded | Mon 9 Feb† |"
        in section(found, "Coordinator: visits today")
    )


def test_the_board_says_how_many_visits_were_in_their_window(desk: Desk, study: Study) -> None:
    found = section(study_page(board_of([overdue(desk, study)])), "Adherence")
    assert "| **all** | 2 | 1 (50%) | 0 | +1 d | 1 d |" in found


def test_the_board_of_2000_subjects_fits_prefect_and_says_how_many_it_leaves_out(
    desk: Desk, study: Study
) -> None:
    one = overdue(desk, study)
    cards = [deepcopy(one) | {"code": f"ITP-{number:04}"} for number in range(2000)]
    found = study_page(board_of(cards))
    assert len(found) < 500_000
    assert "and 1960 more" in found


def test_a_notice_that_reached_one_of_two_people_is_not_shown_as_arrived(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    lines = (f"coordinator={receiver.apprise_url('crc')}", "coordinator=json://127.0.0.1:9/")
    desk.configure(tmp_path / "apprise.txt", *lines)
    overdue(desk, study)
    for wait in range(3):
        desk.hand_over(NOW + timedelta(minutes=10 * wait))
    told = story(desk.store, desk.protocol, "ITP-001", NOW)
    (lost,) = [each for each in card(told)["undelivered"] if each["step"] == "rung-1"]
    assert lost["failures"] == 3
    shown = subject_page(told, None, None, None)
    assert "arrived at 1 of 2 Tue 3 Feb 2026 10:00; **not delivered**, 3 sends failed" in shown
    assert "Operations: notices that did not arrive" in study_page(board_of([card(told)]))


def test_a_hold_keeps_infusions_back_and_no_follow_up(desk: Desk, study: Study) -> None:
    study.enrol("2025-10-20", consent_on="2025-10-18")
    study.on_target(*INFUSIONS, "FU-D14", "FU-M1")
    study.medication("rescue", "2026-02-03", at="2026-02-03 09:00")
    desk.take(*(each for each in study.log if not each.own), now=NOW)
    held = card(story(desk.store, desk.protocol, "ITP-001", NOW))
    assert "on-hold" in held["tags"]
    ahead = section(study_page(board_of([held])), "Coordinator: the next 14 days")
    assert "| Sun 8 Feb† | ITP-001 | FU-M2 · follow-up month 2 | not booked yet |" in ahead


def test_a_held_infusion_is_shown_as_not_to_be_given(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-02-02", at="2026-02-02 08:00"))
    desk.take(study.medication("rescue", "2026-02-03", at="2026-02-03 09:00"))
    told = story(desk.store, desk.protocol, "ITP-001", NOW)
    found = section(study_page(board_of([card(told)])), "Coordinator: visits today")
    assert "| ITP-001 | INF1 · infusion 1 | on hold: wait for the decision |" in found
    assert "INF1 must wait until that is settled" in section(page(desk), "Who must do what")


def test_a_flag_waits_since_its_reason_was_reported_however_long_ago_that_happened(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol("2026-01-30", at="2026-01-30 08:00"), study.done("INF1", "2026-01-30"))
    desk.take(study.medication("rescue", "2026-01-31", at="2026-02-03 09:00"))
    held = card(story(desk.store, desk.protocol, "ITP-001", NOW))
    assert held["flags"] == [{"criterion": "rescue-medication", "since": "2026-02-03", "assumed": True}]
    assert held["message"] == "since 3 Feb 2026; the investigator must decide"


def test_a_death_without_its_adverse_event_waits_for_the_investigator_after_exit_too(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol("2026-01-30", at="2026-01-30 08:00"), study.died("2026-02-02"))
    assert (
        "| ITP-001 | report the serious adverse event that led to the death | Mon 2 Feb | 1 day |"
        in study_page(board_of([card(story(desk.store, desk.protocol, "ITP-001", NOW))]))
    )
    assert "nobody else: Withdrawn: DEATH" in page(desk)
    desk.take(study.adverse_event("2026-02-02", at="2026-02-03 09:00", serious=True, grade=5))
    assert "led to the death" not in page(desk)


def test_somebody_who_takes_care_of_an_overdue_visit_is_shown_until_their_day(
    desk: Desk, study: Study
) -> None:
    overdue(desk, study)
    desk.take(study.acknowledged("INF3", until="2026-02-06", at="2026-02-03 09:30"))
    found = study_page(board_of([card(story(desk.store, desk.protocol, "ITP-001", NOW))]))
    assert "; somebody takes care of it until Fri 6 Feb |" in section(found, "Coordinator: overdue visits")


def test_the_site_is_named_where_there_are_several(desk: Desk, study: Study) -> None:
    one = overdue(desk, study)
    two = deepcopy(one) | {"code": "ITP-002", "site": "02"}
    assert "| Subject | Site | Visit |" in study_page(board_of([one, two]))
    assert "| Subject | Visit |" in study_page(board_of([one]))


def test_a_board_of_nobody_says_so() -> None:
    found = study_page(board_of([]))
    assert "nobody is enrolled yet · nothing is late, nothing waits" in found
    assert "Enrolment, by phase" not in found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("T-1d", "reminder 1 day before"),
        ("T-14d", "reminder 14 days before"),
        ("rung-2", "escalation, step 2"),
        ("sae-20h", "safety report: 20 h have passed"),
        ("decision-11", "decision asked for, time 11"),
        ("treatment-stopped", "treatment stopped"),
    ],
)
def test_a_step_is_written_in_words(name: str, words: str) -> None:
    assert step(name) == words


@pytest.mark.parametrize("given", ["2026-02-02", "2026-02-03"])
@pytest.mark.parametrize("why", ["hold", "stop"])
def test_an_unwanted_infusion_is_called_recorded_on_hold_or_after_a_stop(
    desk: Desk, study: Study, why: str, given: str
) -> None:
    desk.take(study.enrol("2026-01-26"), study.done("INF1", "2026-01-26"))
    stated = study.medication("rescue", "2026-02-02") if why == "hold" else study.pregnant("2026-02-02")
    desk.take(stated, study.done("INF2", given, at="2026-02-03 09:00"))
    found = section(page(desk), "Sent, to whom, and whether it arrived")
    assert "| INF2 | infusion recorded while on hold or after a stop | investigator |" in found


# Kept up to date cheaply


def test_only_the_subject_that_moved_is_behind(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    other = Study(code="ITP-002")
    other.last_id = 100
    desk.take(other.enrol("2026-01-05"))
    for code in reading.stale(desk.store, NOW, 10):
        keeping.keep(desk.store, story(desk.store, desk.protocol, code, NOW), Shown(), NOW)
    assert reading.stale(desk.store, NOW, 10) == []
    desk.take(other.booked("INF1", "2026-01-07", at="2026-01-06"))
    assert reading.stale(desk.store, NOW, 10) == ["ITP-002"]
    desk.hand_over(NOW)
    assert "ITP-001" in reading.stale(desk.store, NOW, 10), "its notices have arrived"


def kept_as_of(desk: Desk, now: datetime) -> None:
    for code in reading.stale(desk.store, now, 10):
        keeping.keep(desk.store, story(desk.store, desk.protocol, code, now), Shown(), now)


def test_a_window_that_closed_while_the_service_was_down_is_overdue_on_the_board(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol("2026-01-05"), study.done("INF1", "2026-01-05"))
    kept_as_of(desk, study.instant("2026-01-06"))
    (made,) = reading.fresh_cards(desk.store, desk.protocol, NOW)
    assert made["state"] == "INF3 overdue", "INF2 was missed on the day before"
    kept_as_of(desk, NOW)
    assert reading.stale(desk.store, NOW, 10) == [], "made once for this wake, however long it takes to come"


def test_the_cards_of_a_site_are_made_without_those_of_others(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-01-05"))
    elsewhere = Study("02", code="ITP-002")
    elsewhere.last_id = 10
    desk.take(elsewhere.enrol("2026-01-05"))
    kept_as_of(desk, study.instant("2026-01-06"))
    for site, code in (("01", "ITP-001"), ("02", "ITP-002")):
        [made] = reading.fresh_cards(desk.store, desk.protocol, NOW, site)
        assert (made["code"], made["site"]) == (code, site)
    assert len(reading.fresh_cards(desk.store, desk.protocol, NOW)) == 2


def test_a_notice_on_its_way_is_looked_at_again_only_when_something_became_of_it(
    desk: Desk, study: Study, tmp_path: Path
) -> None:
    desk.configure(tmp_path / "apprise.txt", "coordinator=json://127.0.0.1:9/")
    overdue(desk, study)
    kept_as_of(desk, NOW)
    later = NOW + timedelta(minutes=10)
    assert reading.stale(desk.store, later, 10) == []
    desk.hand_over(later)
    assert reading.stale(desk.store, later, 10) == ["ITP-001"], "a send failed"


def test_a_card_that_an_older_version_made_is_made_anew(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    kept_as_of(desk, NOW)
    with desk.store.writing() as connection:
        connection.execute(cards.update().values(body={"code": "ITP-001"}))
    assert reading.fresh_cards(desk.store, desk.protocol, NOW)[0]["state"] == "INF3 overdue"
    keeping.forget_old_cards(desk.store)
    assert reading.stale(desk.store, NOW, 10) == ["ITP-001"]


def test_prefect_emptied_is_shown_everything_again(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    told = story(desk.store, desk.protocol, "ITP-001", NOW)
    keeping.keep(desk.store, told, Shown(["a"], 3), NOW)
    keeping.remember_artifact(desk.store, "plan-itp-001", "a1")
    keeping.forget_shown(desk.store)
    assert reading.artifact_ids(desk.store) == {}
    assert reading.stale(desk.store, NOW, 10) == ["ITP-001"]


def test_a_drawing_changes_when_a_window_closes_though_nothing_is_recorded(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-01-05"), study.done("INF1", "2026-01-05"))
    before, after = (
        image(timeline(story(desk.store, desk.protocol, "ITP-001", study.instant(at))))
        for at in ("2026-01-13 23:59", "2026-01-14")
    )
    assert before != after


# Events


def test_an_overdue_visit_is_told_once_and_again_only_when_it_comes_back(desk: Desk, study: Study) -> None:
    made = overdue(desk, study)
    (told,) = happenings(made, [], [], NOW)
    assert (told.name, told.details["visit"]) == ("itp.visit.overdue", "INF3")
    assert list(happenings(made, list(open_problems(made)), [], NOW)) == []
    (again,) = happenings(made | {"seq": made["seq"] + 2}, [], [], NOW)
    assert again.id != told.id, "Prefect would drop what it knows already"


def test_the_story_is_told_under_names_that_no_door_listens_to(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    desk.take(study.medication("rescue", "2026-02-03", at="2026-02-03 09:00"))
    told = story(desk.store, desk.protocol, "ITP-001", NOW)
    names = {each.name for each in happenings(card(told), [], told.record.log, NOW)}
    assert {"itp.withdrawal.flagged", "itp.visit.escalated", "itp.recorded.visit.completed"} <= names
    assert names.isdisjoint(FACT_TYPES)


def test_what_is_told_of_a_statement_has_the_account_and_the_door_beside_who_stated_it(
    desk: Desk, study: Study
) -> None:
    enrolled = study.enrol("2026-01-05")
    castor = Speaker(actor="castor", door="api", decides=True)
    missed = study.missed("INF1", "2026-01-14")
    assessed = study.assessed("ITP-001/INF1/missed", at="2026-01-15")
    record(desk.store, desk.protocol, [enrolled, missed, assessed], assessed.time, sender=castor)
    assert "assessed by inv-01 (castor, api)" in section(page(desk), "Deviations")
    told = story(desk.store, desk.protocol, "ITP-001", NOW)
    for each in happenings(card(told), [], told.record.log, NOW):
        is_stated = each.name.startswith("itp.recorded.")
        assert (each.details.get("actor"), each.details.get("door")) == (
            ("castor", "api") if is_stated else (None, None)
        )


def test_a_happening_has_the_same_id_however_often_it_is_told(desk: Desk, study: Study) -> None:
    made = overdue(desk, study)
    first, second = (list(happenings(made, [], [], at)) for at in (NOW, NOW + timedelta(hours=1)))
    assert [each.id for each in first] == [each.id for each in second]


# Drawings, addresses, Markdown


def test_a_timeline_is_drawn_as_svg_and_png_and_the_same_each_time(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    told = story(desk.store, desk.protocol, "ITP-001", NOW)
    first, second = (image(timeline(told), "svg") for _ in range(2))
    assert first == second
    texts = {"".join(node.itertext()).strip() for node in ElementTree.fromstring(first).iter() if node.text}
    assert {"INF1†", "FU-M12†", "cell-lab", "† assumption, to be confirmed by the site"} <= texts
    assert {"no response", "response (not confirmed)", "complete response from 100"} <= texts
    assert image(timeline(told)).startswith(b"\x89PNG")


def test_a_subject_enrolled_200_days_ago_is_in_the_work_lists_range() -> None:
    today = date(2026, 11, 23)
    for each in links.WORK_LISTS:
        (span,) = [row["value"] for row in each.search(today, "f1")["filters"] if row["property"] == "range"]
        assert span["startDate"] < (today - timedelta(days=200)).isoformat() < span["endDate"]
        assert 729 <= (_day(span["endDate"]) - _day(span["startDate"])).days <= 731
        assert f"startDate={span['startDate'][:10]}" in each.address(today, "f1")


def _day(text: str) -> date:
    return date.fromisoformat(text[:10])


def test_an_artifacts_key_has_only_what_prefect_allows() -> None:
    assert links.plan_key("ITP-007") == "plan-itp-007"
    assert re.fullmatch("plan-itp-00-7-[0-9a-f]+", links.plan_key("ITP_00.7"))


def test_no_two_subjects_share_a_page() -> None:
    codes = ["ITP-1", "itp-1", "ITP_1", "ITP.1", "ITP--1", "ITP-1-", "ITP1"]
    assert len({links.plan_key(code) for code in codes}) == len(codes)


def test_what_others_wrote_is_shown_as_it_stands() -> None:
    assert table(["a"], [[plain("<b>x</b> | [y](z)\n")]]).count("|") == 7
    assert "<" not in plain("<script>").replace("\\<", "")
    assert unlinked("see [ITP-001](/x) and [ITP-002](/y)") == "see ITP-001 and ITP-002"


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "HTTP://evil.example", "www.evil.example", "WWW.evil.example", "a@evil.example"],
)
def test_an_address_that_somebody_wrote_is_no_link_on_a_page(address: str) -> None:
    """Markdown makes links of addresses that merely stand there, unless their marks are escaped."""
    escaped = plain(f"see {address}")
    assert address not in escaped
    assert escaped.replace("\\", "") == f"see {address}"


def test_what_cannot_be_seen_does_not_get_onto_a_page() -> None:
    assert plain("a\u202eb\x1b[2J\u2028c\nd") == "ab \\[2J c d"


def test_the_same_repair_of_many_at_once_is_one_line() -> None:
    said = (
        "its flow run was missing; put back to Awaiting INF2",
        "its flow run was Failed; put back to Completed",
    )
    done = [Mend(f"ITP-00{number}", said[number == 3], NOW) for number in range(4)]
    found = section(study_page(replace(board_of([]), repairs=done)), "Repaired by the service")
    assert "| Tue 3 Feb 10:00 | ITP-000 and 2 more | its flow run was missing |" in found
    assert "| Tue 3 Feb 10:00 | ITP-003 | its flow run was Failed; put back to Completed |" in found


# What waits for a person beyond visits and decisions


def test_a_fatal_event_without_a_death_waits_for_the_investigator(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-02-02", at="2026-02-02 08:00"))
    desk.take(study.adverse_event("2026-02-03", at="2026-02-03 09:00", serious=True, grade=5))
    made = card(story(desk.store, desk.protocol, "ITP-001", NOW))
    waits = section(study_page(board_of([made])), "Investigator: decisions that wait")
    assert "fatal adverse event: record the death, or correct the event" in waits
    assert "record the death, or correct the event" in section(page(desk), "Who must do what")
    # No decision settles it: the page on which to decide is not offered.
    assert "Decide here" not in subject_page(
        story(desk.store, desk.protocol, "ITP-001", NOW), None, None, None, "http://decide"
    )


def test_a_safety_report_is_named_by_what_it_is_about_after_a_correction_too(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol("2026-02-01", at="2026-02-01 08:00"))
    wrong = study.adverse_event("2026-02-02", at="2026-02-02 09:00", serious=True, term="Fevr")
    desk.take(wrong)
    right = study.event(
        *("itp.adverse-event.reported", "2026-02-02", "2026-02-02 10:00"),
        ae="AE-1",
        grade=3,
        serious=True,
        related=False,
        term="Fever",
    )
    desk.take(study.void(wrong, "2026-02-02 10:00"), right)
    desk.take(study.died("2026-02-02", at="2026-02-02 11:00"))
    made = card(story(desk.store, desk.protocol, "ITP-001", NOW))
    assert [each["what"] for each in made["clocks"]] == ["AE-1", "death"]
    reports = section(study_page(board_of([made])), "Investigator: safety reports to submit")
    assert "serious adverse event AE-1" in reports
    assert "the adverse event that led to the death" in reports


@pytest.mark.requirement("CON-02")
def test_a_consent_that_falls_due_by_age_stays_open_until_it_is_recorded(desk: Desk, study: Study) -> None:
    desk.take(
        study.enrol("2026-02-02", at="2026-02-02 08:00", consent_by="guardian", screening={"age_years": 7})
    )
    board = study_page(board_of([card(story(desk.store, desk.protocol, "ITP-001", NOW))]))
    assert "| ITP-001 | the subject's own assent | Mon 2 Feb |" in section(
        board, "Coordinator: consents to plan"
    )
    assert "plan the subject's assent" in section(page(desk), "Who must do what")
    given = study.event("itp.consent.given", "2026-02-03", "2026-02-03 09:00", kind="assent", version="2")
    desk.take(given)
    board = study_page(board_of([card(story(desk.store, desk.protocol, "ITP-001", NOW))]))
    assert "Coordinator: consents to plan" not in board


def test_the_board_says_what_the_mark_of_an_assumption_means(desk: Desk, study: Study) -> None:
    made = overdue(desk, study)
    assert "† assumption, to be confirmed by the site" in study_page(board_of([made]))


def test_a_date_on_a_page_is_marked_where_it_hangs_on_a_missed_visit(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-01-05"), study.done("INF1", "2026-01-05"))
    desk.take(study.missed("INF2", "2026-01-14"))
    plan = section(page(desk), "Plan")
    assert "| **INF2** | missed | 12 Jan 2026 | 11 Jan to 13 Jan |" in plan
    assert "| 26 Jan 2026† | 23 Jan to 29 Jan† |" in plan


def test_a_page_names_the_adverse_event_of_each_safety_notice(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-01-05"), study.adverse_event("2026-01-19", ae="AE-1", serious=True))
    desk.take(study.adverse_event("2026-01-19", ae="AE-2", serious=True))
    told = story(desk.store, desk.protocol, "ITP-001", study.instant("2026-01-19 12:00"))
    page = subject_page(told, None, None, None)
    for number in ("AE-1", "AE-2"):
        assert f"submit the safety report ({number}) by" in page
        assert f"safety event reported ({number}) | sponsor" in page
        assert f"20 h have passed† ({number}) | investigator" in page
