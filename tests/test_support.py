"""The parts that other tests stand on do what those tests trust them to do."""

import subprocess
import sys
import threading
from functools import partial
from importlib.metadata import version
from types import SimpleNamespace
from typing import cast

import apprise
import httpx
import psycopg
import pytest
import sqlalchemy as sa

from tasks.database.schema import REVISION
from tests.support import Receiver, free_port, wait_until
from tests.support.databases import EmptiedDatabases, migrated_template
from tests.support.ending import EndingWithItsTests
from tests.support.postgres import NAMED_BY, fresh_database, libpq, own_server, postgres_server
from tests.support.prefect_server import PrefectServer

pytestmark = pytest.mark.tooling("shows the means of the tests, and nothing of the service")


def _notify(receiver: Receiver, path: str = "") -> bool:
    sender = apprise.Apprise()
    sender.add(receiver.apprise_url(path) + "?rto=1&cto=1")
    return bool(sender.notify(title="ITP-007", body="Infusion 2 is due"))


def test_waiting_returns_the_first_true_answer() -> None:
    answers = iter([None, 0, "found"])
    assert wait_until(lambda: next(answers), "an answer") == "found"


def test_waiting_in_vain_names_what_it_waited_for() -> None:
    with pytest.raises(AssertionError, match="in vain for: rain"):
        wait_until(lambda: False, "rain", timeout=0.05)


def test_waiting_never_takes_an_error_for_not_yet() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, "an answer")


class _Test:
    """Stands for a collected test, which shares what `shares` names."""

    def __init__(self, nodeid: str, *shares: str) -> None:
        self.nodeid, self.shares = nodeid, shares


def _torn_down(plugin: EndingWithItsTests, test: _Test) -> None:
    tearing_down = plugin.pytest_runtest_teardown(cast("pytest.Item", test))
    next(tearing_down)
    assert next(tearing_down, "over") == "over"


def test_what_tests_share_ends_with_the_last_of_them_and_ends_once() -> None:
    ended: list[str] = []
    tests = [
        _Test("one", "service"),
        _Test("two", "service", "prefect"),
        _Test("three", "prefect"),
        _Test("four"),
    ]
    plugin = EndingWithItsTests(lambda item: cast("_Test", item).shares)
    plugin.pytest_collection_finish(cast("pytest.Session", SimpleNamespace(items=tests)))
    for name in ("service", "prefect"):
        plugin.add(name, partial(ended.append, name))
    seen = []
    for test in tests:
        _torn_down(plugin, test)
        seen.append(list(ended))
    assert seen == [[], ["service"], ["service", "prefect"], ["service", "prefect"]]


def test_what_was_begun_again_after_its_end_is_ended_again() -> None:
    ended: list[str] = []
    only = _Test("only", "service")
    plugin = EndingWithItsTests(lambda item: cast("_Test", item).shares)
    plugin.pytest_collection_finish(cast("pytest.Session", SimpleNamespace(items=[only])))
    for _ in range(2):
        plugin.add("service", partial(ended.append, "service"))
        _torn_down(plugin, only)
    assert ended == ["service", "service"]


def test_a_free_port_can_be_listened_on() -> None:
    subprocess.run(
        [sys.executable, "-c", f"import socket; socket.socket().bind(('127.0.0.1', {free_port()}))"],
        check=True,
    )


def test_the_receiver_records_what_apprise_posts(receiver: Receiver) -> None:
    assert _notify(receiver, "coordinator") is True
    [request] = receiver.at("coordinator")
    assert (request.body["title"], request.body["message"]) == ("ITP-007", "Infusion 2 is due")
    assert receiver.at("sponsor") == []


def test_the_receiver_fails_until_told_to_succeed(receiver: Receiver) -> None:
    receiver.fail(500)
    assert _notify(receiver) is False
    receiver.succeed()
    assert _notify(receiver) is True
    assert len(receiver.wait_for(2)) == 2


def test_a_receiver_that_dies_has_recorded_the_request(receiver: Receiver) -> None:
    receiver.die()
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"http://127.0.0.1:{receiver.port}/", json={})
    assert len(receiver.requests) == 1


