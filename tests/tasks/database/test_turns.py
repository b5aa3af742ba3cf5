"""A burst about one subject waits its turn; behind a row that stays locked nobody queues."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tasks.database import turns
from tasks.database.turns import Turns
from tasks.limits import TRANSACTIONS_PER_SUBJECT

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
