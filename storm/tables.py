"""The study's database as it stands, read with plain drivers."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import make_url

Row = dict[str, Any]


@dataclass(frozen=True)
class Tables:
    """The tables that the storm judges by; notices by key, attempts with the notice that each is of."""

    events: Sequence[Row]
    notices: dict[str, Row]
    deliveries: Sequence[Row]
    attempts: Sequence[Row]


def read(url: str) -> Tables:
    """Read everything at the end, when nobody writes any more."""
    return Tables(
        query(url, "SELECT source, id FROM events"),
        {row["key"]: row for row in query(url, "SELECT * FROM notices")},
        query(url, "SELECT * FROM deliveries"),
        query(url, "SELECT a.began_at, d.notice FROM attempts a JOIN deliveries d ON d.id = a.delivery"),
    )


def query(url: str, statement: str) -> list[Row]:
    """The rows of one question."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(f"file:{parsed.database}?mode=ro", uri=True, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]
    address = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, row_factory=psycopg.rows.dict_row, connect_timeout=10) as connection:
        return connection.execute(statement.encode()).fetchall()
