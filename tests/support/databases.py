"""Databases of a study in which nobody is enrolled, copied from one that was migrated once.

Migrating takes longer than most tests, and so does creating a database on PostgreSQL: it waits for the disk.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL

from tasks.database.store import Store
from tests.support.postgres import create_database, drop_database, fresh_database, libpq


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


# Whatever a test could have left of its own, but for rows.
_STRUCTURE = """
SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
  SELECT concat_ws(' ', c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
  UNION ALL SELECT concat_ws(' ', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', 'schema', nspname) FROM pg_namespace WHERE nspname !~ '^pg_'
  UNION ALL SELECT setconfig::text FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS lines(line)
"""
_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
_ALONE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_FIRST_NUMBERS = "SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence"


class EmptiedDatabases:
    """PostgreSQL databases that are lent to one test after another, each as if it were new.

    One whose tables, triggers, functions or settings a test has changed is thrown away.
    """

    def __init__(self, server: URL, template: URL) -> None:
        self._server, self._template = server, template
        self._idle: list[URL] = []
        with psycopg.connect(libpq(template)) as connection:
            self._structure = _one(connection, _STRUCTURE)
            self._rows = {
                table: rows for table in _tables(connection) if (rows := _copied(connection, table))
            }

    @contextmanager
    def lend(self) -> Iterator[URL]:
        """A database in which nobody is enrolled, for one test."""
        url = self._idle.pop() if self._idle else create_database(self._server, template=self._template)
        try:
            yield url
        finally:
            if self._emptied(url):
                self._idle.append(url)
            else:
                drop_database(self._server, url)

    def close(self) -> None:
        """Drop them."""
        for url in self._idle:
            drop_database(self._server, url)

    def _emptied(self, url: URL) -> bool:
        try:
            with psycopg.connect(libpq(url)) as connection:
                connection.execute(_ALONE)
                if _one(connection, _STRUCTURE) != self._structure:
                    return False
                self._empty(connection)
        except psycopg.Error:
            # The test has shut it, or left it unusable.
            return False
        return True

    def _empty(self, connection: psycopg.Connection) -> None:
        # Without triggers: the record's own refuse to delete.
        connection.execute("SET LOCAL session_replication_role = replica")
        for table in _tables(connection):
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        connection.execute(_FIRST_NUMBERS)
        for table, rows in self._rows.items():
            with connection.cursor() as cursor, cursor.copy(_copy(table, "FROM STDIN")) as copy:
                copy.write(rows)


def _one(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _tables(connection: psycopg.Connection) -> list[str]:
    return [name for (name,) in connection.execute(_TABLES)]


def _copy(table: str, how: str) -> sql.Composed:
    return sql.SQL("COPY {} " + how).format(sql.Identifier(table))


def _copied(connection: psycopg.Connection, table: str) -> bytes:
    with connection.cursor() as cursor, cursor.copy(_copy(table, "TO STDOUT")) as copy:
        return b"".join(bytes(part) for part in copy)
