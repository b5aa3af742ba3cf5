"""Connections to PostgreSQL that never wait for ever: for a lock, for a statement, for a silent server.

A wait that ends raises OperationalError, as every other silence of the database does, and callers try again.
The numbers of connections stand in `tasks.limits`.

Nothing is kept in a session behind a pooler, which lends a connection for one transaction at a time: limits
hold for one transaction, and the one lock that has no row ends with its transaction. Without a pooler
statements that are executed often are prepared, and the server keeps their plans for some seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar, cast

import psycopg
import sqlalchemy as sa
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

from itp_events.errors import BadInput

RV = TypeVar("RV")

# A door or a timer that waited in vain tries again. With these limits all goes on within 10 s after a fault.
CONNECT_SECONDS = 4
LOCK_SECONDS = 2.0
STATEMENT_SECONDS = 5.0
# A statement over the whole study may take longer than one about a subject.
LONG_STATEMENT_SECONDS = 60.0
# Longer than a transaction that decides about many events; a process that stands still in one holds a row.
IDLE_SECONDS = 30.0
# A wait that the server should have ended is ended here: the server says nothing any more.
_GRACE_SECONDS = 1.0

# A connection prepares a statement that it executes this often: planning costs the server more than the work.
_PREPARED_FROM = 3
# A plan is made for the tables as they are. One made for an empty queue would read all of a long one, and the
# server makes it anew only when it has counted the rows, a minute later.
PLANS_SECONDS = 5.0

# A host that vanished sends nothing. The kernel probes it, and gives up what it does not confirm.
_TCP = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
}
# What every connection has, whatever the address or the environment says.
_ALWAYS = {
    "fallback_application_name": "itp",
    "connect_timeout": CONNECT_SECONDS,
    # Of a server with another encoding by default psycopg would read bytes, and texts it could not write.
    "client_encoding": "UTF8",
    # Transactions are begun by hand, together with their limits: a round trip less than one after the other.
    "autocommit": True,
    "prepare_threshold": None,
    **_TCP,
}
_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; "
    f"SET LOCAL lock_timeout = '{LOCK_SECONDS:g}s'; "
    f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS:g}s'; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS:g}s'"
)
_ENCODING = "UTF8"
_LONG = sa.text(f"SET LOCAL statement_timeout = '{LONG_STATEMENT_SECONDS:g}s'")
# Between two of its statements a backup writes to a disk, which may be slow.
_SNAPSHOT = sa.text(
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{LONG_STATEMENT_SECONDS:g}s'"
)
_NO_LIMITS = sa.text("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")


class _Cursor(psycopg.Cursor[Any]):
    """A cursor that prepares no statement without parameters: those that begin a transaction are several."""

    def execute(
        self,
        query: Any,
        params: Any = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Self:
        """Execute a statement; raises what psycopg raises."""
        return super().execute(query, params, prepare=prepare if params else False, binary=binary)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server has not answered for `patience` seconds.

    The server's own limits end its work. This one ends the waits of which the server cannot know: for a
    server that answers no more, while the network takes every byte.
    """

    patience: float | None = STATEMENT_SECONDS + _GRACE_SECONDS
    # Whether it has been lent before, and when its plans were last thrown away, by the monotonic clock.
    has_served = False
    planned_at = float("-inf")

    def forget_old_plans(self) -> None:
        """Let the server make its plans anew, those of foreign keys too, if they are older than seconds."""
        now = time.monotonic()
        if self.prepare_threshold is not None and now - self.planned_at > PLANS_SECONDS:
            self.execute("DISCARD PLANS")
            self.planned_at = now

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for the server's answer, as every statement does.

        Raises:
            psycopg.OperationalError: there was no answer in time.
        """
        began, bound = time.monotonic(), self.patience if timeout is None else timeout
        try:
            return super().wait(gen, interval, bound)
        except psycopg.OperationalError as problem:
            if bound is None or time.monotonic() - began < bound:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server did not answer for {bound:g} s") from problem


def open_engine(url: sa.URL, **options: Any) -> sa.Engine:
    """An engine of bounded connections; `options` are SQLAlchemy's.

    Its first connection raises BadInput when the database is in another encoding than UTF8.
    """
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), **options)
    sa.event.listen(engine, "do_connect", _connect)
    sa.event.listen(engine, "checkout", _begin_ahead)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _connect(_dialect: object, _record: object, given: list[Any], named: dict[str, Any]) -> BoundedConnection:
    connection = BoundedConnection.connect(*given, cursor_factory=_Cursor, **(named | _ALWAYS))
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (_ENCODING, None):
        name = connection.info.dbname
        connection.close()
        raise BadInput(_other_encoding(name, encoding), "ITP_DATABASE_URL")
    connection.prepare_threshold = None if _is_pooled(connection) else _PREPARED_FROM
    return connection


def _is_pooled(connection: BoundedConnection) -> bool:
    """Whether a pooler stands before the server: it names a process of its own, or none."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != connection.info.backend_pid


