"""What all processes of a study remember of REDCap together."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tasks.database.redcap import (
    Book,
    Origin,
    end_turn,
    origins,
    read_book,
    remember_origin,
    take_turn,
    with_book,
)
from tasks.database.store import Store

pytestmark = pytest.mark.requirement("API-03")

NOW = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store.open(database_url)
    yield store
    store.close()


@pytest.fixture
def other(store: Store) -> Iterator[Store]:
    """The same database, as another process opens it."""
    other = store.apart(4)
    yield other
    other.close()


def _count(book: Book) -> int:
    book["count"] = book.get("count", 0) + 1
    return int(book["count"])


def test_of_many_who_write_in_the_book_at_once_nobody_s_line_is_lost(store: Store, other: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda place: with_book((store, other)[place % 2], "a", _count), range(40)))
    assert sorted(seen) == list(range(1, 41))
    assert read_book(store, "a") == {"count": 40}
    assert read_book(store, "b") == {}


def test_what_a_step_wrote_before_it_failed_is_not_in_the_book(store: Store) -> None:
    def fail(book: Book) -> None:
        book["count"] = 7
        raise LookupError

    with_book(store, "a", _count)
    with pytest.raises(LookupError):
        with_book(store, "a", fail)
    assert read_book(store, "a") == {"count": 1}


def test_one_of_many_takes_the_turn_and_the_next_one_when_it_is_given_back(
    store: Store, other: Store
) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(
            pool.map(
                lambda place: take_turn((store, other)[place % 2], "form", f"{place}", NOW, NOW + MINUTE),
                range(16),
            )
        )
    assert sum(taken) == 1
    end_turn(other, "form", "somebody who has it not")
    assert not take_turn(store, "form", "next", NOW, NOW + MINUTE)
    end_turn(other, "form", f"{taken.index(True)}")
    assert take_turn(store, "form", "next", NOW, NOW + MINUTE)
    assert take_turn(store, "another form", "next", NOW, NOW + MINUTE)


def test_a_turn_that_nobody_gives_back_ends_in_time(store: Store, other: Store) -> None:
    assert take_turn(store, "form", "one that died", NOW, NOW + MINUTE)
    assert not take_turn(other, "form", "next", NOW + MINUTE / 2, NOW + 2 * MINUTE)
    assert take_turn(other, "form", "next", NOW + MINUTE, NOW + 2 * MINUTE)


def test_the_form_that_stated_an_event_is_remembered(store: Store) -> None:
    remember_origin(store, ("redcap", "a#1"), Origin("7", "42/e/visit/1"))
    remember_origin(store, ("redcap", "a#1"), Origin("007", "42/e/visit/1"))
    assert origins(store, "redcap", ["a#1", "a#2"]) == {"a#1": Origin("007", "42/e/visit/1")}
    assert origins(store, "other", ["a#1"]) == {}
