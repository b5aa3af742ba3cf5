"""Reads the audit trail from the tables that keep it; nothing is written, and nothing is kept twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from itp_events.events import (
    Acknowledged,
    Booked,
    DeviationAssessed,
    Event,
    Voided,
    WithdrawalDecided,
)
from itp_events.protocol.model import Protocol
from tasks.audit.entries import Entry, Kind, Wanted
from tasks.database.event_log import read_line
from tasks.database.schema import (
    account_log,
    custody,
    events,
    repairs,
    screening_log,
    service_log,
    sign_ins,
    signatures,
    subjects,
)
from tasks.database.stated import BY_PEOPLE
from tasks.database.store import Store
from tasks.database.unreadable import Unreadable

_OF_TYPE: dict[type, Kind] = {
    Voided: "correction",
    WithdrawalDecided: "decision",
    DeviationAssessed: "assessment",
    Acknowledged: "acknowledgement",
}
# Where the first row of a table has no instant that can be read.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
# Their dates lie ahead, or are the event itself.
_NEVER_LATE = (Booked, *_OF_TYPE)


def audit(store: Store, protocol: Protocol, wanted: Wanted) -> list[Entry]:
    """The entries that are asked for, the oldest first."""
    with store.reading(long=True) as connection:
        found = [
            entry
            for read in (_stated, _refused, _signed_in, _accounts, _signed, _moved, _repaired, _served)
            for entry in _placed(read(connection, protocol, wanted))
            if wanted.has(entry)
        ]
    return sorted(found, key=attrgetter("at"))


def _placed(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries of one table. One with a damaged instant is unreadable, and stands with the one before."""
    before = _EARLIEST
    for entry in entries:
        at: datetime | Any = entry.at
        if at is None:
            what = f"{entry.kind}, {entry.what}: its instant is damaged, and not the one shown"
            yield replace(entry, at=before, kind="unreadable", what=what)
        else:
            before = at
            yield entry


def _stated(connection: sa.Connection, protocol: Protocol, wanted: Wanted) -> Iterator[Entry]:
    query = (
        sa.select(events, subjects.c.site)
        .select_from(subjects.join(events, events.c.subject == subjects.c.code))
        .where(BY_PEOPLE, _within(events.c.recorded_at, wanted))
        .order_by(events.c.subject, events.c.seq)
    )
    if wanted.subject is not None:
        query = query.where(events.c.subject == wanted.subject)
    for row in connection.execute(query).all():
        yield from _of_event(row, protocol, wanted)


def _of_event(row: sa.Row[tuple[object, ...]], protocol: Protocol, wanted: Wanted) -> Iterator[Entry]:
    about = {"subject": row.subject, "site": row.site, "actor": row.actor, "door": row.door}
    try:
        event = read_line(row.subject, row.seq, row.body)
    except Unreadable as problem:
        yield Entry(row.recorded_at, "unreadable", str(problem), **about)
        return
    details = {"seq": row.seq, "id": event.id, "source": event.source} | event.to_json()["data"]
    stated = {**about, "by": event.data.by, "event": event, "details": details}
    kind = _OF_TYPE.get(type(event.data))
    if kind is not None:
        yield Entry(row.recorded_at, kind, event.type, **stated)
    days = _days_late(event, protocol, row.site)
    if days > wanted.late_days:
        stated["details"] = details | {"days": days}
        yield Entry(row.recorded_at, "late", f"{event.type}, {days} days after its date", **stated)


def _days_late(event: Event, protocol: Protocol, site: str) -> int:
    """The days from the date of which an event speaks to the date at the site on which it was reported."""
    on = getattr(event.data, "on", None)
    if not isinstance(on, date) or isinstance(event.data, _NEVER_LATE):
        return 0
    return (protocol.site(site).date_of(event.time) - on) // timedelta(days=1)


def _refused(connection: sa.Connection, _: Protocol, wanted: Wanted) -> Iterator[Entry]:
    # Those since the service's log has refused enrolments too are read from there, with who was signed in.
    has_a_line = sa.exists().where(
        service_log.c.what == "refused",
        service_log.c.about == screening_log.c.source + ": " + screening_log.c.id,
    )
    query = _rows(screening_log, screening_log.c.recorded_at, wanted).where(~has_a_line)
    for row in connection.execute(query):
        what = f"enrolment refused: {'; '.join(row.unmet)}"
        details = {"on": row.on.isoformat(), "unmet": list(row.unmet), "source": row.source, "id": row.id}
        yield Entry(row.recorded_at, "refusal", what, subject=row.subject, details=details)


