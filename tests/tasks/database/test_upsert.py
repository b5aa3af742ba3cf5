from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tasks.board import keeping, reading
from tasks.board.reading import Shown
from tasks.board.story import story
from tasks.database import monitoring, prefect_notes, schema, troubles
from tasks.database.store import Store
from tasks.database.troubles import note_trouble
from tasks.database.upsert import upsert
from tests.support.study import Study
from tests.support.waiting import wait_until
from tests.tasks.database.test_record import waiting_for_a_lock
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("LOG-07")

NOW = datetime(2026, 1, 5, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def _beat(store: Store) -> None:
    monitoring.beat(store, "round", LATER)


def _trouble(store: Store) -> None:
    note_trouble(store, "round", "the second of two", LATER)


def _note(store: Store) -> None:
    prefect_notes.keep_note(store, "round", {"by": "the second"})


def _artifact(store: Store) -> None:
    keeping.remember_artifact(store, "round", "the second")


FIRST: dict[Callable[[Store], None], tuple[sa.Table, dict[str, str], dict[str, object]]] = {
    _beat: (schema.heartbeats, {"part": "round"}, {"at": NOW}),
    _trouble: (schema.troubles, {"about": "round"}, {"what": "the first of two", "since": NOW}),
    _note: (schema.prefect_notes, {"key": "round"}, {"body": {"by": "the first"}}),
    _artifact: (schema.shown_artifacts, {"key": "round"}, {"id": "the first"}),
}


@pytest.mark.parametrize("second", FIRST)
def test_two_who_write_the_same_new_row_at_once_both_succeed(
    desk: Desk, second: Callable[[Store], None]
) -> None:
    table, key, row = FIRST[second]
    with ThreadPoolExecutor(1) as pool:
        with desk.store.writing() as connection:
            connection.execute(table.insert(), {**key, **row})
            running = pool.submit(second, desk.store)
            if desk.store.engine.dialect.name == "postgresql":
                wait_until(lambda: waiting_for_a_lock(desk), "the second to wait for the first")
        running.result()
    with desk.store.reading() as connection:
        [found] = connection.execute(sa.select(table)).mappings()
    assert {name: found[name] for name in row} != row


def test_a_row_that_is_there_keeps_what_is_written_once(desk: Desk) -> None:
    for what, at in (("the first", NOW), ("the second", LATER)):
        with desk.store.writing() as connection:
            upsert(connection, schema.troubles, {"about": "round"}, {"what": what}, {"since": at})
    assert troubles.open_troubles(desk.store) == [troubles.Trouble("round", "the second", NOW)]


def test_a_card_is_kept_in_place_of_the_one_before(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    for tag in ("the first", "the second"):
        told = story(desk.store, desk.protocol, "ITP-001", ENROLLED_AT)
        keeping.keep(desk.store, told, Shown([tag]), ENROLLED_AT)
    kept = reading.kept(desk.store, "ITP-001")
    assert kept is not None
    assert kept.shown.tags == ["the second"]


def test_a_value_may_be_an_expression_of_the_database_such_as_its_clock(desk: Desk) -> None:
    for instant in (NOW, LATER):
        with desk.store.writing() as connection:
            by_the_database = sa.func.coalesce(sa.null(), sa.literal(instant, schema.Instant()))
            upsert(connection, schema.heartbeats, {"part": "round"}, {"at": by_the_database})
    with desk.store.reading() as connection:
        assert list(connection.scalars(sa.select(schema.heartbeats.c.at))) == [LATER]
