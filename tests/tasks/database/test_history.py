"""What is read behind a subject's lock is what two questions one after the other would find."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from itp_events.events import EventKey
from tasks.database import history
from tasks.database.compiled import Compiled
from tasks.database.history import SubjectHistory, Wanted
from tasks.database.queries import SubjectRow, subject_called
from tests.support.damage import damage_log
from tests.support.study import Study
from tests.support.waiting import wait_until
from tests.tasks.database.test_record import waiting_for_a_lock
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-01")

BARE = Compiled(sa.select((sa.bindparam("of", type_=sa.Integer) + 0).label("said")))
Found = tuple[SubjectRow | None, SubjectHistory]


def one_after_the_other(connection: sa.Connection, code: str, keys: set[EventKey]) -> Found:
    """The row under its lock, then the history of the subject as it is enrolled."""
    row = subject_called(connection, code, lock=True)
    return row, history.read(connection, row.code if row else code, keys)


def of_damaged(found: Found) -> dict[EventKey, str]:
    """What is said of the lines of other logs that cannot be read; two errors are never equal."""
    return {key: str(problem) for key, problem in found[1].damaged.items()}


@pytest.mark.parametrize("code", ["ITP-001", "itp-001", "ITP-003"])
@pytest.mark.parametrize("asked", [0, 1, 2, 3])
def test_both_questions_at_once_find_what_they_find_one_after_the_other(
    desk: Desk, code: str, asked: int
) -> None:
    one, other = Study(), Study(code="ITP-002")
    other.last_id = 100
    desk.take(one.enrol(), one.done("INF1", "2026-01-05"))
    of_another = [other.enrol(), other.done("INF1", "2026-01-05")]
    desk.take(*of_another)
    damage_log(desk.store, "ITP-002", 1, "not json")
    keys = {
        event.key for event in [*of_another, one.booked("INF2", "2026-01-12", at="2026-01-05 12:00")][:asked]
    }
    with desk.store.writing() as connection:
        expected = one_after_the_other(connection, code, keys)
        [found], beside = history.lock_and_read(
            connection, [Wanted(code, keys)], [(BARE, {"of": 7})], in_any_case=True
        )
    assert found == expected
    assert beside == [[{"said": 7}]]
    assert of_damaged(found) == of_damaged(expected)
    assert bool(found[1].history) is (code != "ITP-003")
    assert len(found[1].elsewhere) + len(found[1].damaged) == min(asked, 2)


_ANOTHER_LINE = sa.text(
    "INSERT INTO events (subject, seq, source, id, type, time, recorded_at, body, hash) "
    "SELECT subject, 99, source, 'another', type, time, recorded_at, body, hash FROM events WHERE seq = 1"
)


def test_the_history_is_the_one_that_whoever_held_the_lock_has_left(
    postgresql_url: str, study: Study
) -> None:
    desk = Desk.open(postgresql_url)
    desk.take(study.enrol())

    def read() -> Found:
        with desk.store.writing() as connection:
            [found], _ = history.lock_and_read(connection, [Wanted(study.code)])
            return found

    _, before = read()
    with ThreadPoolExecutor(1) as pool:
        with desk.store.writing() as holder:
            subject_called(holder, study.code, lock=True)
            reading = pool.submit(read)
            wait_until(lambda: waiting_for_a_lock(desk) == 1, "the reader to wait for the row")
            holder.execute(sa.text("UPDATE subjects SET state = 'as the holder left it'"))
            holder.execute(_ANOTHER_LINE)
        row, after = reading.result()
    assert row is not None
    assert row.state == "as the holder left it"
    assert len(after.history) == len(before.history) + 1
    desk.store.close()
