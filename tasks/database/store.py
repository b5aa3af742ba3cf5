"""The study's database: SQLite (WAL) or PostgreSQL, opened at the newest migration."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
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
from tasks.database import postgresql, sqlite
from tasks.database.migrate import migrate
from tasks.database.sqlite import StudyFile
from tasks.database.turns import Turns
from tasks.limits import DOOR_CONNECTIONS, DOOR_CONNECTIONS_IN_A_BURST

Result = TypeVar("Result")

log = logging.getLogger(__name__)

# What a database raises that is down, locked, full, or being moved: worth trying again.
NO_ANSWER = (OperationalError, InterfaceError, InternalError, NoConnectionFree)

# Longer than a burst of events holds every connection; a door that waits longer is asked to come again.
POOL_SECONDS = 4.0
_TRIES = 4
_DEADLOCK = "40P01"


class Store:
    """An open database. Its methods may be called from several threads, its files by several processes."""

    def __init__(self, engine: sa.Engine, file: StudyFile | None = None) -> None:
        """`file` is SQLite's; a database server has none."""
        self.engine = engine
        self._file = file
        self._turns = Turns()
        self._writer = sqlite.writing(engine)

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the database at a URL and migrate it to the newest revision.

        `sqlite:///path/to/study.db` or `postgresql://user@host/database`. Raises BadInput for a URL that is
        neither, and ItpError when the database cannot be reached or is newer than this program.
        """
        store = cls(*_engine(url))
        try:
            migrate(store.reading, store.migrating)
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

    def apart(self, size: int) -> Store:
        """The same database through a pool of its own: who waits for the other pool keeps nobody here.

        It holds up to `size` connections, and twice as many for a while; with 0 one for each transaction.
        """
        url, pool = self.engine.url, _pool(size, size)
        if self._file is None:
            return Store(postgresql.open_engine(url, **pool))
        return Store(self._file.open_engine(url, **pool), self._file)

    @contextmanager
    def reading(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that only reads; it never waits for writers.

        Its statements are ended after some seconds on PostgreSQL; `long` allows a minute, for what is asked
        about a whole study.
        """
        with self.engine.begin() as connection, self._patiently(connection, long):
            yield connection

    @contextmanager
    def writing(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that writes: on SQLite it holds the write lock from its beginning.

        Raises OperationalError when the database went away meanwhile, on SQLite also when its file did.
        """
        if self._file is None:
            with self.engine.begin() as connection, self._patiently(connection, long):
                yield connection
            return
        with self._file.writers_turn(), self._writer.connect() as connection:
            with connection.begin():
                yield connection
            self._file.confirm(connection)

    @contextmanager
    def migrating(self) -> Iterator[sa.Connection]:
        """A transaction that writes, and may take its time."""
        with self.writing() as connection:
            if self._file is not None:
                yield connection
                return
            with postgresql.without_limits(connection):
                yield connection

    def _patiently(self, connection: sa.Connection, long: bool) -> AbstractContextManager[None]:
        return postgresql.patiently(connection) if long and self._file is None else nullcontext()

    def write(self, step: Callable[[sa.Connection], Result], *, about: str | None = None) -> Result:
        """Run `step` in one writing transaction and return its result once it is committed.

        When another transaction won a race for the same row, the step is run again on what that one left.
        With the code of the subject whose row it locks (`about`), only a few wait for that row side by side.
        """
        with self._turns.of(about) if about and self._file is None else nullcontext():
            return self._write(step)

    def _write(self, step: Callable[[sa.Connection], Result]) -> Result:
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


def _engine(url: str) -> tuple[sa.Engine, StudyFile | None]:
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
        return postgresql.open_engine(parsed, **_pool(DOOR_CONNECTIONS, DOOR_CONNECTIONS_IN_A_BURST)), None
    raise BadInput(f"{backend} is not supported; use sqlite or postgresql", "ITP_DATABASE_URL")


def _sqlite(url: sa.URL) -> tuple[sa.Engine, StudyFile]:
    if not url.database or url.database == ":memory:":
        raise BadInput("the study needs a file, as sqlite:///study.db", "ITP_DATABASE_URL")
    path = Path(url.database).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = StudyFile(path)
    return file.open_engine(url, **_pool(DOOR_CONNECTIONS, DOOR_CONNECTIONS_IN_A_BURST)), file


def _pool(size: int, overflow: int) -> dict[str, Any]:
    options: dict[str, Any] = {"json_serializer": _json, "json_deserializer": _read_json}
    if size == 0:
        return options | {"poolclass": sa.NullPool}
    return options | {"pool_size": size, "max_overflow": overflow, "pool_timeout": POOL_SECONDS}


def _read_json(text: str | bytes) -> Any:
    """What a column holds; None for a damaged one, so that the rows beside it are read all the same."""
    try:
        return json.loads(text)
    except ValueError:
        log.error("%.40r is no JSON: that row of the study's database is damaged.", text)
        return None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
