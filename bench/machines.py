"""`python -m bench.machines`: enrolment, latency, bursts and a SIGKILL, on one machine's parts and on two.

The whole service on PostgreSQL as it comes, with the notices to a receiver behind Apprise: `itp up`, then two
`itp round` and two `itp api` beside one Prefect server. The clients are in this process, the receiver in one
of its own, on the same processors. Each table holds a bare commit and a bare create of a flow run from the
same minutes, taken while the service rests: compare the ratios, and mind the share of the machine that other
work took. Below a load stands what it took of each kind of process: the reason why it was not quicker.

A short run: `--subjects 60 --one-by-one 30 --idle 10 --settle 5 --machines 1`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.bare import commit_seconds, creates_per_second, shown
from bench.kinds import ByKind, between, cpu_by_kind, in_words, kind, memory_by_kind
from bench.loads import SERIOUS_NOTICES, Clients, arrived, told_again
from bench.parts import MACHINES, Parts, running, surroundings
from bench.profiles import PARTS, profiled, sampler
from bench.receiving import ReceiverApart
from bench.waiting import until
from flows.prefect_api.flow_runs import JOURNEY

SHOWN_SECONDS_EACH = 1.0
HANDED_SECONDS = 240.0
# The service rests when the processes of each machine together take less than this share of one processor.
# A look is longer than the pause between two goes of the pages, which begin when every flow run is made.
REST_SHARE, LOOK_SECONDS, REST_SECONDS = 0.15, 6.0, 600.0
WAITING = "SELECT count(*) FROM notices WHERE status = 'queued'"


@dataclass(frozen=True)
class Counts:
    """How much of each load."""

    subjects: int
    one_by_one: int
    in_flight: int
    idle: float
    settle: float


@dataclass
class Table:
    """The lines of one table, printed as they are measured, each with the share that other work took."""

    parts: Parts
    # The receiver's process.
    receiver: int
    # The program that says where the CPU goes, if it is asked for; it takes some of it.
    profiler: str | None = None
    _busy: float = 0.0
    _own: float = 0.0
    _began: float = 0.0

    def __post_init__(self) -> None:
        self.restart()

    def line(self, what: str, value: str, compared: str = "") -> None:
        """Print a measurement and what it is compared with."""
        busy, own, now = _busy_seconds(), self._own_seconds(), time.monotonic()
        others = max(0.0, (busy - self._busy) - (own - self._own)) / max(now - self._began, 0.01)
        self._busy, self._own, self._began = busy, own, now
        _say(f"  {what:38}{value:>26}  {compared:44}{others * 100:6.0f}%")

    @contextmanager
    def split(self, count: int) -> Iterator[None]:
        """Measure something about so many subjects, and print the CPU of each by kind of process below it."""
        looked_at = {pid: name for pid in self.parts.pids() if (name := kind(pid)) in PARTS}
        with profiled(self.profiler, looked_at) if self.profiler else nullcontext(list[str]()) as said:
            before = self.cpu()
            yield
            each = between(before, self.cpu(), count / 1000)
        _say(f"    {in_words(each, 'ms of CPU each', 1)}")
        for line in said:
            _say(f"      {line}")

    def restart(self) -> None:
        """Count anew: processes have ended, or begun."""
        self._busy, self._own, self._began = _busy_seconds(), self._own_seconds(), time.monotonic()

    def cpu(self) -> ByKind:
        """The CPU seconds so far, by kind of process."""
        return cpu_by_kind(self.parts, clients=os.getpid(), receiver=self.receiver)

    def _own_seconds(self) -> float:
        return sum(self.cpu().values())


def main() -> None:
    """Measure on the parts of one machine and of two, and print a table for each."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.machines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--subjects", type=int, default=1000, help="enrolled one by one, and again in arrays")
    parser.add_argument("--one-by-one", type=int, default=200, help="events, one after another")
    parser.add_argument("--in-flight", type=int, default=500, help="events whose notices are on their way")
    parser.add_argument("--idle", type=float, default=60.0, metavar="SECONDS", help="to look at rest")
    parser.add_argument("--settle", type=float, default=30.0, metavar="SECONDS", help="before that")
    parser.add_argument("--profile", action="store_true", help="say where the CPU goes; needs py-spy")
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 2], choices=(1, 2))
    asked = parser.parse_args()
    profiler = sampler() if asked.profile else None
    if asked.profile and profiler is None:
        parser.error("--profile needs py-spy on the PATH: pip install py-spy")
    counts = Counts(asked.subjects, asked.one_by_one, asked.in_flight, asked.idle, asked.settle)
    for what, machines in MACHINES.items():
        if machines in asked.machines:
            _say(f"\n{what}, {counts.subjects:,} subjects; doors' processes: {_workers(machines)}")
            _say(f"  {'':38}{'':26}  {'':44}others")
            with set_up(machines) as (parts, receiver):
                asyncio.run(_measure(Table(parts, receiver.pid, profiler), receiver, counts))


