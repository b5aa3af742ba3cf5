"""`python -m storm.cluster`: the parts of a cluster killed and cut off from each other at random, under load.

    python -m storm.cluster --kills 500 --cuts 100 --minutes 240

Two rounds, two doors, two Prefect servers with their services, PostgreSQL, Redis and the proxy run as the
compose file says. Prints what it breaks, then one JSON object: figures, and what was wrong. Exit code 1 when
anything was. It ends early, and says so, when its time is over.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from storm import tables
from storm.clients import Client
from storm.cluster_stage import LINKS, POSTGRES, ClusterStage, cluster_stage
from storm.ledger import now
from storm.run import CALM_SECONDS, CLIENTS, CLOCKS_SECONDS, is_something_due
from storm.take_overs import TakeOvers
from storm.verdict import LATE, Verdict, judge

BETWEEN = (0.5, 4.0)
AWAY = (0.0, 3.0)
CUT_FOR = (1.0, 12.0)
# Between two events of one client.
PAUSE = 0.6
TAKE_OVER_SECONDS = 10.0
# Until Prefect shows every subject again: its servers start, a round finds them, and repairs.
SHOWN_SECONDS = 300.0
ROUNDS = ("round-1", "round-2")

Say = Callable[[str], None]


@dataclass
class Broken:
    """A count of everything that was broken so far."""

    kills: Counter[str] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    # Parts that ended by themselves, with their exit codes; what starts them has started them again.
    ended: Counter[str] = field(default_factory=Counter)

    @property
    def figures(self) -> dict[str, Any]:
        """The counts, for people."""
        return {
            "kills": self.kills.total(),
            "killed": dict(self.kills),
            "cuts": self.cuts.total(),
            "cut": dict(self.cuts),
            "ended_by_themselves": dict(self.ended),
        }


class ClusterStorm:
    """One storm over one cluster."""

    def __init__(self, stage: ClusterStage, seed: int, say: Say) -> None:
        self._stage, self._seed, self._say = stage, seed, say
        self._random = random.Random(seed)
        self._watch = TakeOvers(stage.database)
        self.broken = Broken()

    def rage(self, kills: int, cuts: int, seconds: float, late: timedelta = LATE) -> Verdict:
        """Break so much, for so long at most, and judge what is left when all is calm."""
        self._stage.begin()
        self._watch.start()
        clients = [self._client(number) for number in range(CLIENTS)]
        for each in clients:
            each.start()
        self._break(kills, cuts, time.monotonic() + seconds)
        for each in clients:
            each.stop()
        for each in clients:
            each.join(30)
        self._say("calm: waiting for what is due")
        runs = self._settle()
        self._watch.stop()
        self._stage.stop()
        arrivals = self._stage.receiver.arrivals()
        found = judge(self._stage.ledger, arrivals, tables.read(self._stage.database), late)
        return self._with_the_cluster_s(found, runs)

    def _client(self, number: int) -> Client:
        doors, chance = self._stage.doors, random.Random(f"{self._seed}/door/{number}")
        return Client(
            number, self._seed, self._stage.ledger, lambda: chance.choice(doors), PAUSE, self._stage.token
        )

    def _break(self, kills: int, cuts: int, ends: float) -> None:
        steps: list[Callable[[], None]] = [self._kill] * kills + [self._cut] * cuts
        self._random.shuffle(steps)
        for count, step in enumerate(steps, 1):
            if time.monotonic() > ends:
                self._say(f"time is over after {count - 1} of {len(steps)}")
                return
            _wait(self._random.uniform(*BETWEEN))
            self._revive()
            step()
            if count % 10 == 0:
                self._say(f"{count} of {len(steps)} broken; {self._progress()}")

    def _progress(self) -> str:
        ledger, receiver = self._stage.ledger, self._stage.receiver
        return f"{len(ledger.acks)} acknowledged, {len(receiver.requests)} arrived"

    def _revive(self) -> None:
        for name, code in self._stage.revive():
            self.broken.ended[f"{name} ({code})"] += 1
            self._say(f"{name} ended by itself with {code}; started again")

    def _kill(self) -> None:
        name = self._random.choice(self._stage.breakable)
        self._say(f"{name} is killed")
        self.broken.kills[name] += 1
        self._note_lost(name)
        with self._stage.ledger.broken(f"{name} killed"):
            self._stage.kill(name)
            if name == POSTGRES:
                self._stage.start(name)
        if name != POSTGRES:
            _wait(self._random.uniform(*AWAY))
            self._stage.start(name)

    def _cut(self) -> None:
        name, setting = self._random.choice(sorted(self._stage.parts.links))
        how = self._random.choice(("refused", "silent"))
        said = f"{name} is cut off from {LINKS[setting]} ({how})"
        seconds = self._random.uniform(*CUT_FOR)
        self._say(f"{said} for {seconds:.0f} s")
        self.broken.cuts[f"{name} - {LINKS[setting]}"] += 1
        if setting == "ITP_DATABASE_URL":
            self._note_lost(name)
        link = self._stage.parts.links[name, setting]
        with self._stage.ledger.broken(said):
            if how == "refused":
                link.cut()
            else:
                link.swallow()
            _wait(seconds)
            link.mend()

    def _note_lost(self, name: str) -> None:
        """Watch for the take-over when the round that holds the job is gone and the other one is there."""
        if name == POSTGRES or (name in ROUNDS and self._stage.parts.pid(name) != self._watch.holder):
            self._watch.disturbed()
        elif name in ROUNDS:
            other = self._stage.parts.pid(next(each for each in ROUNDS if each != name))
            if other in self._watch.alive and self._watch.holder is not None:
                self._watch.lost(self._watch.holder)

    def _settle(self) -> list[dict[str, Any]]:
        """Wait until nothing due waits and Prefect shows every subject; the subjects' flow runs."""
        began, quiet = time.monotonic(), 0
        while quiet < 3 and time.monotonic() - began < CALM_SECONDS:
            self._revive()
            waits = True
            with suppress(Exception):
                waits = is_something_due(self._stage.database)
            quiet = 0 if waits or time.monotonic() - began < CLOCKS_SECONDS else quiet + 1
            _wait(0.5)
        return self._shown()

    def _shown(self) -> list[dict[str, Any]]:
        began = time.monotonic()
        runs: list[dict[str, Any]] = []
        while time.monotonic() - began < SHOWN_SECONDS:
            self._revive()
            with suppress(httpx.HTTPError):
                runs = self._stage.journeys()
                if not _in_order(runs, self._subjects()):
                    break
            _wait(1.0)
        return runs

    def _subjects(self) -> list[str]:
        return [row["code"] for row in tables.query(self._stage.database, "SELECT code FROM subjects")]

    def _with_the_cluster_s(self, found: Verdict, runs: Sequence[dict[str, Any]]) -> Verdict:
        slow = [each for each in self._watch.seconds if each > TAKE_OVER_SECONDS]
        waiting = self._watch.is_waited_for()
        more: dict[str, Sequence[object]] = {
            "not taken over in time": [*slow, *([round(waiting, 1)] if waiting else [])],
            "runs": _in_order(runs, self._subjects()),
        }
        faults: Mapping[str, Sequence[object]] = dict(found.faults) | {
            name: what for name, what in more.items() if what
        }
        taken = sorted(self._watch.seconds)
        figures = self.broken.figures | {
            "taken_over": len(taken),
            "taken_over_s": {"p50": taken[len(taken) // 2], "max": taken[-1]} if taken else {},
            "digests": _digests(self._stage.database),
            "flow_runs": len(runs),
        }
        return Verdict(faults, dict(found.figures) | figures)


def _in_order(runs: Sequence[dict[str, Any]], codes: Sequence[str]) -> list[object]:
    """The faults of the subjects' flow runs: each has one, which waits or has ended."""
    mine = Counter(run["parameters"]["subject"] for run in runs)
    wrong: list[object] = [(code, f"{mine[code]} flow runs") for code in codes if mine[code] != 1]
    states = ((run["parameters"]["subject"], run["state_type"]) for run in runs)
    return wrong + [each for each in states if each[1] not in ("SCHEDULED", "COMPLETED")]


def _digests(database: str) -> int:
    """The number of digests; that none was twice is said by the key of each, and by what arrived."""
    return len(tables.query(database, "SELECT key FROM notices WHERE step = 'digest'"))


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def main() -> int:
    """Let a storm rage over a cluster as the options say."""
    parser = argparse.ArgumentParser(prog="python -m storm.cluster")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=30.0, help="after these nothing more is broken")
    parser.add_argument("--seed", type=int, default=1, help="the same seed breaks the same in the same order")
    asked = parser.parse_args()
    home, began = Path(tempfile.mkdtemp(prefix="itp-storm-")), now()
    with cluster_stage(home) as stage:
        storm = ClusterStorm(stage, asked.seed, lambda line: _say(began, line))
        verdict = storm.rage(asked.kills, asked.cuts, asked.minutes * 60)
    told = {"seed": asked.seed, "kept_in": str(home)} | dict(verdict.figures)
    print(json.dumps(told | {"faults": verdict.faults}, default=str, ensure_ascii=False))  # noqa: T201
    return 1 if verdict.faults else 0


def _say(began: datetime, line: str) -> None:
    print(f"{(now() - began).total_seconds():8.1f} s  {line}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
