"""Counts, ages and heartbeats for those who watch the service: /healthz, metrics, `itp doctor`.

The pages for the study's people are made in `tasks.board`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from tasks.database.labels import shown
from tasks.database.schema import (
    attempts,
    dead_letters,
    events,
    heartbeats,
    notices,
    outages,
    subjects,
    troubles,
)
from tasks.database.shared_time import server_now
from tasks.database.stated import BY_PEOPLE
from tasks.database.store import Store
from tasks.database.upsert import upsert

ROUND = "round"
# The instant of the last backup that the service made and read back.
BACKUP = "backup"


@dataclass(frozen=True, slots=True)
class Figures:
    """The study in numbers. Instants are in UTC; None where there is nothing.

    They are the study's own, but for `last_round` and `last_backup`, which are the machine's.
    """

    accepted: dict[str, int]
    notices: dict[str, int]
    subjects: dict[str, int]
    escalated: int
    oldest_waiting: datetime | None
    oldest_wake: datetime | None
    dead_letters: int
    troubles: int
    failing: int
    sends: dict[str, int]
    last_round: datetime | None
    last_backup: datetime | None


def figures(store: Store, now: datetime) -> Figures:
    """The study's numbers at `now` (UTC)."""
    with store.reading(long=True) as connection:
        waiting = sa.select(sa.func.min(notices.c.due)).where(
            notices.c.status == "queued", notices.c.due <= now
        )
        late = sa.select(sa.func.min(subjects.c.wake_at)).where(subjects.c.wake_at <= now)
        escalated = sa.cast(subjects.c.tags, sa.Text).like('%"escalated"%')
        return Figures(
            accepted=_counts(connection, events.c.type, BY_PEOPLE),
            notices=_counts(connection, notices.c.status, sa.true()),
            subjects=_counts(connection, subjects.c.status, sa.true()),
            escalated=_count(connection, subjects, escalated),
            oldest_waiting=connection.scalar(waiting),
            oldest_wake=connection.scalar(late),
            dead_letters=_count(connection, dead_letters, dead_letters.c.settled_at.is_(None)),
            troubles=_count(connection, troubles, sa.true()),
            failing=_count(connection, outages, sa.true()),
            sends=_counts(connection, attempts.c.outcome, attempts.c.outcome.is_not(None)),
            last_round=connection.scalar(_beat_of(ROUND)),
            last_backup=connection.scalar(_beat_of(BACKUP)),
        )


def _counts(connection: sa.Connection, by: sa.Column[Any], where: sa.ColumnElement[bool]) -> dict[str, int]:
    query = sa.select(by, sa.func.count()).where(where).group_by(by)
    return {row[0]: row[1] for row in connection.execute(query)}


def _count(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table).where(where)) or 0


def beat(store: Store, part: str, wall: datetime) -> None:
    """Note that a part of the service is at work at `wall`, the machine's time."""
    with store.writing() as connection:
        upsert(connection, heartbeats, {"part": part}, {"at": wall})


def last_beat(store: Store, part: str) -> datetime | None:
    """The instant (UTC, the machine's time) at which a part of the service was last at work; None for
    never.
    """
    with store.reading() as connection:
        at: datetime | None = connection.scalar(_beat_of(part))
    return at


def _beat_of(part: str) -> sa.Select[datetime]:
    return sa.select(heartbeats.c.at).where(heartbeats.c.part == part)


def overdue(store: Store, before: datetime) -> tuple[int, datetime | None]:
    """The number of subjects whose wake was due `before` an instant and has not come, and the first such
    time.
    """
    query = sa.select(sa.func.count(), sa.func.min(subjects.c.wake_at)).where(subjects.c.wake_at <= before)
    with store.reading() as connection:
        count, first = connection.execute(query).one()
    return count, first


def server_clock(store: Store) -> datetime:
    """The instant (UTC) that the clock of a PostgreSQL server shows."""
    with store.reading() as connection:
        shown = connection.scalar(sa.select(server_now()))
    return cast("datetime", shown)


def shared_clock(store: Store, wall: datetime) -> datetime:
    """The instant (UTC) on which all machines that work on this store agree.

    Machines' clocks may differ by minutes, so that of a PostgreSQL server counts; a SQLite file has one
    machine, which reads `wall`.
    """
    return wall if store.engine.name == "sqlite" else server_clock(store)


def subjects_ahead(store: Store, instant: datetime) -> list[str]:
    """The subjects who were decided about at a later instant, in order of code."""
    query = sa.select(subjects.c.code).where(subjects.c.advanced_at > instant).order_by(subjects.c.code)
    with store.reading() as connection:
        return list(connection.scalars(query))


def failing_channels(store: Store) -> list[tuple[str, datetime, int]]:
    """The recipients that fail at present: name, since when (UTC), failures in a row."""
    query = sa.select(outages).order_by(outages.c.since)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [(shown(row.label, row.recipient), row.since, row.failures) for row in rows]
