"""One storm: clients at work, faults in random order, calm at the end, a verdict."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta

from storm import tables
from storm.clients import Client
from storm.faults import faults
from storm.ledger import now
from storm.stage import Stage
from storm.verdict import LATE, Verdict, judge

CLIENTS = 4
PAUSE = 0.4
BETWEEN = (2.0, 7.0)
# What is due is sent when a provider that failed is asked again, and the last safety clocks have run.
CALM_SECONDS = 240.0
# The longest that a safety clock has still to run when the last event was stated.
CLOCKS_SECONDS = 35.0


def rage(
    stage: Stage,
    seed: int,
    seconds: float,
    say: Callable[[str], None],
    only: Iterable[str] | None = None,
    late: timedelta = LATE,
) -> Verdict:
    """Let a storm rage for so many seconds over a stage whose service is not started yet; what it left."""
    chance = random.Random(seed)
    stage.start()
    clients = [Client(number, seed, stage.ledger, lambda: stage.address, PAUSE) for number in range(CLIENTS)]
    for each in clients:
        each.start()
    _break(stage, chance, time.monotonic() + seconds, say, only)
    for each in clients:
        each.stop()
    for each in clients:
        each.join(30)
    say("calm: waiting for what is due")
    _settle(stage)
    arrivals = stage.receiver.arrivals()
    return judge(stage.ledger, arrivals, tables.read(stage.database), late)


def _break(
    stage: Stage, chance: random.Random, ends: float, say: Callable[[str], None], only: Iterable[str] | None
) -> None:
    known = faults(stage)
    names = [name for name in known if only is None or name in only]
    turn: list[str] = []
    while time.monotonic() < ends:
        _wait(chance.uniform(*BETWEEN))
        # Each once before any comes again: a short storm has seen as many as it can.
        turn = turn or chance.sample(names, len(names))
        name = turn.pop()
        say(f"{name}; {len(stage.ledger.acks)} acknowledged, {len(stage.receiver.requests)} arrived")
        with stage.ledger.broken(name):
            known[name](stage, chance)


def _settle(stage: Stage) -> None:
    """Wait until nothing due waits any more, and the safety clocks that run have reminded."""
    began = time.monotonic()
    quiet = 0
    while quiet < 3 and time.monotonic() - began < CALM_SECONDS:
        waits = True
        with suppress(Exception):
            waits = is_something_due(stage.database)
        quiet = 0 if waits or time.monotonic() - began < CLOCKS_SECONDS else quiet + 1
        _wait(0.5)
    stage.stop()


def is_something_due(database: str) -> bool:
    """Whether a notice that is due by now has not been handed over."""
    instant = now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    due = f"SELECT 1 AS waits FROM notices WHERE status = 'queued' AND due <= '{instant}'"
    return bool(tables.query(database, due))


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)
