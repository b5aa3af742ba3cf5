"""`python -m tests.tampering --count 1000 --db sqlite`: so many random tamperings; how many were found.

Before them, every column that holds facts is changed once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.tampering.changes import columns_with_facts
from tests.tampering.study import sealed_study
from tests.tampering.trial import Trial, tried, tried_on


def main() -> int:
    """Make tamperings one after the other, each on the untouched study; return 1 when one was not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.tampering", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many tamperings")
    parser.add_argument("--db", choices=["sqlite", "pg"], default="sqlite", help="the kind of database")
    parser.add_argument(
        "--seed", type=int, default=0, help="the seed of the first; the others count on from it"
    )
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, sealed_study(asked.db, Path(folder)) as study:
        _say(f"untouched: {study.untouched} findings in {study.rows} rows of {study.subjects} subjects")
        columns = columns_with_facts()
        missed = _missed(tried_on(study, column) for column in columns)
        _say(f"{len(columns) - missed} of {len(columns)} columns: a change was found, the row named")
        seeds = range(asked.seed, asked.seed + asked.count)
        random = _missed(tried(study, seed) for seed in seeds)
    found, took = asked.count - random, time.monotonic() - began
    _say(f"{found} of {asked.count} found, the row named, on {asked.db}, in {took:.0f} s")
    return 1 if missed or random or study.untouched else 0


def _missed(trials: Iterable[Trial]) -> int:
    """The number of trials that were not found; each is told, and how many there were of each kind."""
    kinds, missed = Counter[str](), 0
    for trial in trials:
        kinds[trial.change.what] += 1
        if not trial.found:
            missed += 1
            _say(f"{trial.change}: NOT FOUND; {trial.findings[:3]}")
    for what, count in sorted(kinds.items()):
        _say(f"{count:6} {what}")
    return missed


def _say(line: str) -> None:
    print(line, file=sys.stdout, flush=True)  # noqa: T201 - read by the person at the terminal


if __name__ == "__main__":
    sys.exit(main())
