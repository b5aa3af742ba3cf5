"""The addresses of databases in files. It loads no database, so that settings are read at once."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote


def sqlite_address(path: Path, driver: str = "sqlite") -> str:
    """The URL of a SQLite file, whatever letters its path has: some of them mean something in a URL."""
    # Written as SQLAlchemy writes it, so that an address that is kept stays the same.
    return f"{driver}:///{quote(str(path.absolute()), safe='/ +')}"
