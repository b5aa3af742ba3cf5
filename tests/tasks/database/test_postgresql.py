"""Nothing waits for ever on PostgreSQL: not on a lock, a statement, or a server that fell silent."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from itp_events.errors import BadInput
from tasks.database import postgresql, queries, repairs, turns
from tasks.database.monitoring import server_clock
from tasks.database.store import NO_ANSWER, Store
from tasks.delivery import deliver
from tasks.limits import TRANSACTIONS_AT_WORK
from tests.support.postgres import fresh_database
from tests.support.proxy import Proxy
from tests.support.study import Study
from tests.support.waiting import wait_until
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("LOG-07")


@pytest.fixture
def desk(postgresql_url: str) -> Iterator[Desk]:
    desk = Desk.open(postgresql_url)
    yield desk
    desk.store.close()


def setting(connection: sa.Connection, name: str) -> str:
    found: str = connection.scalar(sa.text(f"SHOW {name}"))
    return found


def fall_silent(proxy: Proxy, connection: sa.Connection) -> None:
    connection.execute(sa.text("SELECT 1"))
    proxy.silence()
    connection.execute(sa.text("SELECT 1"))


@pytest.mark.requirement("RUN-08")
def test_a_row_that_somebody_keeps_locked_is_given_up_and_nobody_else_waits(desk: Desk, study: Study) -> None:
    other = Study(code="ITP-002")
    other.last_id = 500
    desk.take(study.enrol())
    desk.take(other.enrol())
    apart = desk.store.apart(1)
    with apart.writing() as holding:
        holding.execute(sa.text("SELECT 1 FROM subjects WHERE code = 'ITP-001' FOR UPDATE"))
        began = time.monotonic()
        with pytest.raises(OperationalError, match="lock timeout"):
            desk.take(study.done("INF1", "2026-01-05"))
        assert time.monotonic() - began < 2 * postgresql.LOCK_SECONDS
        [answer] = desk.take(other.done("INF1", "2026-01-05"))
        assert answer.status == "recorded"
    apart.close()


def test_repetitions_of_a_request_do_not_queue_behind_each_other(desk: Desk, study: Study) -> None:
    other = Study(code="ITP-002")
    other.last_id = 500
    desk.take(study.enrol())
    desk.take(other.enrol())
    done = study.done("INF1", "2026-01-05")
    apart = desk.store.apart(1)
    with ThreadPoolExecutor(60) as senders, apart.writing() as holding:
        holding.execute(sa.text("SELECT 1 FROM subjects WHERE code = 'ITP-001' FOR UPDATE"))
        began = time.monotonic()
        repeated = [senders.submit(desk.take, done) for _ in range(60)]
        wait_until(lambda: sum(each.done() for each in repeated) > 50, "most to be told to come again")
        [answer] = desk.take(other.done("INF1", "2026-01-05"))
        assert answer.status == "recorded"
        errors = [each.exception() for each in repeated]
        assert all(isinstance(error, NO_ANSWER) for error in errors), errors
        assert time.monotonic() - began < 10
    apart.close()


def test_connections_that_fell_silent_are_left_within_seconds(postgresql_url: str, study: Study) -> None:
    url = sa.make_url(postgresql_url)
    with Proxy(url.port or 5432) as proxy:
        store = Store.open(url.set(port=proxy.port).render_as_string(hide_password=False))
        repairs.note_repair(store, "before", ENROLLED_AT)
        assert proxy.silence()
        began = time.monotonic()
        with pytest.raises(OperationalError):
            store.write(partial(fall_silent, proxy))
        repairs.note_repair(store, "after", ENROLLED_AT)
        assert time.monotonic() - began < 20
        assert [repair.what for repair in repairs.latest_repairs(store)] == ["after", "before"]
        store.close()


def test_statements_about_the_whole_study_may_take_longer_and_migrations_as_long_as_they_need(
    desk: Desk,
) -> None:
    with desk.store.reading() as connection:
        assert setting(connection, "statement_timeout") == "5s"
        assert setting(connection, "lock_timeout") == "2s"
        assert setting(connection, "idle_in_transaction_session_timeout") == "30s"
    with desk.store.reading(long=True) as connection:
        assert setting(connection, "statement_timeout") == "1min"
    with desk.store.migrating() as connection:
        assert [setting(connection, name) for name in ("statement_timeout", "lock_timeout")] == ["0", "0"]
    with desk.store.reading() as connection:
        assert setting(connection, "statement_timeout") == "5s"
        patience = getattr(connection.connection.dbapi_connection, "patience", None)
        assert patience == postgresql.BoundedConnection.patience


def test_few_transactions_of_a_burst_work_side_by_side(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUICK_SECONDS", 60.0)
    at_work, most = [], []

    def step(connection: sa.Connection) -> None:
        at_work.append(connection)
        most.append(len(at_work))
        connection.execute(sa.text("SELECT pg_sleep(0.01)"))
        at_work.remove(connection)

    with ThreadPoolExecutor(20) as senders:
        list(senders.map(lambda _: desk.store.write(step), range(60)))
    assert max(most) == TRANSACTIONS_AT_WORK


def test_transactions_that_wait_for_a_row_let_others_work(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    apart, begun = desk.store.apart(1), []

    def step(connection: sa.Connection) -> None:
        begun.append(connection)
        connection.execute(sa.text("SELECT 1 FROM subjects WHERE code = 'ITP-001' FOR UPDATE"))

    with ThreadPoolExecutor(TRANSACTIONS_AT_WORK) as senders:
        with apart.writing() as holding:
            step(holding)
            stuck = [senders.submit(desk.store.write, step) for _ in range(TRANSACTIONS_AT_WORK)]
            wait_until(lambda: len(begun) > TRANSACTIONS_AT_WORK, "all places to be taken")
            desk.store.write(lambda connection: connection.execute(sa.text("SELECT 1")))
            assert not any(each.done() for each in stuck), "the other transaction waited for the row too"
        assert not any(each.exception(10) for each in stuck)
    apart.close()


def test_a_pool_of_its_own_serves_while_the_other_is_used_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.database.store.POOL_SECONDS", 0.1)
    doors, timers = desk.store.apart(1), desk.store.apart(1)
    with doors.reading(), doors.reading():
        with pytest.raises(NO_ANSWER):
            queries.all_subjects(doors)
        assert queries.all_subjects(timers) == []
    doors.close()
    timers.close()


def test_the_server_tells_the_time(desk: Desk) -> None:
    one, other = (server_clock(desk.store) for _ in range(2))
    assert one < other < one + timedelta(minutes=1)
    assert one.tzinfo is not None


def test_what_the_timers_ask_is_given_up_within_seconds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    reading = Store.reading

    def noted(store: Store, *, long: bool = False) -> AbstractContextManager[sa.Connection]:
        asked.append(long)
        return reading(store, long=long)

    monkeypatch.setattr(Store, "reading", noted)
    queries.due_subjects(desk.store, ENROLLED_AT, 10)
    deliver.waiting(desk.store, ENROLLED_AT, ENROLLED_AT)
    assert asked
    assert not any(asked)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_CN", "WIN1251"])
def test_a_database_in_another_encoding_is_refused_with_the_way_to_make_one(
    postgres: sa.URL, encoding: str
) -> None:
    with fresh_database(postgres, encoding) as url, pytest.raises(BadInput) as refused:
        Store.open(url.render_as_string(hide_password=False))
    assert str(refused.value) == (
        f"ITP_DATABASE_URL: the database {url.database} is in {encoding}, which cannot hold every text; name "
        "another one, made by: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
    )


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_CN"])
def test_a_client_that_should_speak_another_encoding_loses_no_letter(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    _set_by_default(postgresql_url, f"client_encoding = '{encoding}'")
    with closing(Store.open(f"{postgresql_url}?client_encoding={encoding}")) as store:
        repairs.note_repair(store, "鼻出血, é, 🩸", ENROLLED_AT)
        assert [repair.what for repair in repairs.latest_repairs(store)] == ["鼻出血, é, 🩸"]


@pytest.mark.parametrize(
    "default", ["datestyle = 'German'", "datestyle = 'SQL, DMY'", "timezone = 'Asia/Kolkata'"]
)
def test_the_server_tells_the_time_whatever_it_writes_by_default(postgresql_url: str, default: str) -> None:
    _set_by_default(postgresql_url, default)
    with closing(Store.open(postgresql_url)) as store:
        shown = server_clock(store)
    assert abs(shown - datetime.now(UTC)) < timedelta(minutes=5)  # noqa: TID251 - both clocks are this machine's


def _set_by_default(url: str, setting: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {sa.make_url(url).database} SET {setting}".encode())


def test_what_is_executed_often_is_prepared_where_no_pooler_stands_between(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    for _ in range(5):
        desk.take(study.contact("2026-01-05", reached=True))
    with desk.store.writing() as connection:
        prepared = set(connection.scalars(sa.text("SELECT statement FROM pg_prepared_statements")))
    assert any("FROM events" in statement for statement in prepared)
    assert not any("BEGIN" in statement for statement in prepared)


def test_a_connection_that_the_server_has_closed_meanwhile_is_replaced_and_nobody_notices(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol())
    others = (
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = {} AND pid <> {}"
    )
    name = f"'{desk.store.engine.url.database}'"
    with psycopg.connect(
        desk.store.engine.url.set(drivername="postgresql").render_as_string(False)
    ) as server:
        ended = server.execute(others.format(name, "pg_backend_pid()").encode()).fetchone()
    assert ended is not None
    assert ended[0] > 0
    [answer] = desk.take(study.done("INF1", "2026-01-05"))
    assert answer.status == "recorded"


def test_a_plan_made_for_an_empty_table_is_not_kept_while_it_grows(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = desk.store.apart(1)
    monkeypatch.setattr(postgresql, "PLANS_SECONDS", 3600.0)
    with one.writing() as connection:
        connection.execute(sa.text("CREATE TEMPORARY TABLE grown (id int PRIMARY KEY)"))
        connection.execute(sa.text("ANALYZE grown"))
    for _ in range(12):
        assert read_by_key(one)[0] == []
    with one.writing() as connection:
        connection.execute(sa.text("INSERT INTO grown SELECT generate_series(1, 20000)"))
    assert read_by_key(one) == ([7], "Seq Scan")
    monkeypatch.setattr(postgresql, "PLANS_SECONDS", 0.0)
    assert read_by_key(one) == ([7], "Index Only Scan")
    one.close()


def read_by_key(store: Store) -> tuple[list[int], str]:
    """What is found of one key by a statement that is prepared, and how the server finds it."""
    with store.reading() as connection:
        found = list(connection.scalars(sa.text("SELECT id FROM grown WHERE id = :id"), {"id": 7}))
        of_it = "SELECT name FROM pg_prepared_statements WHERE statement LIKE 'SELECT id FROM grown%'"
        name = connection.scalar(sa.text(of_it))
        if name is None:
            return found, ""
        plan = str(connection.scalar(sa.text(f"EXPLAIN EXECUTE {name}(7)")))
    return found, plan.partition(" using")[0].partition(" on")[0]
