"""Tables whose rows change for as long as they are there: the register has each value that the service wrote.

A line is about one column of one row. So a change of one value bears out no other value of its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tasks.database import register
from tasks.database.register import Line
from tasks.database.schema import accounts, second_factors, stored, tokens
from tasks.hashing.rows import hash_of

TABLES: Sequence[sa.Table] = (accounts, tokens, second_factors)


def note_values(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any], at: datetime) -> None:
    """Register values that were just written, at the machine's time (UTC); `row` has the key and them."""
    key = [column.name for column in table.primary_key.columns]
    told = stored(table, row)
    name = register.key_of(*(told[part] for part in key))
    lines = [
        Line(table.name, register.key_of(name, column), "kept", value_hash(table.name, name, column, value))
        for column, value in told.items()
        if column not in key
    ]
    register.append(connection, lines, at)


def value_hash(table: str, key: str, column: str, value: object) -> str:
    """The hash of one value as it is stored, bound to its place."""
    return hash_of(table, {"of": key, "column": column, "value": value})
