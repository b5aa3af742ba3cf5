"""The check of tables whose rows change: each value is the one that the service wrote last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import sqlalchemy as sa

from tasks.archive.contents import key_of
from tasks.archive.rows import Row
from tasks.database.register import BETWEEN
from tasks.database.register import key_of as name_of
from tasks.database.registered_values import value_hash
from tasks.integrity.findings import Finding

Line = tuple[str, str | None]


def values_findings(table: sa.Table, rows: Iterable[Row], known: Mapping[str, Line]) -> Iterator[Finding]:
    """The flaws of a table's rows, given the last line of the register about each value."""
    key, gone = key_of(table), {name.rpartition(BETWEEN)[0] for name in known}
    for row in rows:
        name = name_of(*(row[part] for part in key))
        if name not in gone:
            yield Finding(table.name, name, "was not written by the service")
            continue
        gone.remove(name)
        changed = [
            column
            for column, value in row.items()
            if column not in key and _differs(table, name, column, value, known)
        ]
        if changed:
            yield Finding(table.name, name, f"is not what was recorded: {', '.join(changed)}")
    for name in sorted(gone):
        yield Finding(table.name, name, "is missing, though the register has it")


def _differs(table: sa.Table, name: str, column: str, value: object, known: Mapping[str, Line]) -> bool:
    """Whether a value is not the one of its line; a value without a line was never set."""
    line = known.get(name_of(name, column))
    if line is None:
        return value is not None
    return line[1] != value_hash(table.name, name, column, value)
