"""The study's database: SQLite (WAL) or PostgreSQL, opened at the newest migration.

It knows transactions and no tables: those are in `tasks.database.schema`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
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
from tasks.database.custody import refuse_moved
from tasks.database.migrate import migrate
from tasks.database.schema import json_text, read_json
from tasks.database.sqlite import StudyFile
from tasks.database.turns import Pace, Places, Turns
from tasks.limits import DOOR_CONNECTIONS, DOOR_CONNECTIONS_IN_A_BURST, TRANSACTIONS_AT_WORK

Result = TypeVar("Result")

log = logging.getLogger(__name__)

# The errors of a database that is down, locked, full, or being moved: another try may succeed.
NO_ANSWER = (OperationalError, InterfaceError, InternalError, NoConnectionFree)

# Longer than a burst of events holds every connection; a door that waits longer is asked to come again.
POOL_SECONDS = 4.0
_TRIES = 4
_DEADLOCK = "40P01"
_RAISED = "P0001"


class Store:
    """An open database. Its methods may be called from several threads, its files by several processes."""

    def __init__(self, engine: sa.Engine, file: StudyFile | None = None, places: int = 0) -> None:
        """`file` is SQLite's; a database server has none. `places` bounds the transactions side by side;
        0: as many as want to.
        """
        self.engine = engine
        self._places = Places(places) if places else None
        self._file = file
        self._turns = Turns()
        self._pace = Pace(TRANSACTIONS_AT_WORK)
        self._writer = sqlite.writing(engine)

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the database at a URL and migrate it to the newest revision.

        The URL is `sqlite:///path/to/study.db` or `postgresql://user@host/database`.

        Raises:
            BadInput: the URL is neither.
            Moved: the study goes on in another database.
            ItpError: the database cannot be reached, or is newer than this program.
        """
        store = cls.open_moved(url)
        try:
            with store.reading() as connection:
                refuse_moved(connection)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open_moved(cls, url: str) -> Store:
        """`open`, also when the study was moved to another database."""
        store = cls.unmigrated(url)
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

    @classmethod
    def unmigrated(cls, url: str) -> Store:
        """The database at a URL as it is; nothing is asked of it yet. Raises BadInput, as `open` does."""
        return cls(*_engine(url), places=DOOR_CONNECTIONS + DOOR_CONNECTIONS_IN_A_BURST)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def apart(self, size: int) -> Store:
        """The same database through a pool of its own, so that waiting for the other pool delays nobody here.

        It holds up to `size` connections, and twice as many in a burst; with 0 it opens one for each
        transaction.
        """
        url, pool = self.engine.url, _pool(size, size)
        if self._file is None:
            return Store(postgresql.open_engine(url, **pool), places=2 * size)
        return Store(self._file.open_engine(url, **pool), self._file, places=2 * size)

    @contextmanager
    def reading(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that only reads; it never waits for writers.

        PostgreSQL ends its statements after 5 s, or with `long`, for questions about a whole study, after a
        minute.
        """
        with self._place(), self.engine.begin() as connection, self._patiently(connection, long):
            yield connection

    @contextmanager
    def writing(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that writes. On SQLite it holds the write lock from its beginning.

        Raises:
            OperationalError: the database went away meanwhile, or on SQLite its file did.
        """
        if self._file is None:
            with self._place(), self.engine.begin() as connection, self._patiently(connection, long):
                yield connection
            return
        with self._file.writers_turn(), self._place(), self._writer.connect() as connection:
            with connection.begin():
                yield connection
            self._file.confirm(connection)

    @contextmanager
    def migrating(self) -> Iterator[sa.Connection]:
        """A transaction that writes, without limits of time."""
        with self.writing() as connection:
            if self._file is not None:
                yield connection
                return
            with postgresql.without_limits(connection):
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A transaction that reads the whole study as it was at one instant, while others write."""
        with self._place(), self.engine.begin() as connection:
            if self._file is not None:
                yield connection
                return
            with postgresql.snapshot(connection):
                yield connection

    def _place(self) -> AbstractContextManager[None]:
        return self._places.place(POOL_SECONDS) if self._places else nullcontext()

    def _patiently(self, connection: sa.Connection, long: bool) -> AbstractContextManager[None]:
        return postgresql.patiently(connection) if long and self._file is None else nullcontext()

    def write(
        self, step: Callable[[sa.Connection], Result], *, about: Collection[str] = (), ahead: bool = False
    ) -> Result:
        """Run `step` in one writing transaction and return its result once it is committed.

        When another transaction won a race for the same row, the step is repeated on what that one left. With
        `about`, the codes of the subjects whose rows the step locks, only a few transactions wait for each
        row side by side. With `ahead` the step does not stand behind others in a burst: it ends what has
        begun.

        Raises:
            sqlalchemy.exc.TimeoutError: no connection, or no place among those few, became free in time.
        """
        if self._file is not None:
            # One writes there at a time.
            return self._write(step)
        with ExitStack() as turns:
            for code in sorted(about, key=in_order):
                turns.enter_context(self._turns.of(code))
            with self._pace.turn(ahead=ahead):
                return self._write(step)

    def _write(self, step: Callable[[sa.Connection], Result]) -> Result:
        for _ in range(_TRIES - 1):
            try:
                with self.writing() as connection:
                    return step(connection)
            except DBAPIError as error:
                if _was_refused(error):
                    self._refuse_if_moved()
                if not _lost_a_race(error):
                    raise
        with self.writing() as connection:
            return step(connection)

    def _refuse_if_moved(self) -> None:
        """Raise Moved when the study left this database while it was open: its triggers refuse then."""
        with self.reading() as connection:
            refuse_moved(connection)


def in_order(code: str) -> str:
    """The key by which every transaction sorts the subjects that it locks: so no two wait for each other.

    Codes that differ in case only are one subject.
    """
    return code.lower()


def _was_refused(error: DBAPIError) -> bool:
    """Whether a constraint or a trigger refused; SQLite tells the two by one error."""
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) == _RAISED


def _lost_a_race(error: DBAPIError) -> bool:
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) == _DEADLOCK


def first_line(error: Exception) -> str:
    """The first line of a database's error, without the statement."""
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
    options: dict[str, Any] = {"json_serializer": json_text, "json_deserializer": read_json}
    if size == 0:
        return options | {"poolclass": sa.NullPool}
    return options | {"pool_size": size, "max_overflow": overflow, "pool_timeout": POOL_SECONDS}