def _workers(machines: int) -> str:
    return os.environ.get("ITP_API_WORKERS", "as by default") if machines == 1 else f"{machines}"


@contextmanager
def set_up(machines: int) -> Iterator[tuple[Parts, ReceiverApart]]:
    """The service in the parts of so many machines, on a database of its own, and what its notices go to."""
    with (
        ReceiverApart() as receiver,
        surroundings(receiver.apprise_url()) as (database, home, recipients),
        running(machines, home / "parts", database, recipients) as parts,
    ):
        yield parts, receiver


async def _measure(table: Table, receiver: ReceiverApart, counts: Counts) -> None:
    parts = table.parts
    clients = Clients(parts.doors)
    await until_at_rest(table, "after the start")
    bare = commit_seconds(parts.database)
    table.line("a bare commit", f"{bare * 1000:.1f} ms")
    creates = await _bare_creates(table, "before")
    codes = [f"ITP-{number:05}" for number in range(2 * counts.subjects)]
    in_prefect = await _enrolments(table, clients, codes)
    await all_handed(parts)
    await until_at_rest(table, "after the enrolments")
    creates = (creates + await _bare_creates(table, "after")) / 2
    table.line("  shown in Prefect, compared", f"{in_prefect / creates:.0%} of bare creates")
    await asyncio.sleep(counts.settle)
    await _at_rest(table, counts.idle)
    await _events(table, clients, receiver, codes, counts, bare)
    await _killed(table, clients, receiver, random.sample(codes, min(counts.in_flight, len(codes))))
    await clients.close()


async def until_at_rest(table: Table, when: str) -> None:
    """Wait until the service's processes, of which Prefect's server takes longest, have little to do."""
    began = time.monotonic()
    while True:
        before, looked = table.parts.cpu(), time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        if (table.parts.cpu() - before) / (time.monotonic() - looked) < REST_SHARE * table.parts.machines:
            break
        if time.monotonic() - began > REST_SECONDS:
            raise TimeoutError(f"waited {REST_SECONDS:g} s in vain for the service to rest {when}")
    table.line(f"at rest {when}", f"after {time.monotonic() - began:.0f} s")


async def _bare_creates(table: Table, when: str) -> float:
    """Bare creates of flow runs a second, in a Prefect that has nothing else to do."""
    creates = await creates_per_second(table.parts.prefect, when)
    table.line("a bare create in Prefect", f"{creates:.1f} /s")
    return creates


async def _enrolments(table: Table, clients: Clients, codes: list[str]) -> float:
    """Enrol one half one by one, the other in arrays; of the first, how many a second Prefect shows."""
    half = len(codes) // 2
    began = time.monotonic()
    with table.split(half):
        table.line("enrolled one by one", f"{await clients.enrol(codes[:half]):.0f} /s")
    with table.split(half):
        await _all_shown(table.parts, half)
        in_prefect = half / (time.monotonic() - began)
        table.line("  until Prefect shows them", f"{in_prefect:.1f} /s")
    with table.split(half):
        table.line("enrolled in arrays of 100", f"{await clients.enrol_in_arrays(codes[half:]):.0f} /s")
    await _all_shown(table.parts, len(codes))
    table.line("  until Prefect shows them", "")
    return in_prefect


