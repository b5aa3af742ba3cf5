"""`python -m bench.doors`: what an event costs at the HTTP door while many subjects wait, on PostgreSQL.

Event to notice: one event after another, each a serious adverse event, from the POST until the first notice
about it has arrived at a receiver behind Apprise. Burst: one event for each of 1,000 subjects at once, eight
clients side by side. The API runs as users run it, `itp api` in a process of its own; client and receiver are
in this one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx

from bench.processes import cpu_seconds
from bench.stage import SCREENING
from bench.waiting import wait_until
from itp_events.events import parse_event
from itp_events.protocol.file import load_protocol
from tasks.advance import record
from tasks.database.schema import notices
from tasks.database.store import Store
from tests.support.api import apprise_config, event
from tests.support.ports import free_port
from tests.support.postgres import fresh_database, postgres_server
from tests.support.receiver import Receiver

WAITING = (100, 1_000, 10_000)
ONE_BY_ONE = 100
BURST = 1_000
CLIENTS = 8
# Processes that enrol, and how many subjects each takes at a time.
ENROLLERS, SHARE, SHARES_SAID = 2, 500, 20
P50_LIMIT, P95_LIMIT, RATE_LIMIT = 15.0, 30.0, 150.0


@dataclass(frozen=True)
class Door:
    """A served study, and the receiver of its notices."""

    client: httpx.Client
    receiver: Receiver
    pid: int


def main() -> None:
    """Measure for growing numbers of waiting subjects, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.doors", description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="+", default=WAITING, help="numbers of waiting subjects")
    waiting: Sequence[int] = parser.parse_args().waiting
    _say(
        f"{'subjects waiting':>16}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms':>9}{'burst/s':>9}{'CPU ms':>9}",
    )
    with postgres_server() as server, fresh_database(server) as url, tempfile.TemporaryDirectory() as home:
        database = url.render_as_string(hide_password=False)
        enrolled = 0
        for count in waiting:
            enrol(database, range(enrolled, count))
            enrolled = count
            with served(Path(home), database) as door:
                _say(f"{count:16,}{_measured(door, count)}")
    _say(f"limits at rest: p50 {P50_LIMIT:g} ms, p95 {P95_LIMIT:g} ms, burst {RATE_LIMIT:g} per second")


def _measured(door: Door, count: int) -> str:
    cpu = cpu_seconds(door.pid)
    late = sorted(one_by_one(door, min(count, ONE_BY_ONE)))
    each = (cpu_seconds(door.pid) - cpu) / len(late)
    cpu = cpu_seconds(door.pid)
    size = min(count, BURST)
    rate = burst(door, size)
    return (
        f"{late[len(late) // 2] * 1000:9.1f}{late[int(len(late) * 0.95)] * 1000:9.1f}{each * 1000:9.1f}"
        f"{rate:9.0f}{(cpu_seconds(door.pid) - cpu) / size * 1000:9.1f}"
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a measurement speaks to who started it


def enrol(database: str, numbers: Sequence[int]) -> None:
    """Let subjects be enrolled and wait, with nothing left to hand over; says how far it is."""
    store, now = Store.open(database), datetime.now(UTC)  # noqa: TID251 - a measurement
    shares = [numbers[first : first + SHARE] for first in range(0, len(numbers), SHARE)]
    with ProcessPoolExecutor(ENROLLERS, get_context("spawn")) as pool:
        for place, _ in enumerate(pool.map(partial(_enrol_share, database, now), shares), 1):
            if place % SHARES_SAID == 0:
                _say(f"{place * SHARE:16,} of {len(numbers):,} enrolled")
    with store.writing(long=True) as connection:
        done = {"status": "delivered", "handed_at": now, "settled_at": now}
        connection.execute(notices.update().where(notices.c.status == "queued").values(done))
    # At rest: what PostgreSQL would do by itself within a minute of so many inserts.
    with closing(store.engine.raw_connection()) as connection:
        connection.rollback()
        connection.cursor().execute("VACUUM (ANALYZE)")
    store.close()


def _enrol_share(database: str, now: datetime, numbers: Sequence[int]) -> None:
    store, protocol, on = Store.open(database), load_protocol(), f"{(now - timedelta(days=1)).date()}"
    data = {"on": on, "consent_on": on, "site": "01", "weight_kg": 60.0, "screening": SCREENING}
    for number in numbers:
        record(store, protocol, [parse_event(event("subject.enrolled", code(number), now, data))], now)
    store.close()


def code(number: int) -> str:
    """The code of a subject."""
    return f"ITP-{number:05}"


@contextmanager
def served(home: Path, database: str) -> Iterator[Door]:
    """`itp api` on the study, its notices to a receiver."""
    port = free_port()
    with Receiver() as receiver:
        config = apprise_config(home / "apprise.conf", receiver.apprise_url())
        ours = {"ITP_DATA_DIR": str(home), "ITP_DATABASE_URL": database, "ITP_API_PORT": str(port)}
        ours |= {"ITP_APPRISE_CONFIG": str(config), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
        command = [sys.executable, "-c", "from deployments.cli import main; main()", "api"]
        with (home / "api.log").open("ab") as log:
            process = subprocess.Popen(command, env=os.environ | ours, stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
                wait_until(lambda: _answers(client), "the API to answer", 60)
                yield Door(client, receiver, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/openapi.json").is_success
    except httpx.TransportError:
        return False


def one_by_one(door: Door, count: int) -> Iterator[float]:
    """Seconds from each event's POST until a notice about it has arrived."""
    for number in range(count):
        before = len(door.receiver.requests)
        stated = _serious(number)
        began = datetime.now(UTC)  # noqa: TID251 - a measurement
        assert door.client.post("/events", json=stated).status_code == httpx.codes.CREATED
        arrived = _first(door.receiver, before).at
        yield (arrived - began).total_seconds()
        # The second notice and its outcome are no part of the next event's time.
        while len(door.receiver.requests) < before + 2:
            time.sleep(0.002)  # noqa: TID251 - a measurement
        time.sleep(0.03)  # noqa: TID251 - a measurement


def _first(receiver: Receiver, before: int) -> Any:
    deadline = time.monotonic() + 30
    while len(receiver.requests) <= before:
        assert time.monotonic() < deadline, "no notice arrived"
        time.sleep(0.0005)  # noqa: TID251 - a measurement
    return receiver.requests[before]


def _serious(number: int) -> dict[str, Any]:
    now = datetime.now(UTC)  # noqa: TID251 - a measurement
    data = {
        "ae": f"AE-{time.monotonic_ns()}",
        "term": "bleeding",
        "grade": 3,
        "serious": True,
        "related": False,
    }
    return event("adverse-event.reported", code(number), now, data | {"on": f"{now.date()}"})


def burst(door: Door, count: int) -> float:
    """Events per second when every subject gets one at once."""
    now = datetime.now(UTC)  # noqa: TID251 - a measurement
    data = {"on": f"{now.date()}", "reached": True}
    stated = [event("contact.attempted", code(number), now, data) for number in range(count)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        began = time.monotonic()
        statuses = list(pool.map(lambda each: door.client.post("/events", json=each).status_code, stated))
        seconds = time.monotonic() - began
    assert set(statuses) == {httpx.codes.CREATED}
    return count / seconds


if __name__ == "__main__":
    main()
