"""`python -m storm`: random kills and faults on the real service, for minutes or hours.

Prints what it breaks, then one JSON object: figures, and what was wrong. Exit code 1 when anything was.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from storm.ledger import now
from storm.run import rage
from storm.stage import stage


def main() -> int:
    """Let a storm rage as the options say."""
    parser = argparse.ArgumentParser(prog="python -m storm", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed breaks things in the same order")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--db", choices=("sqlite", "pg"), default="sqlite")
    parser.add_argument("--with-prefect", action="store_true", help="with its Prefect server, killed too")
    parser.add_argument("--program", type=Path, help="another itp, as one of a copy that somebody broke")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="itp-storm-"))
    began = now()
    with stage(home, asked.db, program=asked.program, with_prefect=asked.with_prefect) as found:
        verdict = rage(found, asked.seed, asked.minutes * 60, lambda line: _say(began, line))
    told = {"seed": asked.seed, "db": asked.db, "minutes": asked.minutes, "kept_in": str(home)}
    print(json.dumps(told | {**verdict.figures, "faults": verdict.faults}, default=str, ensure_ascii=False))  # noqa: T201
    return 1 if verdict.faults else 0


def _say(began: datetime, line: str) -> None:
    print(f"{(now() - began).total_seconds():8.1f} s  {line}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
