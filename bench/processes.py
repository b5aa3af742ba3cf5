"""The CPU seconds and the memory of processes, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# A process may end while it is looked at.
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, and of its children that have ended and been collected."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / _TICKS


def tree(pid: int) -> Iterator[int]:
    """A process and all that it has started, which still run."""
    yield pid
    with suppress(*_GONE):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from tree(int(child))


def cpu_of(pids: Iterable[int]) -> float:
    """The CPU seconds of processes together."""
    total = 0.0
    for pid in pids:
        with suppress(*_GONE):
            total += cpu_seconds(pid)
    return total


def memory_of(pids: Iterable[int]) -> float:
    """The MB of processes together; what several share is counted once (PSS)."""
    total = 0
    for pid in pids:
        with suppress(*_GONE):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def named(pid: int, part: str) -> bool:
    """Whether a process was started by a command that contains this."""
    with suppress(*_GONE):
        return part in Path(f"/proc/{pid}/cmdline").read_text()
    return False