async def _at_rest(table: Table, seconds: float) -> None:
    table.restart()
    before, began = cpu_by_kind(table.parts), time.monotonic()
    await asyncio.sleep(seconds)
    shares = between(before, cpu_by_kind(table.parts), (time.monotonic() - began) / 100)
    memory = memory_by_kind(table.parts)
    table.line("at rest, all processes", f"{sum(memory.values()):.0f} MB, {sum(shares.values()):.1f}% CPU")
    _say(f"    {in_words(memory, 'MB')}; {in_words(shares, '% of a processor', 1)}")


async def _events(
    table: Table, clients: Clients, receiver: ReceiverApart, codes: list[str], counts: Counts, bare: float
) -> None:
    one_by_one = random.sample(codes, min(counts.one_by_one, len(codes)))
    with table.split(len(one_by_one)):
        late = await clients.one_by_one(one_by_one, receiver)
        half, most = late[len(late) // 2], late[int(len(late) * 0.95)]
        compared = f"{half / bare:.1f} and {most / bare:.1f} bare commits"
        table.line("event to row, p50 / p95", f"{half * 1000:.1f} / {most * 1000:.1f} ms", compared)
    at_once = codes[: counts.subjects]
    with table.split(len(at_once)):
        table.line("all at once, no notice", f"{await clients.contacts(at_once):.0f} /s")
    with table.split(len(at_once)):
        before = len(receiver.requests)
        rate = await clients.serious(at_once)
        await arrived(receiver, before + SERIOUS_NOTICES * len(at_once), HANDED_SECONDS)
        table.line("all at once, two notices each", f"{rate:.0f} /s")


async def _killed(table: Table, clients: Clients, receiver: ReceiverApart, codes: list[str]) -> None:
    before = len(receiver.requests)
    await clients.serious(codes)
    table.parts.kill()
    handed, began = len(receiver.requests) - before, time.monotonic()
    table.parts.start()
    table.restart()
    await all_handed(table.parts)
    seconds = time.monotonic() - began
    await asyncio.sleep(2)
    lost = len(clients.acknowledged) - table.parts.number(
        "SELECT count(DISTINCT id) FROM events WHERE source = 'bench'"
    )
    rows = table.parts.number("SELECT count(*) - count(DISTINCT id) FROM events WHERE source = 'bench'")
    marked, unmarked = told_again(receiver, before)
    due = SERIOUS_NOTICES * len(codes)
    missing = due - (len(receiver.requests) - before - marked - unmarked)
    table.line(
        "SIGKILL, rows lost / doubled", f"{lost} / {rows}", f"{len(codes)} in flight, {handed} of {due} told"
    )
    table.line(
        "  told again: marked / unmarked", f"{marked} / {unmarked}", f"all handed after {seconds:.0f} s"
    )
    table.line(
        "  notices first told as repeated", f"{max(missing, 0)}", "killed before the receiver had them"
    )


async def _all_shown(parts: Parts, count: int) -> None:
    what = f"Prefect to show {count} subjects"
    await until(lambda: shown(parts.prefect, JOURNEY) >= count, what, 60 + count * SHOWN_SECONDS_EACH, 1)


async def all_handed(parts: Parts) -> None:
    """Wait until no notice waits for its hand-over; raises TimeoutError when one does for long."""
    await until(lambda: not parts.number(WAITING), "every notice to be handed over", HANDED_SECONDS, 0.5)


def _busy_seconds() -> float:
    """The CPU seconds that this machine has worked since it started."""
    user, nice, system, _, _, irq, softirq, *_ = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    ticks = sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the measurements are this program's output


if __name__ == "__main__":
    main()
