"""Keeps what was decided about subjects: lines of the log, notices in the outbox, the subject's own row.

All of it makes one round trip, and what is taken at once for its hand-over a second. Decisions are made in
`tasks.advance`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol as Interface

import sqlalchemy as sa

from itp_events.decisions import Decision
from itp_events.events import Event, NoticeIssued
from itp_events.rules.subject import Subject
from tasks.database import event_log, outbox
from tasks.database.compiled import Compiled, Question, Row, Stored, ask_in_turn, inserting
from tasks.database.event_log import EMPTY, LogEnd, Origin
from tasks.database.queries import SubjectRow
from tasks.database.schema import instant_text, stored, subjects
from tasks.database.unreadable import naming
from tasks.hashing.rows import hash_of
from tasks.spans import decided


@dataclass(frozen=True, slots=True)
class Settled:
    """A subject, the decision about it, and the instant (UTC) at which it was decided.

    `waiting`: the keys of its notices that wait for their hand-over now. `flow_run_id`: the run in Prefect
    that was noted for it before; None when none was.
    """

    subject: Subject
    decision: Decision
    at: datetime
    waiting: frozenset[str]
    flow_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A subject that is settled, of whom the database holds `row`, and the events that led to it."""

    row: SubjectRow | None
    settled: Settled
    stated: Sequence[Event] = ()

    @property
    def code(self) -> str:
        """The subject's code."""
        return self.settled.subject.code

    @property
    def decided(self) -> Sequence[Event]:
        """The events that were decided."""
        return self.settled.decision.events


class AtOnce(Interface):
    """Begins the hand-over of notices in the transaction that decides about them."""

    def anew(self) -> Question:
        """Forget what an earlier run of the transaction took; the question for whom to tell now."""

    def say(
        self, connection: sa.Connection, told: Sequence[Row], settled: Settled
    ) -> Mapping[str, outbox.Text]:
        """The texts, by key, of the notices of a subject that are taken; they are queued with them.

        `told` are the rows of the question.
        """

    def making(self) -> Sequence[Question]:
        """The statements that take what was put into words; they follow those that queue it."""

    def begin(self, made: Sequence[Row]) -> Sequence[Question]:
        """Claim what the rows of `making` hold; the statements that note it."""


def settled(
    row: SubjectRow | None, subject: Subject, decision: Decision, waiting: frozenset[str], now: datetime
) -> Settled:
    """A subject with its decision; `row` is as the database holds it, `waiting` what waited before."""
    still = outbox.waiting_after(waiting, decision.events)
    return Settled(subject, decision, now, still, row.flow_run_id if row else None)


def keep(
    connection: sa.Connection,
    changes: Sequence[Change],
    origin: Origin = event_log.NOT_KNOWN,
    at_once: AtOnce | None = None,
    told: Sequence[Row] = (),
) -> None:
    """Record the stated events and the decisions about subjects, each of which the caller has locked.

    Raises:
        sqlalchemy.exc.IntegrityError: another transaction has written there meanwhile.
        Unreadable: one of the subjects cannot be kept; it is named.
    """
    written = []
    for change in changes:
        with naming(change.code):
            texts = at_once.say(connection, told, change.settled) if at_once else {}
            written.append(_written(change, origin, texts))
    made = _write(connection, written, at_once.making() if at_once else [])
    for change in changes:
        with naming(change.code):
            # Behind the others, because a notice that is issued may be superseded at once.
            outbox.change(connection, change.decided, change.settled.at)
        decided(event.data.notice for event in change.decided if isinstance(event.data, NoticeIssued))
    if at_once:
        ask_in_turn(connection, at_once.begin(made))


@dataclass(frozen=True, slots=True)
class _Written:
    """The rows of a change, as they are stored; `saved` is the statement for a subject who has a row."""

    enrolled: Sequence[Stored]
    saved: Sequence[Question]
    lines: Sequence[Stored]
    queued: Sequence[Stored]


def _written(change: Change, origin: Origin, texts: Mapping[str, outbox.Text]) -> _Written:
    row, now, settled = change.row, change.settled.at, change.settled
    before = row.log_end if row else EMPTY
    lines = event_log.lines_after(before, change.code, [*change.stated, *change.decided], now, origin)
    queued = outbox.new_rows(change.decided, now, texts)
    if row is None:
        return _Written([_enrolling(settled, lines.end)], [], lines.rows, queued)
    is_same = lines.end == before and _shown(row) == _shown(settled.decision) and row.advanced_at <= now
    saved = [] if is_same else [_saving(settled, lines.end, row.enrolled_at)]
    return _Written([], saved, lines.rows, queued)


def _write(connection: sa.Connection, written: Sequence[_Written], making: Sequence[Question]) -> list[Row]:
    """Write all rows in one round trip; the rows that `making` made."""
    statements = [
        *inserting(subjects, [row for each in written for row in each.enrolled]),
        *(question for each in written for question in each.saved),
        *event_log.appending([row for each in written for row in each.lines]),
        *outbox.queueing([row for each in written for row in each.queued]),
    ]
    found = ask_in_turn(connection, [*statements, *making])
    return [row for rows in found[len(statements) :] for row in rows]


def _shown(of: SubjectRow | Decision) -> tuple[object, ...]:
    return of.state, of.message, of.status, tuple(of.tags), of.wake_at, of.exited


_SAVE = Compiled(subjects.update().where(subjects.c.code == sa.bindparam("about")))


def _enrolling(settled: Settled, end: LogEnd) -> Stored:
    row = stored(subjects, _row(settled, end) | {"code": settled.subject.code, "enrolled_at": settled.at})
    return row | {"hash": hash_of(subjects.name, row)}


def _saving(settled: Settled, end: LogEnd, enrolled_at: datetime) -> Question:
    row, code = stored(subjects, _row(settled, end)), settled.subject.code
    whole = row | {"code": code, "enrolled_at": instant_text(enrolled_at)}
    return _SAVE, row | {"about": code, "hash": hash_of(subjects.name, whole)}


def _row(settled: Settled, end: LogEnd) -> dict[str, object]:
    subject, decision = settled.subject, settled.decision
    return {
        "site": subject.enrolled.site,
        "protocol_version": subject.protocol.version,
        "seq": end.seq,
        "head": end.head,
        "state": decision.state,
        "message": decision.message,
        "status": decision.status,
        "tags": list(decision.tags),
        "wake_at": decision.wake_at,
        "exited": decision.exited,
        "advanced_at": settled.at,
    }
