"""`python -m bench.chain`: the share of the hashes and the chain in the transaction of an event.

Events of subjects at rest, in pairs: one as users record it, the next with every hash left out. The door
around the transaction (HTTP, reading, answering) is left out too, so that the share of a whole door is less.
Beside it stands what hashing takes of this process's own CPU, on which other work has no influence.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from bench.stage import SCREENING
from itp_events.events import parse_event
from itp_events.protocol.file import load_protocol
from tasks.advance import record
from tasks.database.store import Store
from tasks.hashing import rows
from tests.support.api import event
from tests.support.postgres import fresh_database, postgres_server

SUBJECTS = 20
PAIRS = 300
LIMIT = 0.05
_NONE = "1:" + "0" * 64


@dataclass
class Hashing:
    """How the hashes are made just now, and the seconds of CPU that were spent on them."""

    left_out: bool = False
    seconds: float = 0.0
    _real: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def hash_of(self, table: str, row: rows.Row, before: str = rows.NOTHING_BEFORE) -> str:
        """As `tasks.hashing.rows.hash_of`, timed, or nothing's."""
        return _NONE if self.left_out else self._timed("hash_of", table, row, before)

    def chained(self, table: str, lines: list[rows.Row], before: str) -> Iterator[str]:
        """As `tasks.hashing.rows.chained`, timed, or nothing's."""
        if self.left_out:
            return iter([_NONE] * len(lines))
        return iter(self._timed("chained", table, lines, before))

    def _timed(self, name: str, *given: Any) -> Any:
        began = time.thread_time()
        made = self._real[name](*given)
        made = made if isinstance(made, str) else list(made)
        self.seconds += time.thread_time() - began
        return made


@contextmanager
def counted() -> Iterator[Hashing]:
    """Let every module of the effects hash by way of this."""
    hashing = Hashing()
    for name in ("hash_of", "chained"):
        real = getattr(rows, name)
        hashing._real[name] = real
        for module in [each for key, each in sys.modules.items() if key.startswith("tasks.")]:
            if getattr(module, name, None) is real and module is not rows:
                setattr(module, name, getattr(hashing, name))
    yield hashing


def main() -> None:
    """Measure on both databases, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.chain", description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs of events on each database")
    pairs: int = parser.parse_args().pairs
    _say(f"{'':12}{'with ms':>9}{'without ms':>12}{'more':>8}{'CPU ms':>9}{'hashing ms':>12}{'of CPU':>8}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(fresh_database(stack.enter_context(postgres_server())))
        hashing = stack.enter_context(counted())
        for kind, url in (
            ("SQLite", f"sqlite:///{folder / 'study.db'}"),
            ("PostgreSQL", server.render_as_string(hide_password=False)),
        ):
            _say(f"{kind:12}{_measured(url, hashing, pairs)}")
    _say(f"limit: {LIMIT:.0%} of a door's time")


def _measured(url: str, hashing: Hashing, pairs: int) -> str:
    store, protocol, now = Store.open(url), load_protocol(), datetime.now(UTC)  # noqa: TID251 - a measurement
    on = f"{(now - timedelta(days=1)).date()}"
    data = {"on": on, "consent_on": on, "site": "01", "weight_kg": 60.0, "screening": SCREENING}
    codes = [f"ITP-{number:03}" for number in range(SUBJECTS)]
    for code in codes:
        record(store, protocol, [parse_event(event("subject.enrolled", code, now, data))], now)
    took: dict[bool, list[float]] = {False: [], True: []}
    spent, busy = [], []
    for number in range(pairs):
        # Of two neighbours, each goes first every other time.
        for left_out in (number % 2 == 0, number % 2 == 1):
            hashing.left_out, hashing.seconds = left_out, 0.0
            stated = parse_event(event("visit.unscheduled", codes[number % SUBJECTS], now, _visit(on)))
            began, worked = time.perf_counter(), time.thread_time()
            [answer] = record(store, protocol, [stated], now)
            took[left_out].append(time.perf_counter() - began)
            assert answer.status == "recorded", answer.error
            if not left_out:
                spent.append(hashing.seconds)
                busy.append(time.thread_time() - worked)
    hashing.left_out = False
    store.close()
    with_it, without, cpu, alone = (median(each) for each in (took[False], took[True], busy, spent))
    return (
        f"{with_it * 1000:9.2f}{without * 1000:12.2f}{with_it / without - 1:8.1%}"
        f"{cpu * 1000:9.2f}{alone * 1000:12.3f}{alone / cpu:8.1%}"
    )


def _visit(on: str) -> dict[str, str]:
    return {"on": on, "reason": "bruises on both arms since Sunday"}


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a measurement speaks to who started it


if __name__ == "__main__":
    main()
