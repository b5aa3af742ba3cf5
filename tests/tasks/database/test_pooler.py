"""Behind a pooler that lends a connection for one transaction, the study works as before."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
import sqlalchemy as sa

from itp_events.errors import ItpError
from tasks.database import queries
from tasks.database.store import Store
from tests.support.pooler import Pooler
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-07")

LIMITS = {"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "30s"}


@pytest.fixture
def pooler(postgresql_url: str) -> Iterator[Pooler]:
    with Pooler(sa.make_url(postgresql_url)) as pooler:
        yield pooler


@pytest.fixture
def pooled_url(pooler: Pooler) -> str:
    return pooler.url.render_as_string(hide_password=False)


def settings(connection: sa.Connection) -> dict[str, str]:
    return {name: connection.scalar(sa.text(f"SHOW {name}")) for name in LIMITS}


def test_many_subjects_are_recorded_and_read_side_by_side(pooled_url: str) -> None:
    desk = Desk.open(pooled_url)
    subjects = [Study(code=f"ITP-{number:03}") for number in range(12)]
    for number, subject in enumerate(subjects):
        subject.last_id = 100 * number
    with closing(desk.store), ThreadPoolExecutor(6) as doors:
        answers = doors.map(
            lambda subject: desk.take(subject.enrol(), subject.done("INF1", "2026-01-05")), subjects
        )
        assert {each.status for answer in answers for each in answer} == {"recorded"}
        rows = doors.map(lambda _: queries.all_subjects(desk.store), range(20))
        assert {len(row) for row in rows} == {12}


def test_each_transaction_has_its_limits_and_leaves_none_to_others(pooled_url: str) -> None:
    with closing(Store.open(pooled_url)) as store:
        for _ in range(4):
            with store.reading() as connection:
                assert settings(connection) == LIMITS
        with store.reading(long=True) as connection:
            assert settings(connection) == LIMITS | {"statement_timeout": "1min"}
    for _ in range(4):
        with psycopg.connect(pooled_url.replace("+psycopg", "")) as other:
            other.prepare_threshold = None
            assert other.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_a_lock_that_somebody_keeps_is_given_up_behind_a_pooler_too(pooled_url: str, study: Study) -> None:
    desk = Desk.open(pooled_url)
    desk.take(study.enrol())
    with closing(desk.store), desk.store.writing() as holding:
        holding.execute(sa.text("SELECT 1 FROM subjects WHERE code = 'ITP-001' FOR UPDATE"))
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            desk.take(study.done("INF1", "2026-01-05"))


def test_an_address_with_startup_options_is_refused_in_one_line(pooled_url: str) -> None:
    with pytest.raises(ItpError, match=r"unsupported startup parameter: options \(see ITP_DATABASE_URL\)$"):
        Store.open(f"{pooled_url}?options=-c%20statement_timeout%3D1s")


def test_statements_are_not_prepared_whatever_the_address_says(pooled_url: str) -> None:
    with closing(Store.open(f"{pooled_url}?prepare_threshold=0")) as store:
        for _ in range(10):
            assert queries.all_subjects(store) == []
        # With a value: without one nothing is prepared. Each time the server's other connection answers.
        for _ in range(10):
            assert queries.subject(store, "ITP-001") is None


def test_the_pooler_of_these_tests_forgets_what_a_session_keeps(pooler: Pooler) -> None:
    url = pooler.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = '7s'")
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("7s",)
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            connection.execute("SELECT 1", prepare=True)
