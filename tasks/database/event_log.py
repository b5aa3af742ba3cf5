"""The event log: appended to under the subject's lock, never changed.

It is folded into subjects by `itp_events.rules.subject`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import sqlalchemy as sa

from itp_events.errors import ItpError, NotEligible
from itp_events.events import Enrolled, Event, EventKey, parse_recorded
from tasks.database.compiled import Question, inserting
from tasks.database.schema import events, instant_text, json_text, screening_log
from tasks.database.unreadable import Unreadable
from tasks.hashing.rows import NOTHING_BEFORE, chained


def history(connection: sa.Connection, code: str) -> list[Event]:
    """The subject's whole log in sequence order, the service's own decisions included."""
    query = sa.select(events.c.seq, events.c.body).where(events.c.subject == code).order_by(events.c.seq)
    # All of them first: one that cannot be read would leave a reading open, behind which SQLite cannot write.
    lines = connection.execute(query).all()
    return [read_line(code, line.seq, line.body) for line in lines]


def read_line(code: str, seq: int, body: str) -> Event:
    """The event in a line of a subject's log.

    Raises:
        Unreadable: the line is damaged; the error names it.
    """
    try:
        return read(body)
    except (ItpError, ValueError, TypeError, AttributeError) as problem:
        raise Unreadable(code, f"line {seq} of its log is damaged: {problem}") from problem


# A line of the log never changes, so it is parsed once and not on every wake.
@lru_cache(maxsize=20_000)
def read(body: str) -> Event:
    """The event in a line of the log; raises ItpError, ValueError, TypeError or AttributeError for a damaged
    one.
    """
    return _just_written.pop(body, None) or parse_recorded(json.loads(body))


# Lines that this process has written and not read since, with their events: the next decision reads them.
_just_written: dict[str, Event] = {}
WRITTEN_AT_MOST = 2_000


def just_written() -> int:
    """The number of lines that are kept because they were just written."""
    return len(_just_written)


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The end of a subject's log: the number of its last event, and that event's hash."""

    seq: int
    head: str


EMPTY = LogEnd(0, NOTHING_BEFORE)


@dataclass(frozen=True, slots=True)
class Origin:
    """The account that was signed in when an event came in, if any, and the door; None: it is not known.

    `actor` is an account's code, or `os:NAME` for the operating system's user.
    """

    actor: str | None = None
    door: str | None = None

    def beside(self, by: str | None) -> str:
        """The words beside the person `by` who stated something, as `castor, api`; empty: it is not known.

        The account is left out where it is that person's.
        """
        if self.door is None:
            return ""
        signed_in = [] if self.actor == by else [self.actor or "nobody signed in"]
        return ", ".join([*signed_in, self.door])

    def after(self, by: str) -> str:
        """The person `by`, and in brackets what stands beside."""
        beside = self.beside(by)
        return f"{by} ({beside})" if beside else by


NOT_KNOWN = Origin()
# The service's own decisions come through no door, and nobody is signed in for them.
BY_THE_SERVICE = Origin(None, "service")


@dataclass(frozen=True, slots=True)
class NewLines:
    """Lines that follow the end of a subject's log, as they will be stored; `end` is the end after them."""

    rows: Sequence[Mapping[str, object]]
    end: LogEnd


def lines_after(
    end: LogEnd, code: str, new: Sequence[Event], now: datetime, origin: Origin = NOT_KNOWN
) -> NewLines:
    """The lines of new events, each with the hash of the one before. Nothing is written yet.

    `origin` is that of the events that are not the service's own.
    """
    recorded_at = instant_text(now)
    rows = [_row(event, code, number, recorded_at, origin) for number, event in enumerate(new, end.seq + 1)]
    hashes = list(chained(events.name, rows, end.head))
    after = LogEnd(end.seq + len(rows), hashes[-1]) if rows else end
    return NewLines([row | {"hash": each} for row, each in zip(rows, hashes, strict=True)], after)


def appending(rows: Sequence[Mapping[str, object]]) -> list[Question]:
    """The statements that append lines to the logs of their subjects.

    They raise sqlalchemy.exc.IntegrityError when another transaction has written there meanwhile, or an
    event's source and id are in the log already.
    """
    return inserting(events, rows)


def _row(event: Event, code: str, number: int, recorded_at: str, origin: Origin) -> dict[str, object]:
    """A line as it is stored."""
    origin = BY_THE_SERVICE if event.own else origin
    body = json_text(event.to_json())
    if len(_just_written) >= WRITTEN_AT_MOST:
        _just_written.clear()
    _just_written[body] = event
    return {
        "subject": code,
        "seq": number,
        "source": event.source,
        "id": event.id,
        "type": event.type,
        "time": instant_text(event.time),
        "recorded_at": recorded_at,
        "body": body,
        "actor": origin.actor,
        "door": origin.door,
    }


def refused_enrolments(connection: sa.Connection, keys: Collection[EventKey]) -> dict[EventKey, NotEligible]:
    """The refusals that the screening log keeps under these keys."""
    query = sa.select(screening_log).where(_among(screening_log, keys))
    return {
        (row.source, row.id): NotEligible(row.subject, tuple(row.unmet)) for row in connection.execute(query)
    }


def keep_refusals(
    connection: sa.Connection, refusals: Mapping[EventKey, tuple[Event, NotEligible]], now: datetime
) -> None:
    """Enter refused enrolments in the screening log, each finding once.

    A refused enrolment does not use up its id. Sent again with other findings, it is another line, with a
    number behind the id.
    """
    rows = []
    for event, refusal in refusals.values():
        identity = _free_line(connection, event, refusal)
        if identity is not None:
            rows.append(_screening_row(event, refusal, now) | {"id": identity})
    if rows:
        connection.execute(screening_log.insert(), rows)


def _free_line(connection: sa.Connection, event: Event, refusal: NotEligible) -> str | None:
    """The id of a new line for a refusal, or None when the screening log holds it already."""
    identity, number = event.id, 1
    while kept := refused_enrolments(connection, [(event.source, identity)]):
        if kept[event.source, identity].unmet == refusal.unmet:
            return None
        number += 1
        identity = f"{event.id}#{number}"
    return identity


def _screening_row(event: Event, refusal: NotEligible, now: datetime) -> dict[str, object]:
    assert isinstance(event.data, Enrolled)
    return {
        "source": event.source,
        "subject": event.subject,
        "on": event.data.on,
        "unmet": list(refusal.unmet),
        "recorded_at": now,
    }


def _among(table: sa.Table, keys: Collection[EventKey]) -> sa.ColumnElement[bool]:
    # Source by source: SQLite uses its index for this, and reads the whole table to find pairs.
    ids: dict[str, list[str]] = {}
    for source, identity in keys:
        ids.setdefault(source, []).append(identity)
    return sa.or_(
        sa.false(), *(sa.and_(table.c.source == source, table.c.id.in_(ids[source])) for source in ids)
    )
