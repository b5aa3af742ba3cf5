"""A burst waits its turn, in order; behind a row that stays locked nobody queues."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tasks.database import turns
from tasks.database.turns import Places, Turns
from tasks.limits import TRANSACTIONS_PER_SUBJECT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("LOG-07")


def test_a_burst_about_one_subject_is_served_whole() -> None:
    places, served = Turns(), []

    def work(number: int) -> None:
        with places.of("ITP-001"):
            served.append(number)

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(work, range(200)))
    assert sorted(served) == list(range(200))


def test_behind_those_who_are_stuck_nobody_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "STUCK_SECONDS", 0.0)
    places, release = Turns(), threading.Event()
    entered = threading.Barrier(TRANSACTIONS_PER_SUBJECT + 1)

    def hold() -> None:
        with places.of("ITP-001"):
            entered.wait(10)
            release.wait(10)

    holders = [threading.Thread(target=hold) for _ in range(TRANSACTIONS_PER_SUBJECT)]
    for each in holders:
        each.start()
    entered.wait(10)
    began = time.monotonic()
    with pytest.raises(NoConnectionFree, match="ITP-001"), places.of("ITP-001"):
        pass
    assert time.monotonic() - began < 1
    with places.of("ITP-002"):
        pass
    release.set()
    for each in holders:
        each.join()
    with places.of("ITP-001"):
        pass


def test_places_are_given_in_the_order_in_which_they_are_asked_for() -> None:
    places, served, threads = Places(1), [], []

    def work(number: int) -> None:
        with places.place(10):
            served.append(number)

    with places.place(10):
        for number in range(5):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            wait_until(partial(waiting_in, places, number + 1), "the next one to stand in line")
    # Whoever gives a place back and wants another stands behind those who wait already.
    with places.place(10):
        served.append(5)
    for each in threads:
        each.join()
    assert served == list(range(6))


def waiting_in(places: Places, count: int) -> bool:
    return places.waiting == count


def test_who_waits_too_long_for_a_place_leaves_the_line_and_takes_none_with_them() -> None:
    places = Places(1)
    with places.place(10), pytest.raises(NoConnectionFree, match="in use"), places.place(0.01):
        pass
    assert places.waiting == 0
    with places.place(0.01):
        pass


def test_a_burst_of_transactions_gets_every_place_and_leaves_all_of_them_free() -> None:
    places, inside, most = Places(4), 0, 0
    counting = threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, most
        with places.place(10):
            with counting:
                inside += 1
                most = max(most, inside)
            with counting:
                inside -= 1

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(work, range(400)))
    assert 0 < most <= 4
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(places.place(0.01))
        with pytest.raises(NoConnectionFree, match="in use"), places.place(0.01):
            pass
