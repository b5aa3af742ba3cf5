"""Lets the service log hold changed settings, and has repairs, second factors and cards verified.

The rows that are there are taken as they are: from now on nobody can change them unseen. The register says
how many they were.
"""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa
from alembic import op

from tasks.database import register
from tasks.database.register import Line
from tasks.database.triggers import refuse_changes
from tasks.hashing.rows import hash_of

revision = "0019"
down_revision = "0018"

log = logging.getLogger(__name__)

_WHAT = "what IN ('refused', 'exported', 'backed-up', 'settings')"


def upgrade() -> None:
    connection = op.get_bind()
    _let_settings_in(connection)
    found = _hash_rows(connection, "repairs", "id", *map(sa.column, ("subject", "what", "at")))
    body = sa.cast(sa.column("body"), sa.Text).label("body")
    found += _hash_rows(
        connection,
        "cards",
        "subject",
        sa.column("subject"),
        body,
        *map(sa.column, ("seq", "made_at", "open")),
    )
    refuse_changes(connection, "repairs", "id = NEW.id")
    lines = _lines_of_second_factors(connection)
    if found or lines:
        said = f"{found} repairs and cards and {len(lines)} second factors, as they were found"
        log.warning("The register has them from now on: %s; a change before that cannot be found.", said)
        register.append(connection, [Line("", said, "began"), *lines], register.time_of(connection))


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


def _hash_rows(connection: sa.Connection, table: str, key: str, *columns: sa.ColumnElement[Any]) -> int:
    op.add_column(table, sa.Column("hash", sa.Text))
    target = sa.table(table, sa.column(key), sa.column("hash"))
    change = target.update().where(target.c[key] == sa.bindparam("of")).values(hash=sa.bindparam("to"))
    query = sa.select(sa.column(key).label("of"), *columns).select_from(sa.table(table))
    told = []
    for row in connection.execute(query).mappings():
        said = {name: bool(value) if name == "open" else value for name, value in row.items() if name != "of"}
        told.append({"of": row["of"], "to": hash_of(table, said)})
    if told:
        connection.execute(change, told)
    return len(told)


def _lines_of_second_factors(connection: sa.Connection) -> list[Line]:
    query = sa.text("SELECT account, step FROM second_factors ORDER BY account")
    return [
        Line(
            "second_factors",
            register.key_of(row.account, "step"),
            "kept",
            hash_of("second_factors", {"of": row.account, "column": "step", "value": row.step}),
        )
        for row in connection.execute(query)
    ]
