"""Lets the service log hold changed settings, and has repairs, second factors and cards verified.

The rows that are there are taken as they are: from now on nobody can change them unseen. The register says
how many they were.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op

from tasks.database.triggers import refuse_changes
from tasks.hashing.rows import chained, hash_of

revision = "0019"
down_revision = "0018"

log = logging.getLogger(__name__)

Row = dict[str, Any]
_AT_ONCE = 500
_WHAT = "what IN ('refused', 'exported', 'backed-up', 'settings')"
# Each table whose rows get a hash: its key, the columns that are hashed, and those that need a cast.
_ROWS: Mapping[str, tuple[str, Sequence[str], Mapping[str, str]]] = {
    "repairs": ("id", ("subject", "what", "at"), {}),
    "cards": ("subject", ("subject", "body", "seq", "made_at", "open"), {"body": "json", "open": "boolean"}),
}


def upgrade() -> None:
    connection = op.get_bind()
    _let_settings_in(connection)
    found = sum(_hash_rows(connection, table) for table in _ROWS)
    refuse_changes(connection, "repairs", "id = NEW.id")
    lines = _lines_of_second_factors(connection)
    if found or lines:
        said = f"{found} repairs and cards and {len(lines)} second factors, as they were found"
        log.warning("The register has them from now on: %s; a change before that cannot be found.", said)
        began = {"about": "", "key": said, "what": "began", "row_hash": None}
        _append(connection, [began, *lines])


def _let_settings_in(connection: sa.Connection) -> None:
    """Change what a line of the service log may be about; SQLite cannot without a new table."""
    if connection.dialect.name == "postgresql":
        op.drop_constraint("service_log_what_ck", "service_log", type_="check")
        op.create_check_constraint("service_log_what_ck", "service_log", _WHAT)
        return
    op.create_table(
        "service_log_anew",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("actor", sa.Text),
        sa.Column("door", sa.Text),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("hash", sa.Text),
        sa.PrimaryKeyConstraint("id", name="service_log_pk"),
        sa.CheckConstraint(_WHAT, name="service_log_what_ck"),
    )
    op.execute("INSERT INTO service_log_anew SELECT * FROM service_log ORDER BY id")
    op.drop_table("service_log")
    op.rename_table("service_log_anew", "service_log")
    op.create_index("service_log_about_ix", "service_log", ["about"])
    refuse_changes(connection, "service_log", "id = NEW.id")


def _hash_rows(connection: sa.Connection, table: str) -> int:
    key, columns, kinds = _ROWS[table]
    op.add_column(table, sa.Column("hash", sa.Text))
    names = list(dict.fromkeys([key, *columns]))
    wanted = [_stored(connection, name, kinds.get(name)) for name in names]
    target = sa.table(table, sa.column(key), sa.column("hash"))
    change = target.update().where(target.c[key] == sa.bindparam("of")).values(hash=sa.bindparam("to"))
    told = []
    for row in connection.execute(sa.select(*wanted).select_from(sa.table(table))).mappings():
        said = {name: bool(row[name]) if kinds.get(name) == "boolean" else row[name] for name in columns}
        told.append({"of": row[key], "to": hash_of(table, said)})
    for first in range(0, len(told), _AT_ONCE):
        connection.execute(change, told[first : first + _AT_ONCE])
    return len(told)


def _lines_of_second_factors(connection: sa.Connection) -> list[Row]:
    query = sa.text("SELECT account, step FROM second_factors ORDER BY account")
    return [
        {
            "about": "second_factors",
            "key": f"{row.account}\x1fstep",
            "what": "kept",
            "row_hash": hash_of("second_factors", {"of": row.account, "column": "step", "value": row.step}),
        }
        for row in connection.execute(query)
    ]


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
