"""Statements that go past SQLAlchemy's execution store and find what SQLAlchemy's own would."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.database.compiled import Compiled, ask_in_turn
from tasks.database.queries import subject_called, subject_in
from tasks.database.schema import new, notices, screening_log, stored, subjects
from tasks.database.store import Store
from tasks.hashing.rows import hash_of
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-01")

# PostgreSQL holds no NUL, and nothing holds half a letter.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
INSTANTS = st.datetimes(
    min_value=datetime.fromisoformat("2000-01-01"),
    max_value=datetime.fromisoformat("2100-01-01"),
    timezones=st.just(UTC),
)
SUBJECTS = st.fixed_dictionaries(
    {
        "code": TEXTS,
        "site": TEXTS,
        "protocol_version": TEXTS,
        "seq": st.integers(0, 2**31 - 1),
        "state": TEXTS,
        "message": TEXTS,
        "status": TEXTS,
        "tags": st.lists(TEXTS, max_size=3),
        "wake_at": st.none() | INSTANTS,
        "exited": st.booleans(),
        "enrolled_at": INSTANTS,
        "advanced_at": INSTANTS,
        "head": st.none() | TEXTS,
    }
)
NOTICES = st.fixed_dictionaries(
    {
        "key": TEXTS,
        "subject": st.none(),
        "kind": TEXTS,
        "visit": st.none() | TEXTS,
        "step": TEXTS,
        "audience": TEXTS,
        "due": INSTANTS,
        "until": st.none() | INSTANTS,
        "facts": st.dictionaries(TEXTS, TEXTS | st.integers(-9, 9) | st.lists(TEXTS, max_size=2), max_size=3),
        "queued_at": INSTANTS,
        "status": st.just("queued"),
    }
)
INSERTS = {"notices": Compiled(notices.insert()), "subjects": Compiled(subjects.insert())}


def both_ways(
    store: Store, table: sa.Table, row: dict[str, Any], values: dict[str, object]
) -> tuple[list[Any], list[Any]]:
    """The row as it stands in the database, inserted past SQLAlchemy and through it."""
    stand = []
    for compiled in (True, False):
        with store.writing() as connection:
            if compiled:
                ask_in_turn(connection, [(INSERTS[table.name], values)])
            else:
                connection.execute(table.insert(), row)
            # As text: what the columns hold, and not what is made of it.
            columns = [sa.cast(column, sa.Text) for column in table.columns]
            stand.append(list(connection.execute(sa.select(*columns)).one()))
            connection.execute(table.delete())
    return stand[0], stand[1]


@pytest.mark.parametrize("table", [subjects, notices], ids=str)
def test_a_row_stands_as_sqlalchemy_would_have_stored_it(database_url: str, table: sa.Table) -> None:
    with closing(Store.open(database_url)) as store:

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(row=SUBJECTS if table is subjects else NOTICES)
        def check(row: dict[str, Any]) -> None:
            if table is subjects:
                row["hash"] = hash_of(table.name, stored(table, row))
                values = stored(table, row)
            else:
                values = new(table, row)
            past, through = both_ways(store, table, row, values)
            assert past == through

        check()


def test_a_subject_under_its_lock_is_the_one_that_is_read_without(desk: Desk, study: Study) -> None:
    desk.take(study.enrol(), study.done("INF1", "2026-01-05"))
    with desk.store.writing() as connection:
        row = subject_in(connection, "ITP-001")
        assert row is not None
        assert row.tags
        assert subject_in(connection, "ITP-001", lock=True) == row
        assert subject_called(connection, "itp-001", lock=True) == row
        assert subject_called(connection, "itp-001") == row
        assert subject_called(connection, "ITP-002", lock=True) is None
        assert type(subject_in(connection, "ITP-001", lock=True).exited) is bool  # type: ignore[union-attr]


def test_a_damaged_value_leaves_the_row_readable_under_its_lock(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    with desk.store.writing() as connection:
        connection.execute(sa.text("UPDATE subjects SET wake_at = 'soon', tags = 'null'"))
        row = subject_in(connection, "ITP-001", lock=True)
    assert row is not None
    assert row.wake_at is None
    assert row.tags == ()


def test_a_statement_about_a_list_is_refused_when_it_is_put_into_words(desk: Desk) -> None:
    query = Compiled(sa.select(screening_log).where(screening_log.c.id.in_(["a", "b"])))
    with desk.store.reading() as connection, pytest.raises(AssertionError, match="a list has no text"):
        query.execute(connection, {})
