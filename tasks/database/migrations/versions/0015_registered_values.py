"""Registers each value of accounts and tokens, and gives sessions their hashes.

Those that are there already are taken as they are: from now on nobody can change them unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op

from tasks.hashing.rows import chained, hash_of

revision = "0015"
down_revision = "0014"

Row = dict[str, Any]
_AT_ONCE = 500
# Each table: its key, its other columns, and the kinds of those that need a cast.
_VALUES: Mapping[str, tuple[str, Sequence[str], Mapping[str, str]]] = {
    "accounts": (
        "code",
        (
            *("name", "role", "sites", "language", "speaks_for_others", "active"),
            *("password", "totp", "created_at"),
        ),
        {"sites": "json", "speaks_for_others": "boolean", "active": "boolean"},
    ),
    "tokens": (
        "digest",
        ("account", "note", "in_file", "created_at", "expires_at", "revoked_at"),
        {"in_file": "boolean"},
    ),
}
_SESSION = ("digest", "account", "opened_at", "address")


def upgrade() -> None:
    op.add_column("sessions", sa.Column("hash", sa.Text))
    connection = op.get_bind()
    _hash_sessions(connection)
    lines = [line for table in _VALUES for line in _lines(connection, table)]
    if lines:
        began = {"about": "", "key": f"{len(lines)} values of accounts and tokens, as they were found"}
        _append(connection, [began | {"what": "began", "row_hash": None}, *lines])


def _hash_sessions(connection: sa.Connection) -> None:
    sessions = sa.table("sessions", *(sa.column(name) for name in (*_SESSION, "hash")))
    columns = [sessions.c[name] for name in _SESSION]
    for row in connection.execute(sa.select(*columns)).mappings().all():
        mine = sessions.c.digest == row["digest"]
        connection.execute(sessions.update().where(mine).values(hash=hash_of("sessions", dict(row))))


def _lines(connection: sa.Connection, table: str) -> Iterator[Row]:
    key, columns, kinds = _VALUES[table]
    wanted = [_stored(connection, name, kinds.get(name)) for name in (key, *columns)]
    query = sa.select(*wanted).select_from(sa.table(table)).order_by(sa.column(key))
    for row in connection.execute(query).mappings().all():
        for column in columns:
            value = bool(row[column]) if kinds.get(column) == "boolean" else row[column]
            digest = hash_of(table, {"of": row[key], "column": column, "value": value})
            yield {"about": table, "key": f"{row[key]}\x1f{column}", "what": "kept", "row_hash": digest}


def _stored(connection: sa.Connection, name: str, kind: str | None) -> sa.ColumnElement[Any]:
    plain: sa.ColumnElement[Any] = sa.column(name)
    if connection.dialect.name == "postgresql" and kind == "json":
        return sa.cast(plain, sa.Text).label(name)
    return plain


def _append(connection: sa.Connection, lines: Sequence[Row]) -> None:
    chains = sa.table("chains", sa.column("name"), sa.column("number"), sa.column("head"))
    mine, at = chains.c.name == "register", _now(connection)
    end = connection.execute(sa.select(chains.c.number, chains.c.head).where(mine)).one()
    rows = [{"number": nth, **line, "at": at} for nth, line in enumerate(lines, end.number + 1)]
    hashes = list(chained("register", rows, end.head))
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in (*rows[0], "hash")]
    statement = sa.table("register", *columns).insert()
    told = [row | {"hash": each} for row, each in zip(rows, hashes, strict=True)]
    for first in range(0, len(told), _AT_ONCE):
        connection.execute(statement, told[first : first + _AT_ONCE])
    connection.execute(chains.update().where(mine).values(number=rows[-1]["number"], head=hashes[-1]))


def _now(connection: sa.Connection) -> str:
    """The database's own time (UTC), as instants are stored."""
    if connection.dialect.name == "sqlite":
        return str(connection.scalar(sa.text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'")))
    return str(connection.scalar(sa.text("SELECT now()")).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
