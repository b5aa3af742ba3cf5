"""Breaks one rule at a time in a copy of the source, and looks whether it is found.

Each break must be found twice: by a test of the requirement that it breaks, and by the qualification. Run
`python -m validation.breaks`, with numbers for some of them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from validation.traces import ROOT, traces

_COPIED = (
    "itp_events",
    "tasks",
    "flows",
    "deployments",
    "tests",
    "validation",
    "examples",
    "storm",
    "pyproject.toml",
)
_QUALIFY = """
import sys, tempfile
from pathlib import Path
from deployments.qualification import installation
from deployments.qualification.qualify import STEPS, qualify
# A break is looked for, and not how quick the machine is.
installation.START_SECONDS = 900.0
told = []
with tempfile.TemporaryDirectory() as folder:
    qualify(Path(folder) / "own", None, told.append, [step for step in STEPS if step.id in sys.argv[1:]])
for each in told:
    print(each.step.id, each.outcome, each.error or "")
sys.exit(any(each.outcome != "passed" for each in told))
"""


@dataclass(frozen=True)
class Break:
    """A rule broken on purpose: in `file` the text `old`, which stands there once, becomes `new`."""

    says: str
    requirement: str
    steps: tuple[str, ...]  # of the qualification; the last of them finds it
    file: str
    old: str
    new: str


BREAKS = (
    Break(
        "a visit is counted from the target of the one before it, not from its actual date",
        "WIN-04",
        ("IQ-3", "OQ-8"),
        "itp_events/rules/windows.py",
        'return Anchor(planned.code, planned.on, "actual", planned.known_at)',
        'return Anchor(planned.code, planned.target, "actual", planned.known_at)',
    ),
    Break(
        "the ladder ends before the sponsor",
        "LAD-01",
        ("IQ-3", "OQ-4"),
        "itp_events/rules/ladder.py",
        "tuple((rung, base + timedelta(days=rung.day)) for rung in ladder.rungs),",
        "tuple((rung, base + timedelta(days=rung.day)) for rung in ladder.rungs[:-1]),",
    ),
    Break(
        "the clock of a safety report runs an hour late",
        "SAF-02",
        ("IQ-3", "OQ-5"),
        "itp_events/rules/safety.py",
        "timedelta(hours=hours) for hours in self.hours",
        "timedelta(hours=hours + 1) for hours in self.hours",
    ),
    Break(
        "a related serious adverse event below grade 4 holds nobody",
        "WDR-04",
        ("IQ-3", "OQ-5", "OQ-6"),
        "itp_events/rules/withdrawal.py",
        "if ae.related and (ae.serious or ae.grade >= (criterion.grade or 0)):",
        "if ae.related and ae.serious and ae.grade >= (criterion.grade or 0):",
    ),
    Break(
        "no age is refused at enrolment",
        "ELI-02",
        ("IQ-3", "OQ-1"),
        "itp_events/rules/eligibility.py",
        "if not limit.holds(age):",
        "if limit.holds(age) and age < 0:",
    ),
    Break(
        "a visit may be recorded before the one that it hangs on",
        "INT-02",
        ("IQ-3", "OQ-1", "OQ-2"),
        "itp_events/intake/rules.py",
        "    anchor = planned.anchor\n    if not planned.firm:",
        "    anchor = planned.anchor\n    if planned is None:",
    ),
    Break(
        "the same event again is refused",
        "INT-04",
        ("IQ-3", "OQ-1"),
        "itp_events/intake/batch.py",
        "    if _says_the_same(event, same, tolerance):",
        "    if not _says_the_same(event, same, tolerance):",
    ),
    Break(
        "a line of the log may be removed",
        "LOG-01",
        ("IQ-3", "IQ-4"),
        "tasks/database/migrations/versions/0001_the_study.py",
        'for verb in ("UPDATE", "DELETE"):',
        'for verb in ("UPDATE",):',
    ),
    Break(
        "a consent withdrawn for the study stops nothing",
        "WDR-01",
        ("IQ-3", "OQ-5", "OQ-7"),
        "itp_events/rules/withdrawal.py",
        'if as_data(event, ConsentWithdrawn).scope == "study"',
        'if as_data(event, ConsentWithdrawn).scope == "nothing"',
    ),
    Break(
        "infusions are proposed and reminded of during a hold",
        "CAL-02",
        ("IQ-3", "OQ-5", "OQ-6"),
        "itp_events/rules/state.py",
        "if planned.outcome or self.held(planned) or self.exit:",
        "if planned.outcome or self.exit:",
    ),
)


class Misplaced(Exception):
    """A break does not fit the source any more."""


def broken(breaking: Break, folder: Path) -> None:
    """Copy the source into `folder`, and break the rule there.

    Raises:
        Misplaced: its text does not stand in its file exactly once.
    """
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    path = folder / breaking.file
    text = path.read_text(encoding="utf-8")
    if text.count(breaking.old) != 1:
        raise Misplaced(f"{breaking.file} holds {breaking.old!r} {text.count(breaking.old)} times, not once")
    path.write_text(text.replace(breaking.old, breaking.new), encoding="utf-8")


def found_by_tests(breaking: Break, folder: Path) -> tuple[bool, str]:
    """Whether a test of the requirement fails in the broken copy, and which."""
    files = sorted({trace.file for trace in traces() if breaking.requirement in trace.names})
    # The rules' own tests where there are any: those that start a service would come first, and take minutes.
    rules = [file for file in files if file.startswith("tests/itp_events/")]
    command = ["-m", "pytest", "-q", "-x", "-p", "no:randomly", "--requirement", breaking.requirement]
    ended = _python(folder, *command, *(rules or files))
    said = [line for line in ended.stdout.splitlines() if line.startswith("FAILED ")]
    return ended.returncode == 1 and bool(said), said[0] if said else ended.stdout[-300:] + ended.stderr[
        -300:
    ]


def found_by_qualification(breaking: Break, folder: Path) -> tuple[bool, str]:
    """Whether the step of the qualification fails in the broken copy, and with which words."""
    ended = _python(folder, "-c", _QUALIFY, *breaking.steps)
    said = next((line for line in ended.stdout.splitlines() if line.startswith(breaking.steps[-1])), "")
    return " failed " in said, said or ended.stderr[-300:]


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def main(numbers: Sequence[int]) -> int:
    """Try the breaks with these numbers, or all; 0 when each was found twice."""
    missed = 0
    for number in numbers or range(1, len(BREAKS) + 1):
        breaking = BREAKS[number - 1]
        with tempfile.TemporaryDirectory(prefix="itp-broken-") as folder:
            broken(breaking, Path(folder))
            tests, said = found_by_tests(breaking, Path(folder))
            steps, told = found_by_qualification(breaking, Path(folder))
        missed += not (tests and steps)
        _say(f"{number}. {breaking.says} ({breaking.requirement})")
        _say(f"   tests: {'found' if tests else 'NOT FOUND'}: {said}")
        _say(f"   qualification: {'found' if steps else 'NOT FOUND'}: {told}")
    return int(bool(missed))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main([int(each) for each in sys.argv[1:]]))
