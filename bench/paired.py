"""`python -m bench.paired OTHER`: this checkout beside another one, the same loads on both in turns.

A machine is twice as quick in one minute as in the next. So both services run at the same time, each on a
PostgreSQL database of its own, and take every load one right after the other; who goes first alternates. Read
the ratios. OTHER is the folder of another checkout that has this command, as made by `git worktree add`; both
run in this Python, with what is installed for this one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from bench.kinds import between
from bench.loads import SERIOUS_NOTICES, Clients, arrived
from bench.machines import HANDED_SECONDS, Table, all_handed, set_up, until_at_rest
from bench.receiving import ReceiverApart

SUBJECTS = 100
ROUNDS = 4
# How many events of each load a turn has.
LOADS = {"contacts": 500, "one by one": 40, "serious": 80, "enrol": 60, "arrays": 100}
ENROLS = ("enrol", "arrays")
SERVE = "--serve"
Measured = dict[str, float]


def main() -> None:
    """Measure both in turns, and print for each load both medians and the median of the ratios."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.paired",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each load")
    parser.add_argument(SERVE, action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(_serve())
        return
    if not (asked.other / "bench" / "paired.py").is_file():
        parser.error(f"{asked.other} is no checkout that has this command")
    with ExitStack() as stack:
        both = [stack.enter_context(_started(tree.resolve())) for tree in (asked.other, Path.cwd())]
        for each in both:
            _answer(each)
        measured = _in_turns(both, asked.rounds)
    _print(measured)


def _in_turns(both: Sequence[subprocess.Popen[str]], rounds: int) -> Mapping[str, list[list[Measured]]]:
    measured: dict[str, list[list[Measured]]] = defaultdict(lambda: [[], []])
    for number in range(rounds):
        for load, count in LOADS.items():
            for place in (0, 1) if number % 2 == 0 else (1, 0):
                _say(f"turn {number + 1} of {rounds}: {load}, {('the other', 'this one')[place]} ...")
                _ask(both[place], load, count)
                measured[load][place].append(_answer(both[place]))
    return measured


def _print(measured: Mapping[str, list[list[Measured]]]) -> None:
    _say(f"\n{'':12}{'the other':>12}{'this one':>12}{'ratio':>8}{'doors, ms of CPU each':>26}{'ratio':>8}")
    for load, (others, ours) in measured.items():
        rate, cpu = [_compared(others, ours, what) for what in ("rate", "doors")]
        unit = "ms" if load == "one by one" else "/s"
        _say(
            f"{load:12}{rate[0]:9.1f} {unit}{rate[1]:9.1f} {unit}{rate[2]:8.2f}"
            f"{cpu[0]:14.1f} and {cpu[1]:.1f}{cpu[2]:11.2f}"
        )


def _compared(others: list[Measured], ours: list[Measured], what: str) -> tuple[float, float, float]:
    """Both medians, and the median of what this one is of the other in each turn."""
    pairs = [(other[what], our[what]) for other, our in zip(others, ours, strict=True)]
    ratios = [our / other for other, our in pairs if other]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs), median(ratios)


@contextmanager
def _started(tree: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that serves the loads with the code of a checkout."""
    command = [sys.executable, "-m", "bench.paired", SERVE, "."]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    process = subprocess.Popen(
        command, cwd=tree, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


def _ask(process: subprocess.Popen[str], load: str, count: int) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps([load, count]) + "\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[str]) -> Measured:
    """What the process measured; other lines are its tables."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            return {name: float(value) for name, value in json.loads(line).items()}
    raise RuntimeError("a checkout's service ended; its messages stand above")


async def _serve() -> None:
    """Start a service, and do the loads that the standard input names, until it ends."""
    with set_up(1) as (parts, receiver):
        table, clients = Table(parts, receiver.pid), Clients(parts.doors)
        codes = [f"ITP-{number:05}" for number in range(SUBJECTS)]
        fresh = (f"ITP-{number:05}" for number in itertools.count(20_000))
        await clients.enrol(codes)
        await all_handed(parts)
        await until_at_rest(table, "before")
        _say("{}")
        while line := await asyncio.to_thread(sys.stdin.readline):
            load, count = json.loads(line)
            chosen = list(itertools.islice(fresh if load in ENROLS else itertools.cycle(codes), count))
            before = table.cpu()
            rate = await _done(load, chosen, clients, receiver)
            doors = between(before, table.cpu(), count / 1000).get("doors", 0.0)
            if load != "contacts":
                await all_handed(parts)
                await until_at_rest(table, "after a load")
            _say(json.dumps({"rate": rate, "doors": doors}))
        await clients.close()


async def _done(load: str, codes: Sequence[str], clients: Clients, receiver: ReceiverApart) -> float:
    """Do a load; events a second, or the median of milliseconds until one is answered."""
    if load == "contacts":
        return await clients.contacts(codes)
    if load == "enrol":
        return await clients.enrol(codes)
    if load == "arrays":
        return await clients.enrol_in_arrays(codes)
    if load == "one by one":
        return median(await clients.one_by_one(codes, receiver)) * 1000
    told = len(receiver.requests) + SERIOUS_NOTICES * len(codes)
    rate = await clients.serious(codes)
    await arrived(receiver, told, HANDED_SECONDS)
    return rate


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the measurements are this program's output


if __name__ == "__main__":
    main()
