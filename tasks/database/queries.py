"""Questions to the study's database: subjects, their logs and notices, the screening log. Nothing is written.

Decisions read `tasks.database.history`; the board reads `tasks.board.reading`. Instants are in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from itp_events.events import Event, EventKey
from itp_events.validation_messages import did_you_mean
from tasks.database import event_log, outbox
from tasks.database.compiled import Compiled, Question, Row
from tasks.database.contents import OutboxContents
from tasks.database.event_log import NOT_KNOWN, LogEnd, Origin
from tasks.database.labels import shown
from tasks.database.schema import (
    attempts,
    deliveries,
    events,
    notices,
    read_instant,
    read_json,
    screening_log,
    subjects,
    told,
)
from tasks.database.store import Store
from tasks.hashing.rows import NOTHING_BEFORE


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A subject as it was decided about last. `wake_at` counts: Prefect's timer is a copy of it."""

    code: str
    site: str
    protocol_version: str
    seq: int
    state: str
    message: str
    status: str
    tags: Sequence[str]
    wake_at: datetime | None
    exited: bool
    flow_run_id: str | None
    enrolled_at: datetime
    advanced_at: datetime
    head: str | None = None
    hash: str | None = None

    @property
    def log_end(self) -> LogEnd:
        """The end of the subject's log."""
        return LogEnd(self.seq, self.head or NOTHING_BEFORE)

    @property
    def live(self) -> bool:
        """Whether the journey goes on: not ended, or a clock still runs after exit."""
        return not self.exited or self.wake_at is not None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event of the log, with its place, the instant at which it was recorded, and how it came in."""

    seq: int
    recorded_at: datetime
    event: Event
    origin: Origin = NOT_KNOWN


@dataclass(frozen=True, slots=True)
class StoredLine:
    """One line of the log as it is stored; its instant is None when that is damaged."""

    seq: int
    recorded_at: datetime | None
    body: str
    actor: str | None = None
    door: str | None = None


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A notice of the outbox; status is queued, delivered or withdrawn (with `reason`)."""

    key: str
    subject: str | None
    kind: str
    visit: str | None
    step: str
    audience: str
    due: datetime
    until: datetime | None
    facts: OutboxContents
    queued_at: datetime
    status: str
    reason: str | None = None
    handed_at: datetime | None = None
    settled_at: datetime | None = None
    title: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One send of a notice to one recipient; outcome is None while it runs, else sent, failed, unknown."""

    notice: str
    recipient: str
    status: str
    number: int
    repeated: bool
    began_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ScreeningRow:
    """A refused enrolment: code, the date it was for, and the criteria not met."""

    subject: str
    on: date
    unmet: Sequence[str]
    recorded_at: datetime


# Built once: building such a statement takes SQLAlchemy longer than the database takes to answer.
_SUBJECT = sa.select(subjects).where(subjects.c.code == sa.bindparam("about"))
_FOLDED = (
    sa.select(subjects)
    .where(sa.func.lower(subjects.c.code) == sa.bindparam("folded"))
    # An old store may hold two of them: then each is found by its own code.
    .order_by((subjects.c.code == sa.bindparam("about")).desc(), subjects.c.code)
)
# Every transaction about a subject begins with these two.
_LOCKED = Compiled(_SUBJECT.with_for_update())
_FOLDED_LOCKED = Compiled(_FOLDED.with_for_update())


# Codes of one study begin alike: so like another a code must be to be taken for a slip of it.
_ALMOST = 0.8


def subject(store: Store, code: str) -> SubjectRow | None:
    """One subject, or None when nobody of that code is enrolled."""
    with store.reading() as connection:
        return subject_in(connection, code)


def subject_in(connection: sa.Connection, code: str, *, lock: bool = False) -> SubjectRow | None:
    """`subject` within a transaction; with `lock`, nobody else decides about it until the transaction
    ends.
    """
    if lock:
        statement, values = locking(code)
        return stored_subject(statement.ask(connection, values))
    row = connection.execute(_SUBJECT, {"about": code}).one_or_none()
    return None if row is None else _subject_row(row)


def subject_called(connection: sa.Connection, code: str, *, lock: bool = False) -> SubjectRow | None:
    """The subject of a code in any case of its letters; `lock` as for `subject_in`."""
    if lock:
        statement, values = locking(code, in_any_case=True)
        return stored_subject(statement.ask(connection, values))
    row = connection.execute(_FOLDED, {"about": code, "folded": code.lower()}).first()
    return None if row is None else _subject_row(row)


def locking(code: str, *, in_any_case: bool = False) -> Question:
    """The question for a subject's row, about whom nobody else decides until the transaction ends."""
    if in_any_case:
        return _FOLDED_LOCKED, {"about": code, "folded": code.lower()}
    return _LOCKED, {"about": code}