def test_a_receiver_that_hangs_answers_when_it_is_let_go(receiver: Receiver) -> None:
    receiver.hang()
    answers: list[bool | None] = []
    sender = threading.Thread(target=lambda: answers.append(_notify_patiently(receiver)))
    sender.start()
    receiver.wait_for(1)
    assert answers == []
    receiver.succeed()
    sender.join(timeout=10)
    assert answers == [True]


def _notify_patiently(receiver: Receiver) -> bool:
    return httpx.post(f"http://127.0.0.1:{receiver.port}/", json={}, timeout=30).is_success


def test_every_test_gets_an_empty_database_of_its_own(empty_database_url: str) -> None:
    engine = sa.create_engine(empty_database_url)
    with engine.begin() as connection:
        assert sa.inspect(connection).get_table_names() == []
        connection.execute(sa.text("CREATE TABLE visit (code TEXT)"))
    engine.dispose()


def test_every_test_gets_a_study_of_its_own_with_nobody_enrolled(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == REVISION
        assert connection.scalar(sa.text("SELECT count(*) FROM subjects")) == 0
    engine.dispose()


def test_a_database_is_dropped_though_it_is_still_in_use(postgres: sa.URL) -> None:
    with fresh_database(postgres) as url:
        engine = sa.create_engine(url)
        connection = engine.connect()
    with pytest.raises(sa.exc.OperationalError):
        connection.execute(sa.text("SELECT 1"))
    connection.invalidate()
    engine.dispose()


def test_a_database_that_is_lent_again_is_as_it_was_at_first(postgres: sa.URL) -> None:
    with migrated_template(postgres) as template:
        databases = EmptiedDatabases(postgres, template)
        with databases.lend() as first, psycopg.connect(libpq(first), autocommit=True) as connection:
            connection.execute("INSERT INTO repairs (what, at) VALUES ('a test was here', '2026-01-05')")
        with databases.lend() as second, psycopg.connect(libpq(second)) as connection:
            assert second == first
            again = "INSERT INTO repairs (what, at) VALUES ('the next one', '2026-01-05') RETURNING id"
            assert connection.execute(again).fetchall() == [(1,)]
            assert connection.execute("SELECT what FROM repairs").fetchall() == [("the next one",)]
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]
        databases.close()


@pytest.mark.parametrize(
    "change", ["DROP TRIGGER {trigger}", "ALTER TABLE subjects ADD COLUMN more text", "CREATE SCHEMA more"]
)
def test_a_database_whose_tables_were_changed_is_not_lent_again(postgres: sa.URL, change: str) -> None:
    with migrated_template(postgres) as template:
        databases = EmptiedDatabases(postgres, template)
        with databases.lend() as first, psycopg.connect(libpq(first), autocommit=True) as connection:
            found = "SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal LIMIT 1"
            trigger, table = connection.execute(found).fetchone() or ("", "")
            connection.execute(change.format(trigger=f"{trigger} ON {table}").encode())
        with databases.lend() as second:
            assert second != first
        databases.close()


def test_a_named_postgresql_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAMED_BY, f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
    with pytest.raises(AssertionError, match="does not answer"), postgres_server():
        pytest.fail("there is no such server")


def test_a_machine_without_postgresql_gets_one_of_its_own() -> None:
    with own_server() as server, fresh_database(server) as url:
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT 1")) == 1
        engine.dispose()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(host=server.host, port=server.port or 0, user="postgres")


def test_the_prefect_server_can_be_stopped_and_started_again(prefect_server: PrefectServer) -> None:
    admin, installed = f"{prefect_server.api_url}/admin/version", version("prefect")
    assert httpx.get(admin).json() == installed
    prefect_server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(admin)
    prefect_server.start()
    assert httpx.get(admin).json() == installed


def test_the_prefect_server_sends_nothing_about_itself(prefect_server: PrefectServer) -> None:
    settings = httpx.get(f"{prefect_server.api_url}/admin/settings").json()
    assert settings["server"]["analytics_enabled"] is False
    assert prefect_server.environment["DO_NOT_TRACK"] == "1"
