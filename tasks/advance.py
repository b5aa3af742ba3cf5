"""Moves one subject on, in one transaction: decides, appends to the log, fills the outbox, sets the next
wake.

Events come in through `record`, time through `advance`. Both lock the subject's row first: of two that meet,
the second decides on what the first has left. A long batch is judged before the lock is taken, and judged
again only when something was recorded meanwhile, so that other writers do not wait for it. Notices are handed
over by `tasks.delivery`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal
from typing import Protocol as Interface

import sqlalchemy as sa

from itp_events.decisions import Decision, decide
from itp_events.errors import BadInput, ItpError, NotEligible, Refused
from itp_events.events import Enrolled, Event, EventKey, NoticeIssued, Voided
from itp_events.intake.batch import Judgement, Verdict, judge
from itp_events.protocol.model import Protocol
from itp_events.rules.subject import Subject, fold
from tasks.database import event_log, outbox, service_log
from tasks.database import history as past
from tasks.database.compiled import Compiled
from tasks.database.event_log import EMPTY, LogEnd, Origin
from tasks.database.history import SubjectHistory
from tasks.database.queries import SubjectRow, subject_called
from tasks.database.schema import instant_text, stored, subjects
from tasks.database.store import Store, together
from tasks.database.unreadable import Unreadable, folded, naming
from tasks.hashing.rows import hash_of
from tasks.spans import decided

# The clocks of two well-kept machines differ by less.
CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Settled:
    """A subject, the decision about it, and the instant (UTC) at which it was decided.

    `waiting`: the keys of its notices that wait for their hand-over now.
    """

    subject: Subject
    decision: Decision
    at: datetime
    waiting: frozenset[str]


class AtOnce(Interface):
    """Begins the hand-over of notices in the transaction that decides about them.

    Both steps are called again when the transaction is repeated.
    """

    def say(self, connection: sa.Connection, settled: Settled) -> Mapping[str, outbox.Text]:
        """The texts, by key, of the notices that are taken; they are queued with them."""

    def take(self, connection: sa.Connection) -> None:
        """Take the notices that `say` named, which are queued now."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """A subject's state after a transaction; `due_notices`: whether notices wait to be handed over."""

    code: str
    state: str
    message: str
    status: str
    wake_at: datetime | None
    tags: tuple[str, ...]
    exited: bool
    due_notices: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one event; `advanced` is set when the event has just been recorded."""

    event: Event
    status: Literal["recorded", "known", "refused"]
    error: ItpError | None = None
    advanced: Advanced | None = None


Signing = Callable[[sa.Connection, Sequence[Event], datetime], None]
"""Signs events in the transaction that has just recorded them, at an instant (UTC)."""


class Standing(Interface):
    """The rights of a sender, as they were read in a transaction; two that are equal permit the same."""

    def barred(self, event: Event, target: Event | None, site: str | None) -> ItpError | None:
        """The reason why the sender may not state an event; None when it may.

        `target` is the event it voids. `site` is the site of the subject; None when nobody is enrolled.
        """


class Sender(Interface):
    """The sender of events, as a transaction needs to know it."""

    @property
    def origin(self) -> Origin:
        """The account that is signed in, and the door: noted with each event."""

    @property
    def signing(self) -> Signing | None:
        """Signs the events in the transaction that records them; None: they are not signed."""

    def standing(self, connection: sa.Connection, *, lock: bool) -> Standing:
        """Read what the sender may state now; with `lock` that does not change until the transaction ends."""


@dataclass(frozen=True, slots=True)
class Anybody:
    """A program's own statements, as in a simulation: nothing is barred, and no door is noted."""

    origin: Origin = event_log.NOT_KNOWN
    signing: Signing | None = None

    def standing(self, connection: sa.Connection, *, lock: bool) -> Anybody:
        """Read nothing: anybody may state anything."""
        return self

    def barred(self, event: Event, target: Event | None, site: str | None) -> None:
        """Bar nothing."""


ANYBODY: Sender = Anybody()

# Reads the study's clock: its present instant, UTC.
ReadClock = Callable[[], datetime]