def codes_near(store: Store, code: str) -> str:
    """`; did you mean ITP-007?` with the codes of subjects that are almost the same; empty when none is."""
    with store.reading() as connection:
        return codes_near_in(connection, code)


def codes_near_in(connection: sa.Connection, code: str) -> str:
    """`codes_near` within a transaction."""
    return did_you_mean(code, connection.scalars(sa.select(subjects.c.code)), _ALMOST)


def all_subjects(store: Store) -> list[SubjectRow]:
    """Every subject, in order of code."""
    return _subjects(store, sa.select(subjects).order_by(subjects.c.code))


def live_subjects(store: Store) -> list[SubjectRow]:
    """The subjects whose journey goes on, in order of code."""
    going = sa.or_(~subjects.c.exited, subjects.c.wake_at.is_not(None))
    return _subjects(store, sa.select(subjects).where(going).order_by(subjects.c.code))


def due_subjects(
    store: Store, now: datetime, limit: int, but: sa.ColumnElement[bool] | None = None
) -> list[SubjectRow]:
    """The subjects, at most `limit`, whose wake time has come at `now`, the longest due first.

    Those for whom `but` holds are left out.
    """
    query = sa.select(subjects).where(subjects.c.wake_at <= now).order_by(subjects.c.wake_at).limit(limit)
    query = query if but is None else query.where(~but)
    # The timers wait for this: a connection that fell silent is given up within seconds.
    return _subjects(store, query, long=False)


def _subjects(store: Store, query: sa.Select[Any], *, long: bool = True) -> list[SubjectRow]:
    with store.reading(long=long) as connection:
        return [_subject_row(row) for row in connection.execute(query)]


def _subject_row(row: sa.Row[Any]) -> SubjectRow:
    # Tags are only shown, so a row with damaged tags counts as any other.
    return SubjectRow(**{**row._mapping, "tags": row.tags or ()})


def stored_subject(rows: Sequence[Row]) -> SubjectRow | None:
    """The subject in the first of some rows as they are stored; None without any."""
    if not rows:
        return None
    row = rows[0]
    # PostgreSQL's driver reads JSON by itself.
    tags = read_json(row["tags"]) if isinstance(row["tags"], str) else row["tags"]
    instants = {name: read_instant(row[name]) for name in ("wake_at", "enrolled_at", "advanced_at")}
    return SubjectRow(**{**row, **instants, "tags": tags or (), "exited": bool(row["exited"])})


def next_wake(store: Store) -> datetime | None:
    """The earliest instant at which any subject is due."""
    with store.reading() as connection:
        first: datetime | None = connection.scalar(sa.select(sa.func.min(subjects.c.wake_at)))
    return first


def history(store: Store, code: str) -> list[Event]:
    """The subject's whole log in sequence order, the service's own decisions included."""
    with store.reading() as connection:
        return event_log.history(connection, code)


_LINE = (events.c.seq, events.c.recorded_at, events.c.body, events.c.actor, events.c.door)


def log_lines(store: Store, code: str) -> list[LogLine]:
    """The subject's whole log, with sequence numbers and the instants of recording.

    Raises Unreadable when a line is damaged.
    """
    with store.reading() as connection:
        return log_lines_in(connection, code)


