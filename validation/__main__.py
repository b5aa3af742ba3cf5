"""`make validation`: runs the tests and the qualification, and writes the pack of exactly these two runs."""

import argparse
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from deployments.bootstrap.clock import Clock
from validation import traces
from validation.forms import page, write_pdf
from validation.pack import Pack, assemble
from validation.results import ForeignResults, read, totals
from validation.traces import ROOT
from validation.tree import commit, fingerprint


def main() -> int:
    """Make the pack; 0 when everything passed, 1 when something did not or the traces have holes."""
    options = _options()
    if holes := traces.main():
        _say("\n".join(holes))
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    tree, began = fingerprint(), Clock().now()
    results = options.results or _tested(options.out / "tests.xml", tree, options.workers)
    qualification = _qualified(options.out)
    if fingerprint() != tree:
        _say("the source changed while the tests ran: nothing is written; run it again")
        return 1
    try:
        pack = assemble(_run(tree, began, results), read(results, tree), qualification)
    except ForeignResults as problem:
        _say(str(problem))
        return 1
    _write(pack, options.out)
    return 0 if pack.passed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m validation", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "validation", help="where the pack goes")
    parser.add_argument("--workers", default="4", help="processes for the tests")
    parser.add_argument(
        "--results",
        type=Path,
        help="the JUnit XML of a run of this very source, instead of running the tests: "
        'pytest --junitxml FILE -o junit_suite_name="$(python -m validation.tree)"',
    )
    return parser.parse_args()


def _tested(path: Path, tree: str, workers: str) -> Path:
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={path}", "-o", f"junit_suite_name={tree}"]
    subprocess.run(
        [*command, "-n", workers, "--dist", "loadgroup", "--no-loadscope-reorder"], cwd=ROOT, check=False
    )
    return path


def _qualified(out: Path) -> dict[str, Any]:
    """The qualification of the program that is installed beside this Python.

    Raises:
        SystemExit: it could not begin, so there is nothing to report.
    """
    command = [str(Path(sys.executable).with_name("itp")), "qualify", "--json"]
    ended = subprocess.run(
        [*command, "--report", str(out / "qualification.html")],
        cwd=out,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        raise SystemExit(f"itp qualify ended with {ended.returncode} and no report") from None
    (out / "qualification.json").write_text(ended.stdout, encoding="utf-8")
    return found


def _run(tree: str, began: datetime, results: Path) -> dict[str, Any]:
    tested = datetime.fromtimestamp(results.stat().st_mtime, UTC)
    return {
        "Program": f"itp-visits {metadata.version('itp-visits')}",
        "Commit": commit(),
        "SHA-256 of the source": tree,
        "Began": f"{began:%Y-%m-%d %H:%M} UTC",
        "Ended": f"{Clock().now():%Y-%m-%d %H:%M} UTC; the tests at {tested:%Y-%m-%d %H:%M} UTC",
        "Machine": f"{platform.node()}, {platform.platform()}, Python {platform.python_version()}",
    }


def _write(pack: Pack, out: Path) -> None:
    (out / "validation.html").write_text(page(pack), encoding="utf-8")
    write_pdf(pack, out / "validation.pdf")
    verdicts = [each.verdict for each in pack.shown]
    for each in pack.shown:
        if each.verdict != "shown":
            _say(f"{each.requirement.id} {each.verdict}: {each.requirement.says}")
    counts, qualified = totals(pack.results), "passed" if pack.qualification["passed"] else "NOT passed"
    _say(
        f"{'Passed' if pack.passed else 'NOT passed'}: {verdicts.count('shown')} of {len(verdicts)} "
        f"requirements shown; {counts['passed']} cases passed, {counts['failed']} failed, "
        f"{counts['skipped']} skipped; qualification {qualified}. {out}/validation.html and .pdf"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
