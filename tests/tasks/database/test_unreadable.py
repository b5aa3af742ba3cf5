"""One subject, or one row, that cannot be read spoils nothing else, and is named with the reason."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from deployments.export import export
from tasks import digest
from tasks.board import keeping, reading
from tasks.board.reading import Shown
from tasks.board.story import story
from tasks.board.study_page import study_page
from tasks.database import queries, stated
from tasks.database.troubles import note_trouble, open_troubles, settle_trouble
from tasks.database.unreadable import Unreadable, passing_over
from tasks.integrity.verify import Report
from tests.support.damage import damage_log
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, later

pytestmark = pytest.mark.requirement("LOG-05")

MORNING = ENROLLED_AT.replace(hour=1)
DAMAGE = {
    "no JSON": ("not json", "line 1 of its log is damaged"),
    "no object": ("[]", "line 1 of its log is damaged"),
    "unknown type": ('{"specversion": "1.0", "type": "itp.unheard.of"}', "line 1 of its log is damaged"),
}


@pytest.fixture
def two(desk: Desk) -> Desk:
    """A study of two subjects, enrolled at the same time."""
    other = Study(code="ITP-002")
    other.last_id = 500
    desk.take(Study(code="ITP-001").enrol(first_infusion_on="2026-01-06"))
    desk.take(other.enrol(first_infusion_on="2026-01-06"))
    return desk


@pytest.fixture(params=[*DAMAGE, "protocol version not installed"])
def why(request: pytest.FixtureRequest, two: Desk) -> str:
    """Why ITP-001 cannot be read from now on."""
    if request.param in DAMAGE:
        body, why = DAMAGE[request.param]
        damage_log(two.store, "ITP-001", 1, body)
        return why
    [line] = [
        line for line in queries.log_lines(two.store, "ITP-001") if line.event.type == "itp.protocol.assigned"
    ]
    body = json.dumps(line.event.to_json()).replace('"version": "1"', '"version": "99"')
    damage_log(two.store, "ITP-001", line.seq, body)
    with two.store.writing() as connection:
        connection.execute(sa.text("UPDATE subjects SET protocol_version = '99' WHERE code = 'ITP-001'"))
    return "protocol version '99' is not installed"


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_event_that_is_asked_for_is_named_with_the_reason(two: Desk, damage: str) -> None:
    body, why = DAMAGE[damage]
    line = queries.log_lines(two.store, "ITP-001")[0]
    damage_log(two.store, "ITP-001", line.seq, body)
    with pytest.raises(Unreadable, match=f"ITP-001 cannot be read: {why}"):
        queries.recorded(two.store, line.event.key)


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_event_whose_id_stands_in_a_damaged_line_of_another_log_is_refused_alone(
    two: Desk, damage: str
) -> None:
    body, why = DAMAGE[damage]
    line = queries.log_lines(two.store, "ITP-001")[0]
    damage_log(two.store, "ITP-001", line.seq, body)
    study = Study(code="ITP-002")
    study.last_id = 900
    first, second, third = [
        study.event("itp.contact.attempted", "2026-01-05", reached=True, by=by) for by in "abc"
    ]
    same_id = [replace(each, source=line.event.source, id=line.event.id) for each in (first, second)]
    for batch, statuses in ((same_id[:1], ["refused"]), ([same_id[1], third], ["refused", "recorded"])):
        answers = two.take(*batch, now=later(ENROLLED_AT, hours=2))
        assert [answer.status for answer in answers] == statuses
        assert str(answers[0].error).startswith(f"ITP-001 cannot be read: {why}")


def test_an_unreadable_subject_is_named_with_the_reason(two: Desk, why: str) -> None:
    with pytest.raises(Unreadable, match=f"ITP-001 cannot be read: {why}"):
        two.wake("ITP-001", later(ENROLLED_AT, hours=1))
    with pytest.raises(Unreadable, match=f"ITP-001 cannot be read: {why}"):
        story(two.store, two.protocol, "ITP-001", ENROLLED_AT)
    assert two.wake("ITP-002", later(ENROLLED_AT, hours=1)).state


def test_events_of_others_in_the_same_batch_are_taken_in(two: Desk, why: str) -> None:
    study, other = Study(code="ITP-001"), Study(code="ITP-002")
    study.last_id, other.last_id = 700, 900
    attempts = [each.event("itp.contact.attempted", "2026-01-05", reached=True) for each in (study, other)]
    refused, recorded = two.take(*attempts, now=later(ENROLLED_AT, hours=2))
    assert recorded.status == "recorded"
    assert refused.status == "refused"
    assert isinstance(refused.error, Unreadable)
    assert why in str(refused.error)


def test_everybody_else_s_digest_cards_and_calendar_go_on(two: Desk, why: str) -> None:
    now = later(MORNING, days=1)
    assert digest.post(two.store, two.protocol, "01", now)
    assert [each["code"] for each in reading.fresh_cards(two.store, two.protocol, now)] == ["ITP-002"]
    unreadable: dict[str, str] = {}
    for one in stated.stated_lately(two.store, ENROLLED_AT):
        with passing_over(one.code, unreadable):
            assert one.folded(two.protocol).code == "ITP-002"
    assert list(unreadable) == ["ITP-001"]
    assert why in unreadable["ITP-001"]


def test_the_export_holds_everybody_else_and_the_damaged_lines_as_they_are(
    two: Desk, why: str, tmp_path: Path
) -> None:
    other = Study(code="ITP-002")
    other.last_id = 900
    two.take(other.event("itp.visit.completed", "2026-01-06", visit="INF1"))
    written = export(two.store, two.protocol, later(ENROLLED_AT, days=2), tmp_path / "out", Report(()))
    assert written["unreadable.csv"] == 1
    with (tmp_path / "out" / "unreadable.csv").open(encoding="utf-8-sig", newline="") as table:
        [_, [code, *said]] = csv.reader(table)
    assert code == "ITP-001"
    assert why in said[0]
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    kept = sum(len(queries.stored_lines(two.store, code)) for code in ("ITP-001", "ITP-002"))
    assert len(log) == kept
    events = (tmp_path / "out" / "events.jsonl").read_text().splitlines()
    assert "ITP-002" in {json.loads(line)["subject"] for line in events}
    assert "ITP-002" in (tmp_path / "out" / "sv.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE subjects SET tags = '{broken' WHERE code = 'ITP-001'",
        "UPDATE subjects SET advanced_at = 'yesterday' WHERE code = 'ITP-001'",
        "UPDATE subjects SET wake_at = '0' WHERE code = 'ITP-001'",
        "UPDATE subjects SET enrolled_at = '' WHERE code = 'ITP-001'",
        "UPDATE cards SET body = 'x' WHERE subject = 'ITP-001'",
    ],
)
def test_a_damaged_row_keeps_no_other_from_being_read(sqlite_url: str, change: str) -> None:
    desk, other = Desk.open(sqlite_url), Study(code="ITP-002")
    other.last_id = 500
    desk.take(Study(code="ITP-001").enrol(), other.enrol())
    now = later(ENROLLED_AT, days=1)
    for code in ("ITP-001", "ITP-002"):
        told = story(desk.store, desk.protocol, code, now)
        keeping.keep(desk.store, told, Shown(), now)
    with desk.store.writing() as connection:
        connection.execute(sa.text(change))
    assert "ITP-002" in {row.code for row in queries.due_subjects(desk.store, later(now, days=40), 10)}
    assert [row.code for row in queries.all_subjects(desk.store)] == ["ITP-001", "ITP-002"]
    assert "ITP-002" in {each["code"] for each in reading.fresh_cards(desk.store, desk.protocol, now)}
    assert desk.wake("ITP-002", now).state
    desk.store.close()


def test_a_trouble_stands_on_the_board_until_it_is_settled(two: Desk) -> None:
    note_trouble(two.store, "ITP-001", "ITP-001 cannot be read: line 1", ENROLLED_AT)
    note_trouble(two.store, "ITP-001", "ITP-001 cannot be read: line 2", later(ENROLLED_AT, hours=1))
    [trouble] = open_troubles(two.store)
    assert (trouble.what, trouble.since) == ("ITP-001 cannot be read: line 2", ENROLLED_AT)
    assert "ITP-001 cannot be read: line 2" in board(two)
    settle_trouble(two.store, "ITP-001")
    settle_trouble(two.store, "ITP-001")
    assert open_troubles(two.store) == []
    assert "cannot be read" not in board(two)


def board(desk: Desk) -> str:
    cards = reading.fresh_cards(desk.store, desk.protocol, ENROLLED_AT)
    return study_page(reading.study_board(desk.store, desk.protocol, cards, ENROLLED_AT))
