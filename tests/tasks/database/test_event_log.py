import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from itp_events.events import NoticeIssued, parse_recorded
from itp_events.rules.keys import LONGEST_KEY
from tasks.database import event_log, outbox, queries
from tasks.database.compiled import ask_in_turn
from tasks.database.schema import Instant, events, notices, subjects
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("LOG-01")

SCREENING = "INSERT INTO screening_log VALUES ('a', 'b', 'ITP-009', '2026-01-05', '[]', '', '')"


@pytest.mark.requirement("COR-01")
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET body = '{}'",
        "UPDATE events SET recorded_at = '2020' WHERE seq = 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE seq = 1",
        "UPDATE screening_log SET unmet = '[]'",
        "DELETE FROM screening_log",
    ],
)
def test_the_database_itself_refuses_to_change_the_log(desk: Desk, study: Study, change: str) -> None:
    desk.take(study.enrol())
    with desk.store.writing() as connection:
        connection.execute(sa.text(SCREENING))
    before = queries.log_lines(desk.store, "ITP-001")
    with pytest.raises(DBAPIError, match="append-only"), desk.store.writing() as connection:
        connection.execute(sa.text(change))
    assert queries.log_lines(desk.store, "ITP-001") == before


@pytest.mark.requirement("COR-01")
def test_sqlite_refuses_to_replace_a_line_of_the_log(sqlite_url: str, study: Study) -> None:
    desk = Desk.open(sqlite_url)
    desk.take(study.enrol())
    copy = "INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 1"
    with pytest.raises(DBAPIError, match="append-only"), desk.store.writing() as connection:
        connection.execute(sa.text(copy))
    desk.store.close()


@pytest.mark.requirement("COR-01")
def test_postgresql_refuses_to_empty_the_log(postgresql_url: str, study: Study) -> None:
    desk = Desk.open(postgresql_url)
    desk.take(study.enrol())
    with pytest.raises(DBAPIError, match="append-only"), desk.store.writing() as connection:
        connection.execute(sa.text("TRUNCATE events CASCADE"))
    desk.store.close()


def test_an_event_at_a_sequence_number_that_is_taken_is_refused(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    stale = study.done("INF1", "2026-01-05")
    lines = event_log.lines_after(event_log.EMPTY, "ITP-001", [stale], ENROLLED_AT)
    with pytest.raises(IntegrityError), desk.store.writing() as connection:
        ask_in_turn(connection, event_log.appending(lines.rows))


@pytest.mark.requirement("INT-04")
def test_a_source_and_id_stand_in_the_log_once(desk: Desk, study: Study) -> None:
    event = study.enrol()
    desk.take(event)
    last = len(queries.log_lines(desk.store, "ITP-001"))
    lines = event_log.lines_after(event_log.LogEnd(last, ""), "ITP-001", [event], ENROLLED_AT)
    with pytest.raises(IntegrityError), desk.store.writing() as connection:
        ask_in_turn(connection, event_log.appending(lines.rows))


def test_events_are_read_back_as_they_were_recorded(desk: Desk, study: Study) -> None:
    events = [study.enrol(baseline_platelets=12.5), study.done("INF1", "2026-01-05", platelets=31)]
    desk.take(*events)
    lines = queries.log_lines(desk.store, "ITP-001")
    assert [line.event for line in lines if not line.event.own] == events
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))


# Two subjects whose serious adverse event has a long source and id. The service wrote these lines while it
# put both into its own ids as they are, and could not read them again.
LONG_IDS = Path(__file__).with_name("log_with_long_ids.jsonl")
SAE_AT = datetime(2026, 1, 6, 3, tzinfo=UTC)


@pytest.fixture
def bricked(desk: Desk) -> Desk:
    """A study with such subjects, whose alerts were handed over right away."""
    lines = [event_log.read(line) for line in LONG_IDS.read_text(encoding="utf-8").splitlines()]
    for code in ("ITP-001", "ITP-002"):
        events = [event for event in lines if event.subject == code]
        desk.take(events[0])
        seq = len(queries.log_lines(desk.store, code))
        later = events[seq:]
        with desk.store.writing() as connection:
            new = event_log.lines_after(event_log.LogEnd(seq, ""), code, later, SAE_AT)
            ask_in_turn(connection, event_log.appending(new.rows))
            ask_in_turn(connection, outbox.queueing(outbox.new_rows(later, SAE_AT)))
            outbox.change(connection, later, SAE_AT)
            alerts = sa.and_(notices.c.subject == code, notices.c.kind == "alert")
            connection.execute(notices.update().where(alerts).values(handed_at=SAE_AT, status="delivered"))
            connection.execute(
                subjects.update().where(subjects.c.code == code).values(seq=new.end.seq, head=new.end.head)
            )
    return desk


