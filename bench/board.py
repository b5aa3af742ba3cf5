"""`python -m bench.board`: what the study's board costs to make, and what the picture of all lanes costs.

Every subject is the same: two infusions done, the third overdue. The cards are kept ready, as in the service.
The service makes the page anew as subjects move on, and the picture when somebody looks at it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tasks.board.cards import Card, card
from tasks.board.lanes import swimmer
from tasks.board.overview import Board
from tasks.board.paper import image
from tasks.board.story import story
from tasks.board.study_page import study_page
from tests.support.study import Study
from tests.tasks.desk import Desk

SUBJECTS = (100, 500, 2_000)
LIMITED, LIMIT = 2_000, 2.0
NOW = datetime(2026, 2, 3, 2, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")


def main() -> None:
    """Measure for growing numbers of subjects, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.board", description=__doc__)
    parser.add_argument("--subjects", type=int, nargs="+", default=SUBJECTS, help="numbers of subjects")
    counts: Sequence[int] = parser.parse_args().subjects
    one = overdue()
    drawn(cards_of(one, 2))  # the drawing library is loaded once per process
    _say(f"{'subjects on the board':>21}{'page, CPU s':>13}{'ms each':>9}{'ratio':>8}{'picture, CPU s':>16}")
    for line in _lines(one, sorted(counts)):
        _say(line)
    _say(f"limit: {LIMIT:g} CPU s for the page of {LIMITED:,} subjects")
    _say("ratio: per subject, to the smallest board")


def _lines(one: Card, counts: Sequence[int]) -> Iterator[str]:
    first = None
    for count in counts:
        seconds = cpu_seconds(made, cards_of(one, count))
        picture = cpu_seconds(drawn, cards_of(one, count))
        each = seconds / count
        first = first or each
        yield f"{count:21,}{seconds:13.2f}{each * 1000:9.2f}{each / first:7.2f}x{picture:16.2f}"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a measurement speaks to who started it


def overdue() -> Card:
    """The card of a subject whose third infusion is overdue."""
    study = Study()
    with tempfile.TemporaryDirectory() as home:
        desk = Desk.open(f"sqlite:///{Path(home) / 'study.db'}")
        desk.take(study.enrol("2026-01-05", baseline_platelets=11))
        desk.take(study.done("INF1", "2026-01-05", platelets=12, bleeding=True))
        desk.take(study.done("INF2", "2026-01-14", platelets=35, bleeding=False))
        desk.wake(study.code, NOW)
        found = card(story(desk.store, desk.protocol, study.code, NOW))
        desk.store.close()
    return found


def cards_of(one: Card, count: int) -> list[Card]:
    """So many subjects' cards, each like `one`."""
    return [deepcopy(one) | {"code": f"ITP-{number:05}"} for number in range(count)]


def cpu_seconds(make: Callable[[list[Card]], object], cards: list[Card]) -> float:
    """The CPU seconds that it takes to make something of these cards."""
    began = time.process_time()
    make(cards)
    return time.process_time() - began


def made(cards: list[Card]) -> str:
    """The board of these cards, as Prefect is given it."""
    return study_page(Board(cards, NOW, ZONE, {}, [], 0, []))


def drawn(cards: list[Card]) -> bytes:
    """The picture of these cards' lanes, as the API serves it."""
    return image(swimmer(cards, NOW.astimezone(ZONE).date()))


if __name__ == "__main__":
    main()
