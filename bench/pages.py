"""`python -m bench.pages`: how long the pages take in a study of 2,000 subjects, through HTTP.

Every subject is a copy of one whose first infusion is overdue; their cards are kept ready, as in the service.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

from tasks.board.keeping import keep
from tasks.board.reading import Shown
from tasks.board.story import story
from tasks.database.schema import cards, subjects
from tests.support.api import Door, served
from tests.support.pages import Person, person

SUBJECTS, TIMES, LIMIT_MS = 2_000, 15, 200
ONE = "ITP-0001"
PAGES = (
    "/today",
    "/find",
    f"/s/{ONE}",
    f"/s/{ONE}/done?visit=INF1",
    f"/s/{ONE}/decide",
    "/enrol",
    "/duty",
    "/review",
)


def main() -> None:
    """Measure each page, and print a table."""
    with (
        tempfile.TemporaryDirectory(prefix="itp-bench-") as directory,
        served(Path(directory) / "data") as door,
    ):
        _fill(door)
        who = person(door, "investigator")
        _say(f"{'page':32}{'first, ms':>12}{'median, ms':>12}{'slowest, ms':>13}")
        for path in PAGES:
            first, *others = [_milliseconds(who, path) for _ in range(TIMES + 1)]
            _say(f"{path:32}{first:12.0f}{statistics.median(others):12.0f}{max(others):13.0f}")
        _say(f"limit: {LIMIT_MS} ms at {SUBJECTS:,} subjects; the first look reads every card once")


def _fill(door: Door) -> None:
    door.enrol(ONE, 12)
    store = door.study.store
    told = story(store, door.study.protocol, ONE, door.now)
    body = keep(store, told, Shown(), door.now)
    with store.writing(long=True) as connection:
        row = dict(connection.execute(sa.select(subjects)).one()._mapping)
        kept = dict(connection.execute(sa.select(cards)).one()._mapping)
        codes = [f"ITP-{number:04}" for number in range(2, SUBJECTS + 1)]
        connection.execute(subjects.insert(), [row | {"code": code} for code in codes])
        copies = [kept | {"subject": code, "body": body | {"code": code}} for code in codes]
        connection.execute(cards.insert(), copies)


def _milliseconds(who: Person, path: str) -> float:
    began = time.perf_counter()
    who.open(path)
    return (time.perf_counter() - began) * 1000


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a measurement speaks to who started it


if __name__ == "__main__":
    main()
