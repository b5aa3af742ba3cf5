"""The triggers of the database: which there are, and a way to work on a table without them.

Migrations make them. The register holds each by its hash, so that one that is dropped or changed is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from tasks.hashing.rows import text_hash

_IN_SQLITE = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
# By its parts, since the text that PostgreSQL gives for a trigger may differ between its versions.
_IN_POSTGRESQL = sa.text(
    "SELECT t.tgname AS name, concat_ws(' ', c.relname, t.tgtype, t.tgenabled::text, p.proname, p.prosrc, "
    "t.tgattr::text, encode(t.tgargs, 'hex'), pg_get_expr(t.tgqual, t.tgrelid)) AS sql "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE NOT t.tgisinternal AND n.nspname = current_schema()"
)


def triggers_in(connection: sa.Connection) -> dict[str, str]:
    """The hash of each trigger of this database, by `sqlite:` or `postgresql:` and the trigger's name."""
    kind = connection.dialect.name
    query = _IN_SQLITE if kind == "sqlite" else _IN_POSTGRESQL
    return {f"{kind}:{row.name}": text_hash(row.sql) for row in connection.execute(query)}


@contextmanager
def lifted(connection: sa.Connection, table: str) -> Iterator[None]:
    """Let a migration or a restore change the rows of an append-only table, in its own transaction."""
    if connection.dialect.name == "sqlite":
        of_it = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table")
        there = connection.execute(of_it, {"table": table}).all()
        for row in there:
            connection.execute(sa.text(f"DROP TRIGGER {row.name}"))
        yield
        for row in there:
            # As it was, letter for letter: a colon in it is no parameter.
            connection.exec_driver_sql(row.sql)
        return
    connection.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    yield
    connection.execute(sa.text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))


def refuse_changes(connection: sa.Connection, table: str, same_row: str) -> None:
    """Let a table be appended to only: its rows are neither changed nor removed, by whatever program.

    `same_row` is the condition by which a row of the table has the key of the new row, which is `NEW`.
    """
    if connection.dialect.name == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        # INSERT OR REPLACE removes the row that it replaces without the trigger of its removal.
        again = f"INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same_row})"
        for name, when in (
            ("update", f"UPDATE ON {table}"),
            ("delete", f"DELETE ON {table}"),
            ("replace", again),
        ):
            connection.exec_driver_sql(f"CREATE TRIGGER {table}_no_{name} BEFORE {when} {refuse}")
        return
    connection.exec_driver_sql(
        f"CREATE FUNCTION {table}_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    for name, when in (("change", "UPDATE OR DELETE"), ("truncate", "TRUNCATE")):
        each = "STATEMENT" if name == "truncate" else "ROW"
        connection.exec_driver_sql(
            f"CREATE TRIGGER {table}_no_{name} BEFORE {when} ON {table} FOR EACH {each} "
            f"EXECUTE FUNCTION {table}_refuse_change()"
        )
