"""Simulated studies that several tests look at; each subject is followed once, alone in its study."""

from functools import cache
from pathlib import Path
from typing import Any

from deployments.simulation.engine import Study, follow
from deployments.simulation.people.behaviour_file import load_behaviour
from deployments.simulation.record import Record
from deployments.simulation.study_run import Run
from deployments.simulation.summary import summary
from itp_events.protocol.file import load_protocol


def study(scenario: str = "typical", seed: int = 1, protocol: Path | None = None) -> Study:
    """A study of a named scenario."""
    behaviour = load_behaviour(scenario)
    return Study(load_protocol(protocol), behaviour, seed, behaviour.start)


def run(scenario: str = "typical", subjects: int = 8, seed: int = 1) -> Run:
    """The first subjects of a scenario."""
    return _run(scenario, subjects, seed)


@cache  # by all three, whether the caller names them or not
def _run(scenario: str, subjects: int, seed: int) -> Run:
    return Run(study(scenario, seed), tuple(_record(scenario, number, seed) for number in range(subjects)))


@cache
def _record(scenario: str, number: int, seed: int) -> Record:
    return follow(study(scenario, seed), number)


def numbers(scenario: str = "typical", subjects: int = 8, seed: int = 1) -> dict[str, Any]:
    """The figures of a run."""
    return summary(run(scenario, subjects, seed))
