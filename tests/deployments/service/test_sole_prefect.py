"""Two Prefects on one study are refused; several services with one Prefect are not."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployments.service.sole_prefect import FRESH, OtherPrefect, SolePrefect, name_of
from tasks.database.monitoring import shared_clock
from tasks.database.store import Store

pytestmark = pytest.mark.requirement("RUN-04")

NOW = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)
MINE, OTHER = "http://127.0.0.1:4200/api", "http://127.0.0.1:4201/api"


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store.open(database_url)
    yield store
    store.close()


def sole_prefect(store: Store, api: str = MINE, home: str = "one") -> SolePrefect:
    return SolePrefect.of(store, api, Path(f"/{home}"))


def test_another_prefect_is_refused_while_a_service_is_at_work(store: Store) -> None:
    sole_prefect(store).hold(NOW)
    with pytest.raises(OtherPrefect, match=r"Prefect at \S+:4200 \(seen 9 s ago\): set PREFECT_API_URL"):
        sole_prefect(store, OTHER, "two").hold(NOW + timedelta(seconds=9))
    sole_prefect(store).hold(NOW + timedelta(seconds=10))


def test_the_same_prefect_serves_several_services(store: Store) -> None:
    sole_prefect(store).hold(NOW)
    sole_prefect(store, home="two").hold(NOW)
    sole_prefect(store).hold(NOW)


def test_several_servers_of_one_prefect_are_known_by_its_pool_whatever_their_addresses(store: Store) -> None:
    """On two machines each service names the server beside it, and both servers have one database."""
    sole_prefect(store).hold(NOW, "pool-1")
    sole_prefect(store, OTHER, "two").hold(NOW, "pool-1")
    sole_prefect(store).hold(NOW, "pool-1")
    for another in ("pool-2", None):
        with pytest.raises(OtherPrefect):
            sole_prefect(store, OTHER, "two").hold(NOW, another)


def test_a_service_that_was_killed_may_come_back_with_another_prefect_at_once(store: Store) -> None:
    """Nobody else works on its data directory: a lock says so."""
    sole_prefect(store).hold(NOW)
    sole_prefect(store, OTHER).hold(NOW + timedelta(seconds=1))


def test_another_prefect_takes_over_from_a_service_that_stopped_or_died(store: Store) -> None:
    sole_prefect(store).hold(NOW)
    sole_prefect(store).release()
    sole_prefect(store, OTHER, "two").hold(NOW + timedelta(seconds=1))
    sole_prefect(store).release()
    with pytest.raises(OtherPrefect):
        sole_prefect(store).hold(NOW + timedelta(seconds=2))
    sole_prefect(store).hold(NOW + FRESH + timedelta(seconds=1))


def test_a_machine_whose_clock_is_minutes_off_is_refused_all_the_same(postgresql_url: str) -> None:
    with closing(Store.open(postgresql_url)) as store:
        sole_prefect(store).hold(shared_clock(store, NOW))
        with pytest.raises(OtherPrefect):
            sole_prefect(store, OTHER, "two").hold(shared_clock(store, NOW + timedelta(minutes=4)))


def test_an_address_within_a_machine_names_that_machine() -> None:
    names = {name_of(f"http://{host}:4200/api") for host in ("127.0.0.1", "localhost", "[::1]")}
    assert len(names) == 1
    assert names != {name_of("http://prefect.example.org:4200/api")}
    assert name_of("http://prefect.example.org/api/") == name_of("http://prefect.example.org/api")
