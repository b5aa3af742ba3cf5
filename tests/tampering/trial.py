"""One tampering: made, looked for, and taken back."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tasks.integrity.verify import verify_in
from tests.tampering.changes import Change, change_column, tamper
from tests.tampering.study import SealedStudy


@dataclass(frozen=True)
class Trial:
    """A change, the findings after it as lines, and whether one of them names the changed row."""

    change: Change
    findings: tuple[str, ...]
    found: bool


class _TakenBack(Exception):
    """The change is undone."""


def tried(study: SealedStudy, seed: int) -> Trial:
    """Make the change of a seed in a transaction, verify what it leaves, and undo it."""
    return _tried(study, lambda connection: tamper(connection, random.Random(seed)))


def tried_on(study: SealedStudy, column: sa.Column[Any]) -> Trial:
    """As `tried`, with a change of one column; raises LookupError when the study has none to change."""
    chance = random.Random(str(column))
    return _tried(study, lambda connection: change_column(connection, chance, column))


def _tried(study: SealedStudy, make: Callable[[sa.Connection], Change]) -> Trial:
    trial: list[Trial] = []
    try:
        with study.store.writing(long=True) as connection:
            change = make(connection)
            report = verify_in(connection)
            lines = tuple(str(each) for each in report.findings)
            trial.append(Trial(change, lines, any(_names(change, line) for line in lines)))
            raise _TakenBack
    except _TakenBack:
        pass
    return trial[0]


def _names(change: Change, line: str) -> bool:
    """Whether a finding is about the table and the row that were changed."""
    return any(_covers(line, change.table, row) for row in change.rows)


def _covers(line: str, table: str, row: str) -> bool:
    where, _, _ = line.partition(": ")
    if not row or (row in line and table in line):
        return table in where or not row
    number = row.rpartition(" ")[2]
    first, _, rest = where.rpartition("rows ")[2].partition(" to ")
    about = row.partition(", ")[0] if ", " in row else ""
    spans = rest.isdigit() and first.isdigit() and number.isdigit() and int(first) <= int(number) <= int(rest)
    return table in where and about in where and spans
