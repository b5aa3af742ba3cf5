"""Backs up or restores in a process of its own, which a test may kill."""

import sys
from pathlib import Path

from tasks.database.store import Store
from tests.tasks.archive.kept import brought_back, kept


def main(what: str, url: str, path: str) -> None:
    """Print a line when the work begins."""
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    if what == "restore":
        brought_back(Path(path), url)
        return
    store = Store.open(url)
    kept(store, Path(path), replace=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
