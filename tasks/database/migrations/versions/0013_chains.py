"""The chain of each subject's events, the hashes of rows, the register, seals and protocol files.

The rows that are there already get their hashes as they are: from now on nobody can change them unseen. What
was changed before cannot be found, so the register begins with a line that says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from alembic import op

from tasks.database.triggers import lifted, refuse_changes
from tasks.hashing.rows import NOTHING_BEFORE, chained, hash_of

revision = "0013"
down_revision = "0012"

log = logging.getLogger(__name__)

_INSTANT = sa.String(27)
_AT_ONCE = 500
Row = dict[str, Any]

# Each table with a hash of its rows: its key, the columns that are hashed, and those that need a cast.
_ROWS: Mapping[str, tuple[Sequence[str], Sequence[str], Mapping[str, str]]] = {
    "screening_log": (
        ("source", "id"),
        ("source", "id", "subject", "on", "unmet", "recorded_at"),
        {"on": "date", "unmet": "json"},
    ),
    "notices": (
        ("key",),
        ("key", "subject", "kind", "visit", "step", "audience", "due", "until", "facts", "queued_at"),
        {"facts": "json"},
    ),
    "deliveries": (("id",), ("notice", "recipient", "label"), {}),
    "attempts": (
        ("delivery", "number"),
        ("delivery", "number", "repeated", "began_at"),
        {"repeated": "boolean"},
    ),
    "leftovers": (("id",), ("door", "about", "problem", "body", "at"), {"body": "json"}),
    "redcap_statements": (("source", "id"), ("source", "id", "record", "place"), {}),
    "account_log": (
        ("id",),
        ("at", "actor", "door", "account", "what", "details"),
        {"details": "json"},
    ),
    "sign_ins": (("id",), ("at", "account", "address", "outcome"), {}),
    "signatures": (
        ("source", "id", "account"),
        ("source", "id", "account", "subject", "name", "meaning", "at", "digest", "statement"),
        {"statement": "json"},
    ),
    "custody": (("id",), ("id", "what", "place", "at"), {}),
}
_EVENT = ("subject", "seq", "source", "id", "type", "time", "recorded_at", "body", "actor", "door")
_SUBJECT = (
    *("code", "site", "protocol_version", "seq", "head", "state", "message", "status", "tags", "wake_at"),
    *("exited", "enrolled_at", "advanced_at"),
)
_APPEND_ONLY = {
    "protocol_files": "id = NEW.id AND version = NEW.version",
    "register": "number = NEW.number",
    "seals": "number = NEW.number",
}


def upgrade() -> None:
    for table in ("events", "subjects", *_ROWS):
        op.add_column(table, sa.Column("hash", sa.Text))
    op.add_column("subjects", sa.Column("head", sa.Text))
    _new_tables()
    for table, same_row in _APPEND_ONLY.items():
        refuse_changes(op.get_bind(), table, same_row)
    connection = op.get_bind()
    count = _chain_events(connection) + sum(_hash_rows(connection, table) for table in _ROWS)
    _begin_register(connection, count)


def _new_tables() -> None:
    op.create_table(
        "protocol_files",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("first_seen", _INSTANT, nullable=False),
        sa.Column("hash", sa.Text),
        sa.PrimaryKeyConstraint("id", "version", name="protocol_files_pk"),
    )
    op.create_table(
        "register",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("row_hash", sa.Text),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="register_pk"),
        sa.CheckConstraint(
            "what IN ('began', 'made', 'kept', 'restored', 'opened', 'gone')", name="register_what_ck"
        ),
    )
    op.create_index("register_about_key_number_ix", "register", ["about", "key", "number"])
    op.create_table(
        "seals",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("heads", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="seals_pk"),
    )
    op.create_table(
        "chains",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="chains_pk"),
    )
    op.create_table(
        "verifications",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("findings", sa.Integer, nullable=False),
        sa.Column("first", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="verifications_pk"),
    )


def _chain_events(connection: sa.Connection) -> int:
    """Give each event the hash that binds it to the one before, and each subject the end of its chain."""
    count = 0
    ends: dict[str, str] = {}
    with lifted(connection, "events"):
        for code, logged in groupby(
            _read(connection, "events", _EVENT[:2], _EVENT, {}), itemgetter("subject")
        ):
            lines = list(logged)
            hashes = list(chained("events", lines, NOTHING_BEFORE))
            keys = [{"subject": code, "seq": line["seq"]} for line in lines]
            _write(connection, "events", keys, [{"hash": each} for each in hashes])
            ends[code] = hashes[-1]
            count += len(lines)
    kinds = {"tags": "json", "exited": "boolean"}
    for row in list(
        _read(connection, "subjects", ["code"], [each for each in _SUBJECT if each != "head"], kinds)
    ):
        row["head"] = ends.get(row["code"], NOTHING_BEFORE)
        told = {"head": row["head"], "hash": hash_of("subjects", row)}
        _write(connection, "subjects", [{"code": row["code"]}], [told])
        count += 1
    return count


def _hash_rows(connection: sa.Connection, table: str) -> int:
    key, columns, kinds = _ROWS[table]
    rows = list(_read(connection, table, key, [*key, *(each for each in columns if each not in key)], kinds))
    keys = [{name: row[name] for name in key} for row in rows]
    hashes = [{"hash": hash_of(table, {name: row[name] for name in columns})} for row in rows]
    with lifted(connection, table):
        _write(connection, table, keys, hashes)
    return len(rows)


def _read(
    connection: sa.Connection,
    table: str,
    key: Sequence[str],
    columns: Sequence[str],
    kinds: Mapping[str, str],
) -> Iterator[Row]:
    """The rows of a table as they are stored, in the order of their key."""
    wanted = [_stored(connection, name, kinds.get(name, "")) for name in columns]
    query = sa.select(*wanted).select_from(sa.table(table)).order_by(*(sa.column(name) for name in key))
    for found in connection.execute(query).mappings().all():
        row = dict(found)
        for name, kind in kinds.items():
            if kind == "boolean" and row[name] in (0, 1):
                row[name] = bool(row[name])
        yield row


def _stored(connection: sa.Connection, name: str, kind: str) -> sa.ColumnElement[Any]:
    plain: sa.ColumnElement[Any] = sa.column(name)
    if connection.dialect.name == "postgresql" and kind == "json":
        return sa.cast(plain, sa.Text).label(name)
    if connection.dialect.name == "postgresql" and kind == "date":
        return sa.func.to_char(plain, "YYYY-MM-DD").label(name)
    return plain


def _write(connection: sa.Connection, table: str, keys: Sequence[Row], rows: Sequence[Row]) -> None:
    if not rows:
        return
    target = sa.table(table, *(sa.column(name) for name in (*keys[0], *rows[0])))
    found = [target.c[name] == sa.bindparam(f"of_{name}") for name in keys[0]]
    change = sa.update(target).where(*found).values({name: sa.bindparam(f"to_{name}") for name in rows[0]})
    told = [
        {f"of_{name}": value for name, value in key.items()}
        | {f"to_{name}": value for name, value in row.items()}
        for key, row in zip(keys, rows, strict=True)
    ]
    for first in range(0, len(told), _AT_ONCE):
        connection.execute(change, told[first : first + _AT_ONCE])


def _begin_register(connection: sa.Connection, count: int) -> None:
    number, head = 0, NOTHING_BEFORE
    if count:
        said = f"{count} rows of an earlier version have their hashes from here on"
        log.warning("The records are chained now: %s; a change before that cannot be found.", said)
        row = {"number": 1, "about": "", "key": said, "what": "began", "at": _now(connection)}
        number, head = 1, hash_of("register", row)
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in (*row, "hash")]
        connection.execute(sa.table("register", *columns).insert(), row | {"hash": head})
    chains = sa.table("chains", sa.column("name"), sa.column("number"), sa.column("head"))
    ends = [
        {"name": "register", "number": number, "head": head},
        {"name": "seals", "number": 0, "head": NOTHING_BEFORE},
    ]
    connection.execute(chains.insert(), ends)


def _now(connection: sa.Connection) -> str:
    """The database's own time (UTC), as instants are stored."""
    if connection.dialect.name == "sqlite":
        query = "SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'"
        return str(connection.scalar(sa.text(query)))
    return str(connection.scalar(sa.text("SELECT now()")).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
