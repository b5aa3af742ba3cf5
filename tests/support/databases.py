"""Databases of a study in which nobody is enrolled, copied from one that was migrated once.

Migrating takes longer than most tests.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import URL

from tasks.database.store import Store
from tests.support.postgres import fresh_database


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory(prefix="itp-migrated-") as folder:
        file = Path(folder) / "study.db"
        Store.open(f"sqlite:///{file}").close()
        assert list(file.parent.iterdir()) == [file], "SQLite has put everything into the one file"
        return file.read_bytes()


def migrated_sqlite(file: Path) -> str:
    """Write a migrated database to a new file; its SQLAlchemy URL."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as new:
        new.write(_migrated_file())
    return f"sqlite:///{file}"


@contextmanager
def migrated_template(server: URL) -> Iterator[URL]:
    """A migrated database on this server that nobody uses, for `fresh_database` to copy."""
    with fresh_database(server) as url:
        Store.open(url.render_as_string(hide_password=False)).close()
        yield url