def advance(
    store: Store,
    protocol: Protocol,
    code: str,
    now: datetime,
    read_again: ReadClock | None = None,
    at_once: AtOnce | None = None,
) -> Advanced:
    """Decide what is due for a subject at `now` (UTC) and record it, in one transaction.

    `read_again` reads the clock anew when somebody else has decided later than `now`: this process may have
    been held up for long since it read the clock. `at_once` takes the notices that the decision makes due, in
    the same transaction, where it can.

    Raises:
        Refused: nobody of that code is enrolled.
        Unreadable: the subject's log cannot be read, or cannot be decided about.
    """
    return store.write(
        lambda connection: _advanced(settle_in(connection, protocol, code, now, read_again, at_once))
    )


def settle_in(
    connection: sa.Connection,
    protocol: Protocol,
    code: str,
    now: datetime,
    read_again: ReadClock | None = None,
    at_once: AtOnce | None = None,
) -> Settled:
    """`advance` within the caller's writing transaction, which keeps the lock; the whole decision."""
    row, so_far = past.lock_and_read(connection, code)
    if row is None:
        raise Refused("enrolment", f"{code} is not enrolled; record itp.subject.enrolled first")
    now = _not_before(row, now, read_again)
    subject = folded(protocol, code, so_far.history, so_far.handed)
    settled = _settled(subject, decide(subject, now), so_far.waiting, now)
    _keep_decision(connection, row, settled, at_once=at_once)
    return settled


def decided_at(now: datetime, before: datetime) -> datetime:
    """The instant at which to decide, given the instant `before` of the subject's last decision.

    It never goes back by a small difference between two clocks: a decision must not be undone. But a decision
    further ahead than clocks differ was made by a wrong clock, and no deadline has passed because of it.
    """
    return max(now, before) if before - now <= CLOCKS_DIFFER else now


def _not_before(row: SubjectRow | None, now: datetime, read_again: ReadClock | None) -> datetime:
    """`decided_at` of a subject whose row is locked. A clock that is read under the lock is behind the last
    decision only if the clock of that decision was wrong.
    """
    if row is None:
        return now
    if read_again is not None and row.advanced_at - now > CLOCKS_DIFFER:
        now = max(now, read_again())
    return decided_at(now, row.advanced_at)


def record(
    store: Store,
    protocol: Protocol,
    batch: Sequence[Event],
    now: datetime,
    at_once: AtOnce | None = None,
    sender: Sender = ANYBODY,
    read_again: ReadClock | None = None,
) -> list[Answer]:
    """Judge events, append the accepted ones and advance their subjects, in one transaction a subject.

    Each event is accepted or refused by itself; the answers are in the order of the batch. Events of a
    subject whose log cannot be read are refused with Unreadable. What `sender` may state is read in the
    transaction, and judged by the log as it stands there. `at_once` takes what the events make
    due, if they are few and about one subject: of several subjects the first would wait for the last.
    `read_again` is as in `advance`.
    """
    by_subject: dict[str, list[int]] = {}
    for place, event in enumerate(batch):
        by_subject.setdefault(event.subject.lower(), []).append(place)
    answers: dict[int, Answer] = {}
    at_once = at_once if len(by_subject) == 1 and len(batch) <= LONG else None
    for places in by_subject.values():
        events = [batch[at] for at in places]
        stated = _Stated(_code_in(events), events, now, sender, read_again)
        try:
            with naming(stated.code):
                given = _record(store, protocol, stated, at_once)
        except Unreadable as problem:
            given = [Answer(event, "refused", problem) for event in stated.events]
        answers |= zip(places, given, strict=True)
    return [answers[place] for place in range(len(batch))]


def _code_in(events: Sequence[Event]) -> str:
    """The code of the one subject in a batch: as its enrolment writes it, if there is one."""
    enrolments = [event.subject for event in events if isinstance(event.data, Enrolled)]
    return (enrolments or [events[0].subject])[0]


# From so many events of one subject on, judging takes long enough to keep other writers waiting.
LONG = 10
TRIES_AHEAD = 3


@dataclass(frozen=True, slots=True)
class _Stated:
    """The events that a sender states of one subject at an instant.

    `code` is the code as the sender writes it, which may differ in case from the one that is enrolled.
    """

    code: str
    events: Sequence[Event]
    now: datetime
    sender: Sender
    read_again: ReadClock | None