def log_lines_in(connection: sa.Connection, code: str) -> list[LogLine]:
    """`log_lines` within a transaction."""
    query = sa.select(*_LINE).where(events.c.subject == code).order_by(events.c.seq)
    # All of them first: one that cannot be read would leave a reading open, behind which SQLite cannot write.
    lines = connection.execute(query).all()
    return [
        LogLine(
            line.seq,
            line.recorded_at,
            event_log.read_line(code, line.seq, line.body),
            Origin(line.actor, line.door),
        )
        for line in lines
    ]


def stored_lines(store: Store, code: str) -> list[StoredLine]:
    """The lines of a subject's log as they are stored, also those that cannot be read."""
    query = sa.select(*_LINE).where(events.c.subject == code).order_by(events.c.seq)
    with store.reading() as connection:
        return [StoredLine(**line._mapping) for line in connection.execute(query)]


def recorded(store: Store, key: EventKey) -> Event | None:
    """The recorded event of a source and id, of any subject; None when there is none.

    Raises:
        Unreadable: its line in the log is damaged.
    """
    line = sa.select(events.c.subject, events.c.seq, events.c.body)
    with store.reading() as connection:
        found = connection.execute(line.where(events.c.source == key[0], events.c.id == key[1])).first()
    return None if found is None else event_log.read_line(*found)


def handed(store: Store, code: str) -> frozenset[str]:
    """The keys of the subject's notices whose hand-over has begun at least once."""
    with store.reading() as connection:
        return outbox.handed(connection, code)


def notices_of(store: Store, code: str | None) -> list[NoticeRow]:
    """A subject's notices, oldest first; with None the service's own alerts about its channels."""
    with store.reading() as connection:
        return notices_in(connection, code)


def notices_in(connection: sa.Connection, code: str | None) -> list[NoticeRow]:
    """`notices_of` within a transaction."""
    return _notices(connection, _about(code))


def _about(code: str | None) -> sa.ColumnElement[bool]:
    return notices.c.subject.is_(None) if code is None else notices.c.subject == code


def _notices(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[NoticeRow]:
    order = (notices.c.queued_at, notices.c.due, notices.c.key)
    query = sa.select(*told(notices)).where(condition).order_by(*order)
    return [NoticeRow(**row._mapping) for row in connection.execute(query)]


def attempts_of(store: Store, code: str | None) -> list[AttemptRow]:
    """Every send of a subject's notices, in order; with None those of the service's own alerts."""
    with store.reading() as connection:
        return attempts_in(connection, code)


def attempts_in(connection: sa.Connection, code: str | None) -> list[AttemptRow]:
    """`attempts_of` within a transaction."""
    query = (
        sa.select(
            deliveries.c.notice,
            deliveries.c.label,
            deliveries.c.recipient,
            deliveries.c.status,
            attempts.c.number,
            attempts.c.repeated,
            attempts.c.began_at,
            attempts.c.ended_at,
            attempts.c.outcome,
            attempts.c.error,
        )
        .select_from(attempts.join(deliveries).join(notices))
        .where(_about(code))
        .order_by(attempts.c.began_at, deliveries.c.id, attempts.c.number)
    )
    rows = connection.execute(query).mappings()
    return [AttemptRow(**_named(row)) for row in rows]


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of a send, with its recipient's name in place of the fingerprint."""
    values = {str(name): value for name, value in row.items()}
    return values | {"recipient": shown(values.pop("label"), values["recipient"])}


def screening_refusals(store: Store) -> list[ScreeningRow]:
    """The screening log's refused enrolments, oldest first."""
    columns = (
        screening_log.c.subject,
        screening_log.c.on,
        screening_log.c.unmet,
        screening_log.c.recorded_at,
    )
    query = sa.select(*columns).order_by(screening_log.c.recorded_at, screening_log.c.subject)
    with store.reading() as connection:
        return [ScreeningRow(**row._mapping) for row in connection.execute(query)]
