"""The results of one run of the tests, and the requirements that they name, read from its JUnit XML."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Outcome = Literal["passed", "failed", "skipped"]


@dataclass
class TestResult:
    """One test function: how many of its cases had which outcome, and the requirements that it names."""

    __test__ = False

    name: str  # as pytest names it: file::function
    requirements: frozenset[str] = frozenset()
    cases: Counter[Outcome] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)

    @property
    def outcome(self) -> Outcome:
        """Failed when one case failed, passed when one passed, else skipped."""
        if self.cases["failed"]:
            return "failed"
        return "passed" if self.cases["passed"] else "skipped"


class ForeignResults(Exception):
    """The file holds no results, or those of another source."""


def read(path: Path, tree: str) -> list[TestResult]:
    """The results in a JUnit XML file of a run that was made from the source with the fingerprint `tree`.

    Raises:
        ForeignResults: it is no such file, or was made from other source.
    """
    try:
        suites = list(ET.parse(path).getroot().iter("testsuite"))
    except (OSError, ET.ParseError) as problem:
        raise ForeignResults(f"{path}: no results of tests: {problem}") from problem
    if not suites or any(suite.get("name") != tree for suite in suites):
        raise ForeignResults(f"{path} was made from another source than this one; run the tests again")
    found: dict[str, TestResult] = {}
    for case in (case for suite in suites for case in suite.iter("testcase")):
        _add(found, case)
    return list(found.values())


def _add(found: dict[str, TestResult], case: ET.Element) -> None:
    name = f"{(case.get('classname') or '').replace('.', '/')}.py::{_function(case.get('name') or '')}"
    result = found.setdefault(name, TestResult(name))
    result.requirements |= {each.get("value") or "" for each in case.iter("property") if _is_mark(each)}
    outcome, reason = _outcome(case)
    result.cases[outcome] += 1
    if reason:
        result.reasons.add(reason)


def _is_mark(part: ET.Element) -> bool:
    return part.get("name") == "requirement"


def _function(name: str) -> str:
    return re.sub(r"\[.*", "", name, flags=re.DOTALL)


def _outcome(case: ET.Element) -> tuple[Outcome, str]:
    for part in case:
        if part.tag in ("failure", "error"):
            return "failed", (part.get("message") or "").partition("\n")[0][:200]
        if part.tag == "skipped":
            return "skipped", (part.get("message") or "")[:200]
    return "passed", ""


def totals(results: Iterable[TestResult]) -> Counter[Outcome]:
    """How many cases had which outcome."""
    return sum((each.cases for each in results), Counter())
