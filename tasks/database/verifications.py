"""The last verification of this database: when it was, and what it found.

It is made by `tasks.integrity.verify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from tasks.database.schema import verifications
from tasks.database.store import Store
from tasks.database.upsert import upsert

_ONE = 1
# So many findings are kept as lines; `itp verify` says all of them.
_FIRST = 5


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification at an instant (UTC, the machine's time): the number of findings, and the first few."""

    at: datetime
    findings: int
    first: Sequence[str]

    @property
    def said(self) -> str:
        """The verification in one line: its instant, and its findings."""
        when = f"verified at {self.at:%Y-%m-%d %H:%M} UTC"
        if not self.findings:
            return f"{when}: nothing found"
        return f"{when}: {not_recorded(self.findings)}, first {'; '.join(self.first[:1])}"


def not_recorded(count: int) -> str:
    """The number of rows that are not what was recorded, in words."""
    return "1 row is not what was recorded" if count == 1 else f"{count} rows are not what was recorded"


def note_verification(store: Store, at: datetime, findings: Sequence[str]) -> None:
    """Keep what a verification found."""
    row = {"at": at, "findings": len(findings), "first": list(findings[:_FIRST])}
    with store.writing() as connection:
        upsert(connection, verifications, {"id": _ONE}, row)


def last_verification(connection: sa.Connection) -> Verification | None:
    """The last verification; None when this database has never been verified."""
    columns = (verifications.c.at, verifications.c.findings, verifications.c.first)
    row = connection.execute(sa.select(*columns)).one_or_none()
    return None if row is None else Verification(*row)
