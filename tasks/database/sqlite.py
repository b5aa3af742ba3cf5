"""The study's SQLite file: connections to it, its writers in line, and the proof that it is still there.

A file that is deleted, moved or replaced while it is open goes on taking writes, which are lost with the last
process that holds it. So every transaction looks at the file's name before it begins and after it has ended.
A transaction that went nowhere raises OperationalError, and nothing is acknowledged.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

# A writer of another process is waited for so long: longer than a migration or a batch of many events takes.
BUSY_MS = 30_000
# A writer of this process waits for the others as long as each of them may wait for another process.
_TURN_SECONDS = 30.0
_WRITES = "itp_writes"
_HELD = "itp_files"
# The database, and the files that SQLite keeps beside it while it is open: what is recorded stands in all of
# them.
_SUFFIXES = ("", "-wal", "-shm")

Identity = tuple[int, int] | None


class StudyFile:
    """One SQLite file as this process opened it first; several engines may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: Identity = None
        # SQLite's writers poll for their turn, and some never get it. Those of this process stand in line.
        self._turn = RLock()

    def open_engine(self, url: sa.URL, **options: Any) -> sa.Engine:
        """An engine of connections to the file; `options` are SQLAlchemy's."""
        engine = sa.create_engine(url, **options)
        sa.event.listen(engine, "do_connect", self._before_connecting)
        sa.event.listen(engine, "connect", self._connected)
        sa.event.listen(engine, "begin", self._begin)
        return engine

    @contextmanager
    def writers_turn(self) -> Iterator[None]:
        """Stand in line with the other writers of this process; raises OperationalError after 30 s."""
        if not self._turn.acquire(timeout=_TURN_SECONDS):
            raise _problem("the writers of this process wait for one that does not end")
        try:
            yield
        finally:
            self._turn.release()

    def confirm(self, connection: sa.Connection) -> None:
        """Raise OperationalError when a connection writes to another file than the one under the study's
        name.
        """
        if connection.info.get(_HELD) != self._files():
            raise _problem(self._gone())

    def _before_connecting(self, *_: object) -> None:
        # SQLite would begin an empty file where there is none.
        if self._first is not None and _identity(self._path) != self._first:
            raise sqlite3.OperationalError(self._gone())

    def _connected(self, connection: sqlite3.Connection, record: Any) -> None:
        # The driver's own transactions begin too late and with the wrong lock, so they are begun by hand.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # Its first reading opens the two files beside it.
        connection.execute("PRAGMA schema_version").fetchall()
        record.info[_HELD] = self._files()
        self._first = self._first or record.info[_HELD][0]

    def _begin(self, connection: sa.Connection) -> None:
        self.confirm(connection)
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def _files(self) -> tuple[Identity, ...]:
        return tuple(_identity(Path(f"{self._path}{suffix}")) for suffix in _SUFFIXES)

    def _gone(self) -> str:
        return (
            f"{self._path.name} was deleted or replaced while the service runs; nothing is taken in: put it "
            "back or restore a copy, and start the service again"
        )


def ask_each(connection: sa.Connection, questions: Sequence[tuple[str, Any]]) -> list[list[dict[str, Any]]]:
    """Execute statements, given in the driver's words, one after the other; the rows of each, by name.

    Raises:
        DBAPIError: SQLite refused one of them.
    """
    driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
    try:
        return [_rows(driver.execute(words, values)) for words, values in questions]
    except sqlite3.Error as problem:
        raise DBAPIError.instance(None, None, problem, sqlite3.Error, dialect=connection.dialect) from problem


def _rows(cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def writing(engine: sa.Engine) -> sa.Engine:
    """The same engine, whose transactions hold the write lock from their beginning."""
    return engine.execution_options(**{_WRITES: True})


def _identity(path: Path) -> Identity:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _problem(said: str) -> sa.exc.OperationalError:
    return sa.exc.OperationalError("", None, sqlite3.OperationalError(said))