def _signed_in(connection: sa.Connection, _: Protocol, wanted: Wanted) -> Iterator[Entry]:
    for row in connection.execute(_rows(sign_ins, sign_ins.c.at, wanted)):
        what = f"{row.outcome}, from {row.address}"
        details = {"address": row.address, "outcome": row.outcome}
        yield Entry(row.at, "sign-in", what, actor=row.account, details=details)


def _accounts(connection: sa.Connection, _: Protocol, wanted: Wanted) -> Iterator[Entry]:
    for row in connection.execute(_rows(account_log, account_log.c.at, wanted)):
        details = {"account": row.account} | dict(row.details)
        what = f"{row.account}: {row.what}"
        yield Entry(row.at, "account", what, actor=row.actor, door=row.door, details=details)


def _signed(connection: sa.Connection, _: Protocol, wanted: Wanted) -> Iterator[Entry]:
    for row in connection.execute(_with_site(signatures, signatures.c.at, wanted)):
        details = {"source": row.source, "id": row.id, "name": row.name}
        where = {"subject": row.subject, "site": row.site, "actor": row.account}
        yield Entry(row.at, "signature", row.meaning, **where, details=details)


def _moved(connection: sa.Connection, _: Protocol, wanted: Wanted) -> Iterator[Entry]:
    for row in connection.execute(_rows(custody, custody.c.at, wanted)):
        yield Entry(
            row.at, "custody", f"{row.what}: {row.place}", details={"what": row.what, "place": row.place}
        )


def _repaired(connection: sa.Connection, _: Protocol, wanted: Wanted) -> Iterator[Entry]:
    for row in connection.execute(_with_site(repairs, repairs.c.at, wanted)):
        yield Entry(row.at, "repair", row.what, row.subject, row.site)


_KINDS: dict[str, Kind] = {
    "refused": "refusal",
    "exported": "export",
    "backed-up": "backup",
    "settings": "setting",
}


def _served(connection: sa.Connection, _: Protocol, wanted: Wanted) -> Iterator[Entry]:
    for row in connection.execute(_with_site(service_log, service_log.c.at, wanted)):
        # Who was refused at enrolment has no site but the one that was stated.
        site = row.site or row.details.get("site")
        where = {"subject": row.subject, "site": site, "actor": row.actor, "door": row.door}
        details = {"about": row.about} | row.details
        yield Entry(row.at, _KINDS[row.what], _in_one_line(row), **where, details=details)


def _in_one_line(row: sa.Row[tuple[object, ...]]) -> str:
    if row.what == "settings":
        before, after = (row.details[name] or "not set" for name in ("before", "after"))
        return f"{row.about} at {row.details['place']}: {after}; before: {before}"
    said = row.details.get("said")
    return f"{row.what}: {row.about}" + (f", {said}" if said else "")


def _with_site(table: sa.Table, at: sa.ColumnElement[object], wanted: Wanted) -> sa.Select[tuple[Any, ...]]:
    """The rows of a table in the time that is asked for, each with the site of its subject."""
    joined = table.outerjoin(subjects, table.c.subject == subjects.c.code)
    return _rows(table, at, wanted).add_columns(subjects.c.site).select_from(joined)


def _rows(table: sa.Table, at: sa.ColumnElement[object], wanted: Wanted) -> sa.Select[tuple[Any, ...]]:
    """The rows of a table in the time that is asked for, those of one instant as they were written."""
    return sa.select(table).where(_within(at, wanted)).order_by(at, *table.primary_key)


def _within(column: sa.ColumnElement[object], wanted: Wanted) -> sa.ColumnElement[bool]:
    conditions: list[sa.ColumnElement[bool]] = [sa.true()]
    if wanted.since is not None:
        conditions.append(column >= wanted.since)
    if wanted.until is not None:
        conditions.append(column < wanted.until)
    return sa.and_(*conditions)
