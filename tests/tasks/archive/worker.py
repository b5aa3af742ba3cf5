"""Backs up or restores in a process of its own, which a test may kill."""

from multiprocessing.connection import Connection
from pathlib import Path

from tasks.database.store import Store
from tests.tasks.archive.kept import brought_back, kept


def back_up(begun: Connection, url: str, path: Path) -> None:
    """Back up over what is there, and say when the work begins."""
    begun.send_bytes(b"begun")
    store = Store.open(url)
    kept(store, path, replace=True)
    store.close()


def bring_back(begun: Connection, url: str, path: Path) -> None:
    """Restore, and say when the work begins."""
    begun.send_bytes(b"begun")
    brought_back(path, url)
