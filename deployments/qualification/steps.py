"""A step of the qualification, the run of all of them, and their results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from deployments.qualification.installation import Failed, Installation
from itp_events.errors import ItpError

Outcome = Literal["passed", "failed", "not run"]


@dataclass
class Scene:
    """The material of a step: the installation, and the lines that say what it did and found."""

    site: Installation
    did: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Say what was done and found."""
        self.did.append(line)

    def expect(self, holds: object, what: str, found: object = "") -> None:
        """Note a thing that must hold.

        Raises:
            Failed: it does not.
        """
        if not holds:
            raise Failed(f"not so: {what}" + (f"; found: {found}" if found != "" else ""))
        self.note(what)


@dataclass(frozen=True)
class Step:
    """One step: its number in the protocol, what it shows, of which requirements, and how."""

    id: str
    title: str
    requirements: tuple[str, ...]
    act: Callable[[Scene], None]
    # Nothing after it can be done where it fails.
    vital: bool = False


@dataclass(frozen=True)
class Result:
    """The outcome of a step, in so many real seconds; `error` says why it did not pass."""

    step: Step
    outcome: Outcome
    seconds: float
    did: Sequence[str]
    error: str | None = None


def run(steps: Iterable[Step], site: Installation) -> Iterator[Result]:
    """Take the steps in their order; after a vital one that failed the others are said not to have run."""
    lost: str | None = None
    for step in steps:
        if lost is not None:
            yield Result(step, "not run", 0.0, (), f"{lost} failed")
            continue
        result = _taken(step, site)
        yield result
        if step.vital and result.outcome == "failed":
            lost = step.id


def _taken(step: Step, site: Installation) -> Result:
    scene, began = Scene(site), time.monotonic()
    outcome: Outcome = "passed"
    error = None
    try:
        step.act(scene)
    except (Failed, ItpError) as problem:
        outcome, error = "failed", str(problem)
    except Exception as problem:  # noqa: BLE001 - whatever breaks a step, the step has not passed
        outcome, error = "failed", f"{type(problem).__name__}: {problem}"
    return Result(step, outcome, time.monotonic() - began, tuple(scene.did), error)
