"""Two rounds as processes of their own on one PostgreSQL: one ends, and the other does everything."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from deployments.service.sharing import STUDY
from tasks.database import leases
from tasks.database.queries import log_lines
from tasks.database.schema import senders
from tasks.database.store import Store
from tasks.database.troubles import SILENT, note_trouble, open_troubles
from tests.deployments.api.test_standalone import NOBODY, enrol
from tests.support.proxy import Proxy
from tests.support.receiver import Receiver
from tests.support.service import Service
from tests.support.signs import fall_silent
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-11")

CODES = {f"ITP-{number:03}" for number in range(1, 41)}
CODE = re.compile(r"ITP-\d{3}")
PASSES_ON_SECONDS = 10.0


def told(receiver: Receiver) -> set[str]:
    """The subjects about whom something arrived, marked as possibly repeated or not."""
    return {code for request in list(receiver.requests) for code in CODE.findall(request.body["title"])}


class Rounds:
    """Two `itp round` without Prefect; the first reaches the database through a proxy."""

    def __init__(self, folder: Path, receiver: Receiver, database: str, proxied: str) -> None:
        self.store = Store.open(database)
        self.cut_off: Callable[[], None] = lambda: None
        self.all = [
            Service(
                folder / name, receiver, {"PREFECT_API_URL": NOBODY, "ITP_DATABASE_URL": url}, part="round"
            )
            for name, url in (("one", proxied), ("two", database))
        ]

    def start(self, *numbers: int) -> None:
        """Start these, each when the one before gives signs of life."""
        for number in numbers:
            self.all[number].start(ready=False)
            wait_until(partial(self.id_of, number), f"round {number} to be at work")

    def id_of(self, number: int) -> str | None:
        """The name of a round among the processes that give signs of life."""
        with self.store.reading() as connection:
            query = sa.select(senders.c.id).where(senders.c.pid == self.all[number].pid)
            identity: str | None = connection.scalar(query)
            return identity

    def does_the_work(self, number: int) -> bool:
        """Whether a round does what one alone must do."""
        with self.store.reading() as connection:
            wall = self.all[0].study.wall()
            return leases.holders(connection, [STUDY], wall).get(STUDY) == self.id_of(number)

    def passes_on(self, number: int, began: float) -> float:
        """Wait until a round does what one alone must do; the seconds since then."""
        wait_until(lambda: self.does_the_work(number), "the work to pass on", timeout=30, every=0.1)
        return time.monotonic() - began


@pytest.fixture
def rounds(tmp_path: Path, postgresql_url: str, receiver: Receiver) -> Iterator[Rounds]:
    with ExitStack() as stack:
        url = sa.make_url(postgresql_url)
        assert url.port
        proxy = stack.enter_context(Proxy(url.port))
        proxied = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        rounds = Rounds(tmp_path, receiver, postgresql_url, proxied)
        stack.callback(rounds.store.close)
        for each in rounds.all:
            stack.callback(each.close)
        rounds.cut_off = lambda: proxy.__exit__(None, None, None)
        yield rounds


def test_when_a_round_ends_in_any_way_another_does_its_work_and_nothing_is_told_twice(
    rounds: Rounds, receiver: Receiver
) -> None:
    rounds.start(0, 1)
    assert rounds.does_the_work(0)

    # One is killed while both wake and send.
    enrol(rounds.all[0].study, *CODES)
    wait_until(lambda: len(told(receiver)) > 3, "the first notices")
    began = time.monotonic()
    rounds.all[0].kill()
    assert rounds.passes_on(1, began) < PASSES_ON_SECONDS
    wait_until(lambda: told(receiver) >= CODES, "a notice about everybody")
    unmarked = Counter(
        (request.path, request.body["title"])
        for request in receiver.requests
        if "repeated" not in request.body["title"]
    )
    assert {title for title, count in unmarked.items() if count > 1} == set()
    for code in CODES:
        keys = [line.event.id for line in log_lines(rounds.store, code)]
        assert len(keys) == len(set(keys))

    # A trouble of its own ends with it.
    dead = rounds.id_of(0)
    assert dead
    note_trouble(rounds.store, "clock", "ten minutes ahead", rounds.all[1].study.clock.now(), dead)
    fall_silent(rounds.store, dead, SILENT.total_seconds())
    wait_until(lambda: open_troubles(rounds.store) == [], "the trouble of the dead process to end")

    # One stands still, and comes back: the work stays where it is.
    rounds.start(0)
    began = time.monotonic()
    os.kill(rounds.all[1].pid, signal.SIGSTOP)
    assert rounds.passes_on(0, began) < PASSES_ON_SECONDS
    os.kill(rounds.all[1].pid, signal.SIGCONT)

    # One is cut off from the database.
    began = time.monotonic()
    rounds.cut_off()
    assert rounds.passes_on(1, began) < PASSES_ON_SECONDS

    # One is stopped in order: the work passes on at once.
    assert rounds.all[1].stop() == 0
    assert "Traceback" not in rounds.all[1].log
