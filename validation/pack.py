"""Puts the validation pack together: requirements, risks, tests and their results, as data for both forms."""

from dataclasses import dataclass
from typing import Any, Literal

from validation.requirements import Regulation, Requirement, regulations, requirements
from validation.results import TestResult, totals
from validation.traces import Trace, traces

Verdict = Literal["shown", "failed", "not run"]


@dataclass(frozen=True)
class Shown:
    """A requirement with the tests that name it, and the qualification's steps that do."""

    requirement: Requirement
    tests: tuple[TestResult, ...]
    steps: tuple[dict[str, Any], ...]

    @property
    def verdict(self) -> Verdict:
        """Shown when a test passed and none failed; a step that did not pass counts as a test that failed."""
        outcomes = {each.outcome for each in self.tests} | {step["outcome"] for step in self.steps}
        if "failed" in outcomes:
            return "failed"
        return "shown" if any(each.outcome == "passed" for each in self.tests) else "not run"


@dataclass(frozen=True)
class Pack:
    """Everything that the pack says, from one run of the tests and one of the qualification."""

    run: dict[str, Any]  # commit, fingerprint, instants, machine: what was run, where and when
    shown: tuple[Shown, ...]
    regulations: tuple[Regulation, ...]
    results: tuple[TestResult, ...]
    tooling: tuple[Trace, ...]
    qualification: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every requirement is shown, no test failed, and the qualification passed."""
        whole = all(each.verdict == "shown" for each in self.shown)
        return whole and not totals(self.results)["failed"] and bool(self.qualification["passed"])

    @property
    def areas(self) -> dict[str, list[Shown]]:
        """The requirements by the file that holds them."""
        found: dict[str, list[Shown]] = {}
        for each in self.shown:
            found.setdefault(each.requirement.area, []).append(each)
        return found

    @property
    def skipped(self) -> list[TestResult]:
        """The tests of which no case ran."""
        return [each for each in self.results if each.outcome == "skipped"]

    def verdict_of(self, name: str) -> Verdict:
        """What the run says of a requirement."""
        return next(each.verdict for each in self.shown if each.requirement.id == name)


def assemble(run: dict[str, Any], results: list[TestResult], qualification: dict[str, Any]) -> Pack:
    """The pack of a run; it holds no result but those given."""
    return Pack(
        run,
        tuple(_shown(each, results, qualification) for each in requirements()),
        tuple(regulations()),
        tuple(results),
        tuple(trace for trace in traces() if trace.tooling),
        qualification,
    )


def _shown(requirement: Requirement, results: list[TestResult], qualification: dict[str, Any]) -> Shown:
    tests = sorted(
        (each for each in results if requirement.id in each.requirements), key=lambda each: each.name
    )
    steps = [step for step in qualification["steps"] if requirement.id in step["requirements"]]
    return Shown(requirement, tuple(tests), tuple(steps))