@pytest.mark.parametrize("code", ["ITP-001", "ITP-002"])
def test_a_log_with_ids_longer_than_any_today_is_read_and_its_clocks_go_on(bricked: Desk, code: str) -> None:
    before = {notice.key for notice in bricked.notices(code)}
    bricked.wake(code, SAE_AT + timedelta(hours=21))
    new = [notice for notice in bricked.notices(code) if notice.key not in before]
    assert sorted((each.step, each.audience) for each in new if each.kind == "alert") == [
        ("sae-20h", "investigator"),
        ("sae-20h", "sponsor"),
    ]
    assert all(len(notice.key) <= LONGEST_KEY for notice in new)


@pytest.mark.parametrize("code", ["ITP-001", "ITP-002"])
def test_what_such_a_log_decided_is_taken_back_with_its_facts(bricked: Desk, code: str) -> None:
    study = Study(code=code)
    [sae] = [each for each in queries.history(bricked.store, code) if each.type.endswith("reported")]
    assert bricked.wake(code, SAE_AT).state == "On hold: adverse-event"
    [answer] = bricked.take(study.void(sae, "2026-01-07", event_id=f"void-{code}"))
    assert (answer.status, answer.error) == ("recorded", None)
    assert bricked.wake(code, SAE_AT + timedelta(days=2)).state == "INF1 window open"
    told = [each.data for each in queries.history(bricked.store, code) if isinstance(each.data, NoticeIssued)]
    assert len([each for each in told if each.step == "sae"]) == 2


YEARS = datetime(1990, 1, 1), datetime(2090, 1, 1)  # noqa: DTZ001 - hypothesis adds the zones
INSTANTS = st.datetimes(*YEARS, timezones=st.timezones())
KIND, SQLITE = Instant(), sqlite.dialect()


def _stored(instant: datetime) -> str:
    text = KIND.process_bind_param(instant, SQLITE)
    assert text is not None
    return text


@given(INSTANTS, INSTANTS)
def test_instants_sort_as_text_and_come_back_exactly(one: datetime, other: datetime) -> None:
    assert (_stored(one) < _stored(other)) == (one.astimezone(UTC) < other.astimezone(UTC))
    back = KIND.process_result_value(_stored(one), SQLITE)
    assert back == one.astimezone(UTC)


@pytest.mark.requirement("WIN-11")
def test_instants_are_stored_in_utc() -> None:
    shanghai = timezone(timedelta(hours=8))
    assert _stored(datetime(2026, 1, 12, 10, 20, tzinfo=shanghai)) == "2026-01-12T02:20:00.000000Z"


@pytest.mark.requirement("WIN-11")
def test_an_instant_without_its_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        _stored(datetime(2026, 1, 12, 10, 20))  # noqa: DTZ001 - the naive datetime is the point


@pytest.mark.requirement("LOG-02")
def test_a_line_that_was_just_written_is_the_event_that_it_is_read_as(desk: Desk, study: Study) -> None:
    """The next decision takes it from memory, and one of another process from the line."""
    desk.take(study.enrol())
    desk.take(study.done("INF1", "2026-01-05"))
    desk.take(study.adverse_event("2026-01-05", ae="AE-1", serious=True))
    for days in (3, 6, 9, 20, 60):
        desk.wake("ITP-001", ENROLLED_AT + timedelta(days=days))
    with desk.store.reading() as connection:
        bodies = list(connection.scalars(sa.select(events.c.body).order_by(events.c.seq)))
    kept = [event_log.read(body) for body in bodies]
    read = [parse_recorded(json.loads(body)) for body in bodies]
    assert len(bodies) > 15
    assert kept == read
    assert [each.to_json() for each in kept] == [each.to_json() for each in read]
    assert [each.time.utcoffset() for each in kept] == [each.time.utcoffset() for each in read]
    assert [each.data.model_dump() for each in kept] == [each.data.model_dump() for each in read]


def test_lines_that_nobody_reads_are_kept_in_bounds(study: Study) -> None:
    first = study.enrol()
    more = [replace(first, id=f"again-{number}") for number in range(2 * event_log.WRITTEN_AT_MOST)]
    written = event_log.lines_after(event_log.EMPTY, "ITP-001", [first, *more], ENROLLED_AT).rows
    assert event_log.just_written() <= event_log.WRITTEN_AT_MOST
    assert [event_log.read(str(row["body"])) for row in written] == [first, *more]