@dataclass(frozen=True, slots=True)
class _Known:
    """The part of the database by which a batch is judged; two are equal if nothing was recorded between."""

    code: str
    row: SubjectRow | None
    so_far: SubjectHistory
    standing: Standing


@dataclass(frozen=True, slots=True)
class _Judged:
    """The verdicts on a batch, and the decision that follows from the accepted events."""

    known: _Known
    now: datetime
    judgement: Judgement
    follows: tuple[Subject, Decision] | None


def _record(store: Store, protocol: Protocol, stated: _Stated, at_once: AtOnce | None) -> list[Answer]:
    for _ in range(TRIES_AHEAD if len(stated.events) > LONG else 0):
        with store.reading() as connection:
            known = _known(connection, stated, lock=False)
        judged = _judge(protocol, stated, known)
        answers = store.write(partial(_keep_if_unchanged, stated, judged), about=stated.code)
        if answers is not None:
            return answers
    return store.write(partial(_record_in, protocol, stated, at_once), about=stated.code)


def _keep_if_unchanged(stated: _Stated, judged: _Judged, connection: sa.Connection) -> list[Answer] | None:
    """Keep what was judged without a lock; None when something was recorded since: it must be judged
    again.
    """
    if _known(connection, stated, lock=True) != judged.known:
        return None
    return _keep(connection, stated, judged, None)


def _record_in(
    protocol: Protocol, stated: _Stated, at_once: AtOnce | None, connection: sa.Connection
) -> list[Answer]:
    judged = _judge(protocol, stated, _known(connection, stated, lock=True))
    return _keep(connection, stated, judged, at_once)


def _known(connection: sa.Connection, stated: _Stated, *, lock: bool) -> _Known:
    keys = {event.key for event in stated.events}
    if lock:
        row, so_far = past.lock_and_read(connection, stated.code, keys, in_any_case=True)
    else:
        row = subject_called(connection, stated.code)
        so_far = past.read(connection, row.code if row else stated.code, keys)
    standing = stated.sender.standing(connection, lock=lock)
    return _Known(row.code if row else stated.code, row, so_far, standing)


def _judge(protocol: Protocol, stated: _Stated, known: _Known) -> _Judged:
    now = _not_before(known.row, stated.now, stated.read_again)
    batch = [replace(event, subject=known.code) for event in stated.events]
    barred = _barred(known, batch)
    history, elsewhere = known.so_far.history, known.so_far.elsewhere
    judgement = judge(protocol, history, batch, now, barred, CLOCKS_DIFFER, elsewhere)
    if history and any(isinstance(each.error, BadInput) for each in judgement.verdicts):
        # Find out whether the event cannot be read, or the log by which it is judged.
        folded(protocol, known.code, history)
    if not judgement.accepted:
        return _Judged(known, now, judgement, None)
    subject = fold(protocol, [*known.so_far.history, *judgement.accepted], known.so_far.handed)
    return _Judged(known, now, judgement, (subject, decide(subject, now)))


def _keep(
    connection: sa.Connection, stated: _Stated, judged: _Judged, at_once: AtOnce | None
) -> list[Answer]:
    settled = _take_in(connection, judged, stated.sender.origin, at_once)
    if settled and (signing := stated.sender.signing):
        signing(connection, judged.judgement.accepted, judged.now)
    advanced = _advanced(settled) if settled else None
    answers = [_answer(verdict, advanced) for verdict in judged.judgement.verdicts]
    event_log.keep_refusals(connection, _new_refusals(judged.judgement.verdicts), judged.now)
    refused = [(each.event, each.error) for each in judged.judgement.verdicts if each.error is not None]
    service_log.note_refused(connection, refused, stated.sender.origin, judged.now)
    return [replace(answer, event=event) for answer, event in zip(answers, stated.events, strict=True)]


