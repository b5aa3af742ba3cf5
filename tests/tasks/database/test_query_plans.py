"""What a door, a wake and a hand-over cost does not grow with what others have in the log and the outbox."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.database import queries
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


@pytest.mark.parametrize("work", [_door, _hand_over, _wake])
def test_no_table_that_grows_is_read_from_end_to_end(sqlite_url: str, study: Study, work: Work) -> None:
    desk = Desk.open(sqlite_url)
    asked: list[tuple[str, Any]] = []
    listen = (desk.store.engine, "before_cursor_execute", lambda *state: asked.append((state[2], state[3])))
    sa.event.listen(*listen)
    work(desk, study)
    sa.event.remove(*listen)
    assert len(asked) > 5
    scans = [line for statement, given in asked for line in _plan(desk, statement, given) if _is_scan(line)]
    desk.store.close()
    assert scans == []


def _plan(desk: Desk, statement: str, given: Any) -> list[str]:
    if not statement.startswith(("SELECT", "UPDATE", "DELETE")):
        return []
    with desk.store.reading() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        return [str(row[-1]) for row in rows]


def _is_scan(line: str) -> bool:
    return any(line.startswith(f"SCAN {table}") for table in GROWING)
