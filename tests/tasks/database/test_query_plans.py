"""What a door, a wake and a hand-over cost does not grow with what others have in the log and the outbox."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import hand_over_messages
from tasks.database import postgresql, queries
from tasks.database.schema import Instant, deliveries, notices
from tasks.database.troubles import note_trouble, settle_trouble
from tasks.delivery import alarms
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, later

pytestmark = pytest.mark.requirement("PRF-01")

GROWING = ("subjects", "events", "notices", "deliveries", "attempts")
Work = Callable[[Desk, Study], object]


def _door(desk: Desk, study: Study) -> None:
    desk.take(study.enrol(), study.booked("INF1", "2026-01-06", at="2026-01-05 11:30"))
    done = study.done("INF1", "2026-01-05")
    desk.take(done)
    desk.take(done, study.adverse_event("2026-01-05", serious=True))


def _hand_over(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    for minutes in (0, 1, 5):
        desk.hand_over(later(ENROLLED_AT, minutes=minutes))
        desk.hand_over(later(ENROLLED_AT, minutes=minutes), subject=None)


def _wake(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    desk.wake("ITP-001", later(ENROLLED_AT, days=3))
    queries.due_subjects(desk.store, later(ENROLLED_AT, days=9), 200)
    queries.notices_of(desk.store, "ITP-001")
    queries.attempts_of(desk.store, "ITP-001")


def _tell_of_the_service(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    note_trouble(desk.store, "ITP-001", "cannot be read", ENROLLED_AT)
    for minutes in (0, 10, 11):
        alarms.tell(desk.store, later(ENROLLED_AT, minutes=minutes))
    settle_trouble(desk.store, "ITP-001")
    alarms.tell(desk.store, later(ENROLLED_AT, minutes=20))
    hand_over_messages.is_due(desk.store, desk.protocol, ENROLLED_AT)


@pytest.mark.parametrize("work", [_door, _hand_over, _wake])
def test_no_table_that_grows_is_read_from_end_to_end(sqlite_url: str, study: Study, work: Work) -> None:
    assert _scanned(sqlite_url, study, work) == set()


def test_the_service_finds_its_own_notices_among_all(sqlite_url: str, study: Study) -> None:
    # It looks for the sites among the subjects.
    assert _scanned(sqlite_url, study, _tell_of_the_service) == {"subjects"}


def _scanned(url: str, study: Study, work: Work) -> set[str]:
    desk = Desk.open(url)
    asked: list[tuple[str, Any]] = []
    listen = (desk.store.engine, "before_cursor_execute", lambda *state: asked.append((state[2], state[3])))
    sa.event.listen(*listen)
    work(desk, study)
    sa.event.remove(*listen)
    assert len(asked) > 5
    lines = [line for statement, given in asked for line in _plan(desk, statement, given)]
    desk.store.close()
    return {table for table in GROWING for line in lines if line.startswith(f"SCAN {table}")}


def _plan(desk: Desk, statement: str, given: Any) -> list[str]:
    if not statement.startswith(("SELECT", "UPDATE", "DELETE")):
        return []
    with desk.store.reading() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        return [str(row[-1]) for row in rows]


QUIET, QUEUED = 40, 400


def _hand_over_its_own(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    for minutes in (0, 1, 5):
        desk.hand_over(later(ENROLLED_AT, minutes=minutes), subject="ITP-001")


def _wake_it(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    for days in (3, 6, 9):
        desk.wake("ITP-001", later(ENROLLED_AT, days=days))


@pytest.mark.parametrize("work", [_door, _hand_over_its_own, _wake_it])
def test_a_long_queue_of_others_costs_a_subject_nothing_even_when_the_server_does_not_know_of_it(
    postgresql_url: str, study: Study, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk.open(postgresql_url)
    _enrol_others(desk, range(QUIET))
    for code in queries.all_subjects(desk.store):
        desk.hand_over(later(ENROLLED_AT, minutes=1), subject=code.code)
    # What the server knows of its tables is from quiet times. In an outage and at nine the queue is long.
    with closing(desk.store.engine.raw_connection()) as connection:
        connection.cursor().execute("ANALYZE")
        connection.commit()
    _enrol_others(desk, range(QUIET, QUIET + QUEUED))
    _leave_pending(desk)
    # Plans of seconds ago, those of foreign keys among them, are of the quiet times too.
    monkeypatch.setattr(postgresql, "PLANS_SECONDS", 0.0)
    before = _rows_read(desk)
    work(desk, study)
    assert _rows_read(desk) - before < QUEUED, "rows of other subjects were read"
    desk.store.close()


def _enrol_others(desk: Desk, numbers: range) -> None:
    for number in numbers:
        other = Study(code=f"ITP-{100 + number}")
        other.last_id = 1000 * (number + 1)
        desk.take(other.enrol())


def _leave_pending(desk: Desk) -> None:
    """Let what is queued wait for another try, as when a provider does not answer."""
    tried = sa.select(
        notices.c.key,
        *map(sa.literal, ("0" * 16, "json", "pending", 1)),
        sa.false(),
        sa.literal(later(ENROLLED_AT, days=1), Instant),
    ).where(notices.c.status == "queued")
    columns = ["notice", "recipient", "label", "status", "attempts", "repeated", "next_at"]
    with desk.store.writing() as connection:
        connection.execute(deliveries.insert().from_select(columns, tried))


def _rows_read(desk: Desk) -> int:
    """How many rows of growing tables have been read so far, by the server's own count."""
    for query in ("SELECT pg_stat_force_next_flush()", "SELECT 1"):
        with desk.store.reading() as connection:
            connection.execute(sa.text(query))
    counted = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
    with desk.store.reading() as connection:
        return int(
            connection.scalar(sa.text(f"{counted} WHERE relname = ANY(:tables)"), {"tables": list(GROWING)})
        )