def _barred(known: _Known, batch: Sequence[Event]) -> dict[EventKey, ItpError]:
    """The events that may not be stated, by the log as it is now.

    Several events under one id are barred together. One whose id stands in a damaged line of another log may
    be known already, or not: nobody can tell.
    """
    logged = {event.key: event for event in (*batch, *known.so_far.history)}
    site = known.row.site if known.row else None
    barred: dict[EventKey, ItpError] = {**known.so_far.damaged}
    for event in batch:
        target = (event.data.event.source, event.data.event.id) if isinstance(event.data, Voided) else None
        error = known.standing.barred(event, logged.get(target) if target else None, site)
        if error is not None:
            barred.setdefault(event.key, error)
    return barred


def _take_in(
    connection: sa.Connection, judged: _Judged, origin: Origin, at_once: AtOnce | None
) -> Settled | None:
    if judged.follows is None:
        return None
    subject, decision = judged.follows
    known, accepted = judged.known, judged.judgement.accepted
    settled = _settled(subject, decision, known.so_far.waiting, judged.now)
    _keep_decision(connection, known.row, settled, accepted, origin, at_once)
    return settled


def _settled(subject: Subject, decision: Decision, waiting: frozenset[str], now: datetime) -> Settled:
    return Settled(subject, decision, now, outbox.waiting_after(waiting, decision.events))


def _keep_decision(
    connection: sa.Connection,
    row: SubjectRow | None,
    settled: Settled,
    stated: Sequence[Event] = (),
    origin: Origin = event_log.NOT_KNOWN,
    at_once: AtOnce | None = None,
) -> None:
    """Record the stated events and the decision for a subject, of whom the database holds `row`."""
    decision, now, before = settled.decision, settled.at, row.log_end if row else EMPTY
    lines = event_log.lines_after(before, settled.subject.code, [*stated, *decision.events], now, origin)
    texts = at_once.say(connection, settled) if at_once else {}
    # With nothing to write the trip alone would remain.
    with together(connection) if lines.rows else nullcontext():
        if row is None:
            _enrol(connection, settled, lines.end)
        elif lines.end != before or _shown(row) != _shown(decision) or row.advanced_at > now:
            _save(connection, settled, lines.end, row.enrolled_at)
        event_log.write(connection, lines)
        outbox.queue(connection, decision.events, now, texts)
    # Last, because a notice that is issued may be superseded at once.
    outbox.change(connection, decision.events, now)
    decided(event.data.notice for event in decision.events if isinstance(event.data, NoticeIssued))
    if at_once and texts:
        at_once.take(connection)


def _shown(of: SubjectRow | Decision) -> tuple[object, ...]:
    return of.state, of.message, of.status, tuple(of.tags), of.wake_at, of.exited


def _advanced(settled: Settled) -> Advanced:
    decision = settled.decision
    return Advanced(
        code=settled.subject.code,
        state=decision.state,
        message=decision.message,
        status=decision.status,
        wake_at=decision.wake_at,
        tags=tuple(decision.tags),
        exited=decision.exited,
        due_notices=bool(settled.waiting),
    )


_ENROL = Compiled(subjects.insert())
_SAVE = Compiled(subjects.update().where(subjects.c.code == sa.bindparam("about")))


def _enrol(connection: sa.Connection, settled: Settled, end: LogEnd) -> None:
    row = stored(subjects, _row(settled, end) | {"code": settled.subject.code, "enrolled_at": settled.at})
    _ENROL.execute(connection, row | {"hash": hash_of(subjects.name, row)})


def _save(connection: sa.Connection, settled: Settled, end: LogEnd, enrolled_at: datetime) -> None:
    row, code = stored(subjects, _row(settled, end)), settled.subject.code
    whole = row | {"code": code, "enrolled_at": instant_text(enrolled_at)}
    _SAVE.execute(connection, row | {"about": code, "hash": hash_of(subjects.name, whole)})


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


def _answer(verdict: Verdict, advanced: Advanced | None) -> Answer:
    if verdict.status == "accepted":
        return Answer(verdict.event, "recorded", advanced=advanced)
    return Answer(verdict.event, verdict.status, verdict.error)


def _new_refusals(verdicts: Iterable[Verdict]) -> dict[EventKey, tuple[Event, NotEligible]]:
    return {
        verdict.event.key: (verdict.event, verdict.error)
        for verdict in verdicts
        if isinstance(verdict.error, NotEligible) and isinstance(verdict.event.data, Enrolled)
    }
