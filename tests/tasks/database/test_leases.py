"""Leases on PostgreSQL: one holder at a time, for as long as it gives signs of life."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from tasks.database import leases
from tasks.database.instance import Instance
from tasks.database.store import Store
from tests.support.signs import fall_silent
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-11")

# The clocks of the processes may differ from that of the database's server by hours.
WALL = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    store = Store.open(postgresql_url)
    yield store
    store.close()


def living(store: Store) -> Instance:
    instance = Instance()
    assert instance.give_sign(store, WALL)
    return instance


def take(store: Store, instance: Instance, *names: str) -> set[str]:
    return store.write(lambda connection: leases.take(connection, instance.id, names))


def test_of_two_threads_that_give_a_sign_at_once_neither_takes_the_process_for_silent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the steps of a service that begin in the same moment would keep each other from working."""
    instance, write, others = Instance(), store.write, list[Future[bool]]()

    def meanwhile(step: Callable[[sa.Connection], None]) -> None:
        if not others:
            others.append(threads.submit(instance.give_sign, store, WALL))
            # It answers in this moment, or it waits for the sign that is given here.
            wait(others, 0.1)
        write(step)

    monkeypatch.setattr(store, "write", meanwhile)
    with ThreadPoolExecutor(1) as threads:
        assert instance.give_sign(store, WALL)
    assert others[0].result()


def test_of_two_processes_the_first_has_a_lease_until_it_gives_it_back(store: Store) -> None:
    one, two = living(store), living(store)
    assert take(store, one, "a", "b") == {"a", "b"}
    assert take(store, two, "b", "c") == {"c"}
    assert take(store, one, "a", "c") == {"a"}
    store.write(lambda connection: leases.give_back(connection, one.id, ["a"]))
    assert take(store, two, "a", "b") == {"a"}
    store.write(lambda connection: leases.give_back(connection, one.id))
    assert take(store, two, "b") == {"b"}


def test_a_lease_is_free_when_its_holder_has_given_no_sign_for_five_seconds(store: Store) -> None:
    one, two = living(store), living(store)
    take(store, one, "a")
    fall_silent(store, one.id, 4)
    assert take(store, two, "a") == set()
    fall_silent(store, one.id, 1.1)
    with store.reading() as connection:
        assert leases.holders(connection, ["a"], WALL) == {}
    assert take(store, two, "a") == {"a"}
    with store.reading() as connection:
        assert leases.holders(connection, ["a"], WALL) == {"a": two.id}


def test_of_two_leases_the_dead_holders_is_free_and_the_living_ones_is_not(store: Store) -> None:
    dead, living_one, two = living(store), living(store), living(store)
    take(store, dead, "a")
    take(store, living_one, "b")
    fall_silent(store, dead.id, 5.1)
    assert take(store, two, "a", "b") == {"a"}


def test_many_that_take_the_same_at_once_get_each_lease_once(store: Store) -> None:
    names = [f"subject ITP-{number:03}" for number in range(40)]
    instances = [living(store) for _ in range(6)]
    got: list[set[str]] = []
    begin = threading.Barrier(len(instances))

    def work(instance: Instance) -> None:
        begin.wait()
        got.append(take(store, instance, *names))

    threads = [threading.Thread(target=work, args=(each,)) for each in instances]
    for each in threads:
        each.start()
    wait_until(lambda: len(got) == len(instances), "everybody to have tried")
    assert sorted(name for each in got for name in each) == names
