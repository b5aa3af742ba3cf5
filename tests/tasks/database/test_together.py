"""Statements that are sent together: their errors are those of statements sent one by one."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from tasks.database.compiled import Compiled, Question, ask_in_turn, inserting
from tasks.database.schema import heartbeats, instant_text
from tasks.database.store import NO_ANSWER, Store
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-07")

AT = datetime(2026, 1, 5, tzinfo=UTC)


BEAT = Compiled(heartbeats.insert())
TOUCH = Compiled(heartbeats.update())
SEEN = Compiled(sa.select(heartbeats.c.part).order_by(heartbeats.c.part))


def beat(name: str) -> Question:
    return BEAT, {"part": name, "at": instant_text(AT)}


def names(store: Store) -> list[str]:
    with store.reading() as connection:
        return sorted(connection.scalars(sa.select(heartbeats.c.part)))


def beat_together(store: Store, *names: str) -> None:
    with store.writing() as connection:
        ask_in_turn(connection, [beat(name) for name in names])


def test_all_of_them_are_kept_and_what_follows_sees_them(desk: Desk) -> None:
    with desk.store.writing() as connection:
        found = ask_in_turn(connection, [beat("one"), (SEEN, {}), beat("two"), (SEEN, {})])
        assert found == [[], [{"part": "one"}], [], [{"part": "one"}, {"part": "two"}]]
        assert len(connection.execute(sa.select(heartbeats)).all()) == 2
    assert names(desk.store) == ["one", "two"]


@pytest.mark.parametrize("count", [0, 1, 2, 6, 20, 47])
def test_rows_are_inserted_in_their_order_by_few_statements(desk: Desk, count: int) -> None:
    rows = [{"part": f"{number:03}", "at": instant_text(AT)} for number in range(count)]
    statements = inserting(heartbeats, rows, [heartbeats.c.part])
    assert len(statements) <= count // 20 + 3
    with desk.store.writing() as connection:
        given = ask_in_turn(connection, statements)
    assert [row["part"] for of_one in given for row in of_one] == [row["part"] for row in rows]
    assert names(desk.store) == [row["part"] for row in rows]


def test_nothing_is_asked_without_a_statement(desk: Desk) -> None:
    with desk.store.writing() as connection:
        assert ask_in_turn(connection, []) == []


def test_one_that_is_refused_undoes_the_transaction_and_leaves_the_connection_usable(desk: Desk) -> None:
    with pytest.raises(IntegrityError):
        beat_together(desk.store, "one", "one", "two")
    assert names(desk.store) == []
    beat_together(desk.store, "three")
    assert names(desk.store) == ["three"]


def test_a_step_that_lost_a_race_is_repeated(desk: Desk) -> None:
    tried: list[str] = []

    def step(connection: sa.Connection) -> None:
        tried.append("once" if not tried else "again")
        ask_in_turn(connection, [beat("mine")] * (2 if tried == ["once"] else 1))

    desk.store.write(step)
    assert (tried, names(desk.store)) == (["once", "again"], ["mine"])


def test_an_error_of_the_program_behind_them_is_raised_as_it_is(desk: Desk) -> None:
    def fail() -> None:
        with desk.store.writing() as connection:
            ask_in_turn(connection, [beat("one")])
            assert 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(desk.store) == []


def test_a_server_that_goes_away_among_them_is_a_database_that_does_not_answer(postgresql_url: str) -> None:
    store = Store.open(postgresql_url)
    end = sa.text("SELECT pg_terminate_backend(:pid)")

    def be_cut_off() -> None:
        with store.writing() as connection:
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            with store.reading() as other:
                assert other.scalar(end, {"pid": pid})
            ask_in_turn(connection, [beat("one")])

    with pytest.raises(NO_ANSWER):
        be_cut_off()
    beat_together(store, "two")
    assert names(store) == ["two"]
    store.close()


def test_a_row_that_stays_locked_is_waited_for_no_longer_than_by_other_statements(
    postgresql_url: str,
) -> None:
    store = Store.open(postgresql_url)
    beat_together(store, "one")
    with store.writing() as other:
        other.execute(heartbeats.update().values(at=AT))
        with pytest.raises(OperationalError, match="lock timeout"):
            touch_together(store)
    store.close()


def touch_together(store: Store) -> None:
    with store.writing() as connection:
        ask_in_turn(connection, [(TOUCH, {"at": instant_text(AT)}), beat("two")])
