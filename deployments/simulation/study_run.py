"""A whole simulated study: subject after subject, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployments.simulation.engine import Study, Watch, follow
from deployments.simulation.record import Record

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Run:
    """A study and what became of its subjects, in the order of their numbers."""

    study: Study
    records: tuple[Record, ...]


def simulate(
    study: Study, subjects: int, progress: Progress | None = None, watch: Watch | None = None
) -> Run:
    """Follow the first `subjects` subjects; `progress` is told how many are done."""
    records = []
    for number in range(subjects):
        records.append(follow(study, number, watch))
        if progress:
            progress(number + 1)
    return Run(study, tuple(records))
