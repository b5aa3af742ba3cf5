"""`python -m tests.tampering --count 1000 --db sqlite`: so many random tamperings; how many were found."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.tampering.study import sealed_study
from tests.tampering.trial import tried


def main() -> int:
    """Make tamperings one after the other, each on the untouched study; return 1 when one was not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.tampering", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many tamperings")
    parser.add_argument("--db", choices=["sqlite", "pg"], default="sqlite", help="the kind of database")
    parser.add_argument(
        "--seed", type=int, default=0, help="the seed of the first; the others count on from it"
    )
    asked = parser.parse_args()
    began, kinds, missed = time.monotonic(), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder, sealed_study(asked.db, Path(folder)) as study:
        _say(f"untouched: {study.untouched} findings in {study.rows} rows of {study.subjects} subjects")
        for seed in range(asked.seed, asked.seed + asked.count):
            trial = tried(study, seed)
            kinds[trial.change.what] += 1
            if not trial.found:
                missed += 1
                _say(f"seed {seed}: {trial.change}: NOT FOUND; {trial.findings[:3]}")
    for what, count in sorted(kinds.items()):
        _say(f"{count:6} {what}")
    found = asked.count - missed
    _say(f"{found} of {asked.count} found, the row named, on {asked.db}, in {time.monotonic() - began:.0f} s")
    return 1 if missed or study.untouched else 0


def _say(line: str) -> None:
    print(line, file=sys.stdout, flush=True)  # noqa: T201 - read by the person at the terminal


if __name__ == "__main__":
    sys.exit(main())
