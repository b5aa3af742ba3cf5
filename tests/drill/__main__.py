"""`python -m tests.drill --count 1000 --from sqlite`: a restore drill under load, and what it found."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.drill.drilling import drilled
from tests.support.postgres import fresh_database, postgres_server


def main() -> int:
    """Drill once; return 1 when there is a flaw."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many events arrive meanwhile")
    parser.add_argument("--from", dest="kind", choices=["sqlite", "pg"], default="sqlite", help="the source")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server() as server,
        fresh_database(server) as database,
    ):
        urls = [f"sqlite:///{Path(folder) / 'study.db'}", database.render_as_string(hide_password=False)]
        source, target = urls if asked.kind == "sqlite" else reversed(urls)
        found = drilled(source, target, Path(folder), asked.count)
    print(found, file=sys.stdout, flush=True)  # noqa: T201 - read by the person at the terminal
    return 1 if found.flaws else 0


if __name__ == "__main__":
    sys.exit(main())
