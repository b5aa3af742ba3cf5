"""A burst waits its turn, in order, and few work at once; behind a row that stays locked nobody queues."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tasks.database import turns
from tasks.database.turns import Pace, Places, Turns
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


def test_few_transactions_work_at_once_in_the_order_of_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUICK_SECONDS", 60.0)
    pace, begun, inside = Pace(2), [], threading.Semaphore(0)
    leave = [threading.Event() for _ in range(5)]

    def work(number: int) -> None:
        with pace.turn():
            begun.append(number)
            inside.release()
            leave[number].wait(10)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for number, each in enumerate(threads):
        each.start()
        if number < 2:
            assert inside.acquire(timeout=10), f"{number} does not begin, though there is room"
        else:
            wait_until(partial(_so_many_wait, pace, number - 1), "the next one to stand in line")
    for number in range(5):
        assert begun == list(range(min(number + 2, 5)))
        leave[number].set()
        if number < 3:
            assert inside.acquire(timeout=10), "nobody begins, though one has ended"
    for each in threads:
        each.join()
    assert pace.waiting == 0


def test_what_ends_something_begun_goes_ahead_of_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUICK_SECONDS", 60.0)
    pace, served, threads = Pace(1), [], []
    asked = [("event", False), ("later event", False), ("outcome", True), ("later outcome", True)]

    def work(name: str, ahead: bool) -> None:
        with pace.turn(ahead=ahead):
            served.append(name)

    with pace.turn():
        for number, (name, ahead) in enumerate(asked):
            threads.append(threading.Thread(target=work, args=(name, ahead)))
            threads[-1].start()
            wait_until(partial(_so_many_wait, pace, number + 1), "the next one to stand in line")
    for each in threads:
        each.join()
    assert served == ["outcome", "later outcome", "event", "later event"]


def test_behind_transactions_that_wait_for_the_database_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUICK_SECONDS", 0.05)
    pace, release = Pace(2), threading.Event()
    entered = threading.Barrier(3)

    def hold() -> None:
        with pace.turn():
            entered.wait(10)
            release.wait(10)

    holders = [threading.Thread(target=hold) for _ in range(2)]
    for each in holders:
        each.start()
    entered.wait(10)
    for _ in range(3):
        with pace.turn():
            pass
    assert not release.is_set()
    assert all(each.is_alive() for each in holders), "the others waited for the transactions that are stuck"
    release.set()
    for each in holders:
        each.join()


def test_a_transaction_that_fails_leaves_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUICK_SECONDS", 60.0)
    pace, served = Pace(1), []

    def work(number: int) -> None:
        with pace.turn():
            served.append(number)
            if number % 3 == 0:
                raise ValueError(number)

    with ThreadPoolExecutor(20) as pool:
        begun = [pool.submit(work, number) for number in range(100)]
        failed = [each for each in begun if each.exception(10)]
    assert sorted(served) == list(range(100))
    assert len(failed) == 34


def _so_many_wait(pace: Pace, count: int) -> bool:
    return pace.waiting == count