def _other_encoding(name: str, encoding: str) -> str:
    return (
        f"the database {name} is in {encoding}, which cannot hold every text; name another one, made by: "
        f"CREATE DATABASE name ENCODING '{_ENCODING}' TEMPLATE template0"
    )


def _begin_ahead(driver: BoundedConnection, _record: object, _proxy: object) -> None:
    """Begin a transaction as a connection is lent again; one that the server has closed is replaced.

    A question of its own would find that out too, with one more round trip.
    """
    if driver.has_served:
        try:
            driver.forget_old_plans()
            driver.execute(_BEGIN)
        except psycopg.OperationalError as problem:
            raise InvalidatePoolError from problem
    driver.has_served = True


def _begin(connection: sa.Connection) -> None:
    driver = cast("BoundedConnection", connection.connection.dbapi_connection)
    # Most connections were lent with a transaction begun: not a new one, nor one that begins its second.
    if driver.info.transaction_status == TransactionStatus.IDLE:
        connection.exec_driver_sql(_BEGIN)


@contextmanager
def patiently(connection: sa.Connection) -> Iterator[None]:
    """Let the statements of a transaction take as long as a question about the whole study may."""
    with _bounded_by(connection, LONG_STATEMENT_SECONDS + _GRACE_SECONDS):
        connection.execute(_LONG)
        yield


@contextmanager
def snapshot(connection: sa.Connection) -> Iterator[None]:
    """Let a transaction see the whole database as it was at its first question; it may only read."""
    with _bounded_by(connection, LONG_STATEMENT_SECONDS + _GRACE_SECONDS):
        connection.execute(_SNAPSHOT)
        connection.execute(_LONG)
        yield


@contextmanager
def without_limits(connection: sa.Connection) -> Iterator[None]:
    """Let the statements of a transaction take their time: a migration rewrites tables."""
    with _bounded_by(connection, None):
        connection.execute(_NO_LIMITS)
        yield


def ask_together(
    connection: sa.Connection, questions: Sequence[tuple[str, Any]]
) -> list[list[dict[str, Any]]]:
    """Execute statements, given in the driver's words, in one round trip; the rows of each, by name.

    Raises:
        DBAPIError: the server refused one of them.
    """
    driver = cast("BoundedConnection", connection.connection.dbapi_connection)
    try:
        with driver.pipeline():
            cursors = [driver.cursor(row_factory=dict_row).execute(*question) for question in questions]
    except psycopg.Error as problem:
        raise DBAPIError.instance(None, None, problem, psycopg.Error, dialect=connection.dialect) from problem
    return [_rows(cursor) for cursor in cursors]


def _rows(cursor: psycopg.Cursor[dict[str, Any]]) -> list[dict[str, Any]]:
    # `description`, which would tell too, makes an object of each column.
    return cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []


@contextmanager
def _bounded_by(connection: sa.Connection, seconds: float | None) -> Iterator[None]:
    driver = cast("BoundedConnection", connection.connection.dbapi_connection)
    before, driver.patience = driver.patience, seconds
    try:
        yield
    finally:
        driver.patience = before
