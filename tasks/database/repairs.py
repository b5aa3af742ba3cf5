"""The repairs log: mends that the service made by itself, for people to read.

A trouble that a person must mend stands in `tasks.database.troubles`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from tasks.database.schema import repairs
from tasks.database.store import Store


@dataclass(frozen=True, slots=True)
class Mend:
    """One mend, made at an instant (UTC); `subject` is None where it was not about one."""

    subject: str | None
    what: str
    at: datetime


def note_repair(store: Store, what: str, now: datetime, subject: str | None = None) -> None:
    """Add a line to the repairs log."""
    with store.writing() as connection:
        connection.execute(repairs.insert(), {"subject": subject, "what": what, "at": now})


def latest_repairs(store: Store, limit: int = 100) -> list[Mend]:
    """The repairs made last, newest first."""
    columns = (repairs.c.subject, repairs.c.what, repairs.c.at)
    query = sa.select(*columns).order_by(repairs.c.id.desc()).limit(limit)
    with store.reading() as connection:
        return [Mend(**row._mapping) for row in connection.execute(query)]
