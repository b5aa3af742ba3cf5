"""The CPU and memory of a service by kind of process: doors, loop, Prefect, PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bench.parts import Parts
from bench.processes import cpu_of, memory_of, named

ByKind = Mapping[str, float]
_COMMANDS = (
    ("server_child", "Prefect"),
    ("api.worker", "doors"),
    ("\0api\0", "doors"),
    ("postgres", "PostgreSQL"),
    ("deployments.cli", "loop"),
)
Measure = Callable[[Iterable[int]], float]


def cpu_by_kind(parts: Parts, **aside: int) -> ByKind:
    """The CPU seconds so far; `aside` are processes, by name, that measure the service and are none of it."""
    return _summed(parts.pids(), cpu_of) | {name: cpu_of([pid]) for name, pid in aside.items()}


def memory_by_kind(parts: Parts) -> ByKind:
    """The MB now; what several processes share is counted once."""
    return _summed(parts.pids(), memory_of)


def kind(pid: int) -> str:
    """What a process of the service is; `other` when it is none of those named above."""
    return next((found for part, found in _COMMANDS if named(pid, part)), "other")


def between(before: ByKind, after: ByKind, count: float = 1.0) -> ByKind:
    """The difference of two measurements, divided by a count."""
    return {each: (after[each] - before.get(each, 0.0)) / count for each in after}


def in_words(amounts: ByKind, unit: str, digits: int = 0) -> str:
    """The amounts as `doors 16, loop 1 ms`, the largest first; those that would be 0 are left out."""
    least = 0.5 * 10.0**-digits
    shown = sorted(((amount, each) for each, amount in amounts.items() if amount >= least), reverse=True)
    return ", ".join(f"{each} {amount:.{digits}f}" for amount, each in shown) + f" {unit}"


def _summed(pids: Iterable[int], measure: Measure) -> dict[str, float]:
    found: dict[str, float] = {}
    for pid in pids:
        each = kind(pid)
        found[each] = found.get(each, 0.0) + measure([pid])
    return found
