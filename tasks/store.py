"""The study's database: SQLite (WAL) or PostgreSQL, opened at the newest migration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from itp_events.errors import BadInput, ItpError
from tasks.migrate import migrate

Result = TypeVar("Result")

# What a database raises that is down, locked, full, or being moved: worth trying again.
NO_ANSWER = (OperationalError, InterfaceError, InternalError, NoConnectionFree)

_BUSY_MS = 30_000
_WRITES = "itp_writes"
_TRIES = 4
_DEADLOCK = "40P01"


class Store:
    """An open database. Its methods may be called from several threads, its files by several processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})
        # SQLite's writers poll for their turn, and some never get it: those of this process stand in line.
        self._turn: AbstractContextManager[object] = RLock() if engine.name == "sqlite" else nullcontext()

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the database at a URL and migrate it to the newest revision.

        `sqlite:///path/to/study.db` or `postgresql://user@host/database`. Raises BadInput for a URL that is
        neither, and ItpError when the database cannot be reached or is newer than this program.
        """
        store = cls(_engine(url))
        try:
            migrate(store.reading, store.writing)
        except DBAPIError as error:
            store.close()
            raise ItpError(
                f"the database cannot be opened: {first_line(error)} (see ITP_DATABASE_URL)"
            ) from error
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads; it never waits for writers."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes: on SQLite it holds the write lock from its beginning."""
        with self._turn, self._writer.begin() as connection:
            yield connection

    def write(self, step: Callable[[sa.Connection], Result]) -> Result:
        """Run `step` in one writing transaction and return its result once it is committed.

        When another transaction won a race for the same row, the step is run again on what that one left.
        """
        for _ in range(_TRIES - 1):
            try:
                with self.writing() as connection:
                    return step(connection)
            except DBAPIError as error:
                if not _lost_a_race(error):
                    raise
        with self.writing() as connection:
            return step(connection)


def _lost_a_race(error: DBAPIError) -> bool:
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) == _DEADLOCK


def first_line(error: Exception) -> str:
    """What a database says is wrong, without the statement that it was asked."""
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise BadInput(
            "not a database URL; use sqlite:///study.db or postgresql://...", "ITP_DATABASE_URL"
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite(parsed)
    if backend == "postgresql":
        return _postgresql(parsed)
    raise BadInput(f"{backend} is not supported; use sqlite or postgresql", "ITP_DATABASE_URL")


def _postgresql(url: sa.URL) -> sa.Engine:
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="READ COMMITTED",
        pool_size=8,
        max_overflow=24,
        pool_pre_ping=True,
        json_serializer=_json,
    )


def _sqlite(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise BadInput("the study needs a file, as sqlite:///study.db", "ITP_DATABASE_URL")
    Path(url.database).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, pool_size=8, max_overflow=24, json_serializer=_json)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late and with the wrong lock: ours are begun by hand.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
