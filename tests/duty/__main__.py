"""Runs simulated weeks of rotas, and prints what was counted; exit code 1 when something did not hold."""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.duty.weeks import run, template


def main() -> int:
    """Run the weeks that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.duty", description=__doc__)
    parser.add_argument("--weeks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the databases lie; a folder in memory is quickest")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = run(options.weeks, options.seed, Path(folder), template(Path(folder)))
    lines = [f"{name}: {count}" for name, count in sorted(figures.counts.items())]
    lines += [f"problems: {len(figures.problems)}", *figures.problems[:20]]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
