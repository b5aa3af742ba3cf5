"""Moves one subject on, in one transaction: decides, appends to the log, fills the outbox, sets the next
wake.

Events come in through `record`, time through `advance`. Both lock the subject's row first: of two that meet,
the second decides on what the first has left. A long batch is judged before the lock is taken, and judged
again only when something was recorded meanwhile, so that other writers do not wait for it. Notices are handed
over by `tasks.delivery`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import sqlalchemy as sa

from itp_events.decisions import Decision, decide
from itp_events.errors import BadInput, ItpError, NotEligible, Refused
from itp_events.events import Enrolled, Event, EventKey, Voided
from itp_events.intake.batch import Judgement, Verdict, judge
from itp_events.protocol.model import Protocol
from itp_events.rules.subject import Subject, fold
from tasks.database import event_log, service_log
from tasks.database import history as past
from tasks.database.compiled import Question, Row, ask_in_turn
from tasks.database.history import SubjectHistory, Wanted
from tasks.database.queries import SubjectRow, subject_called
from tasks.database.store import Store, in_order
from tasks.database.unreadable import Unreadable, folded, naming
from tasks.keeping import AtOnce, Change, Settled, keep, settled
from tasks.senders import ANYBODY, Sender, Standing

# The clocks of two well-kept machines differ by less.
CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Advanced:
    """A subject's state after a transaction; `due_notices`: whether notices wait to be handed over.

    `flow_run_id`: the run in Prefect that was noted for it before; None when none was.
    """

    code: str
    state: str
    message: str
    status: str
    wake_at: datetime | None
    tags: tuple[str, ...]
    exited: bool
    due_notices: bool
    flow_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one event; `advanced` is set when the event has just been recorded."""

    event: Event
    status: Literal["recorded", "known", "refused"]
    error: ItpError | None = None
    advanced: Advanced | None = None


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
    [(row, so_far)], told = past.lock_and_read(connection, [Wanted(code)], _asked_by(at_once))
    if row is None:
        raise Refused("enrolment", f"{code} is not enrolled; record itp.subject.enrolled first")
    now = _not_before(row, now, read_again)
    subject = folded(protocol, code, so_far.history, so_far.handed)
    change = Change(row, settled(row, subject, decide(subject, now), so_far.waiting, now))
    keep(connection, [change], at_once=at_once, told=told[0] if told else ())
    return change.settled


def _asked_by(at_once: AtOnce | None) -> list[Question]:
    return [at_once.anew()] if at_once else []


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

    A few subjects who are only enrolled share one. Each event is accepted or refused by itself; the answers
    are in the order of the batch. Events of a subject whose log cannot be read are refused with Unreadable.
    What `sender` may state is read in the transaction, and judged by the log as it stands there. `at_once`
    takes what the events make due, if one transaction records them all: else the first subject would wait
    for the last. `read_again` is as in `advance`.
    """
    answers: dict[int, Answer] = {}
    groups = in_groups(batch)
    at_once = at_once if len(groups) == 1 and _is_short(groups[0]) else None
    for group in groups:
        stated = [_stated([batch[at] for at in places], now, sender, read_again) for places in group]
        given = _record(store, protocol, stated, at_once)
        for places, its_answers in zip(group, given, strict=True):
            answers |= zip(places, its_answers, strict=True)
    return [answers[place] for place in range(len(batch))]


# From so many events of one subject on, judging takes long enough to keep other writers waiting.
LONG = 10
TRIES_AHEAD = 3
# Enrolments in one transaction: what it costs by itself is shared, and the first does not wait long.
TOGETHER = 5

Group = list[list[int]]
"""The places in a batch of the events that one transaction records, subject by subject."""


def in_groups(batch: Sequence[Event]) -> list[Group]:
    """The groups of events that are recorded together, in order of the first event of each subject.

    Only enrolments share a group: nothing that follows from them is urgent, while an alert must not wait for
    the row of somebody else. One that repeats the id of an event begins a new group, as it is judged by what
    has become of the first.
    """
    by_subject: dict[str, list[int]] = {}
    for place, event in enumerate(batch):
        by_subject.setdefault(event.subject.lower(), []).append(place)
    groups: list[Group] = []
    used: set[EventKey] = set()
    has_room = False
    for places in by_subject.values():
        keys = {batch[place].key for place in places}
        enrols = len(places) <= LONG and all(isinstance(batch[at].data, Enrolled) for at in places)
        if not enrols or not has_room or len(groups[-1]) == TOGETHER or used & keys:
            groups.append([])
            used = set()
        groups[-1].append(places)
        used |= keys
        has_room = enrols
    return groups


def _is_short(group: Group) -> bool:
    return all(len(places) <= LONG for places in group)


def _code_in(events: Sequence[Event]) -> str:
    """The code of the one subject in a batch: as its enrolment writes it, if there is one."""
    enrolments = [event.subject for event in events if isinstance(event.data, Enrolled)]
    return (enrolments or [events[0].subject])[0]


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

    @property
    def keys(self) -> set[EventKey]:
        """The sources and ids of the events."""
        return {event.key for event in self.events}


def _stated(events: Sequence[Event], now: datetime, sender: Sender, read_again: ReadClock | None) -> _Stated:
    return _Stated(_code_in(events), events, now, sender, read_again)


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


def _record(
    store: Store, protocol: Protocol, stated: Sequence[_Stated], at_once: AtOnce | None
) -> list[list[Answer]]:
    """The answers to the events of each subject of a group."""
    if len(stated) == 1:
        return [_record_alone(store, protocol, stated[0], at_once)]
    try:
        about = [each.code for each in stated]
        return store.write(partial(_record_in, protocol, stated, at_once), about=about)
    except Unreadable:
        # It keeps nothing of the others back.
        if at_once:
            at_once.anew()
        return [_record_alone(store, protocol, each, None) for each in stated]


def _record_alone(store: Store, protocol: Protocol, stated: _Stated, at_once: AtOnce | None) -> list[Answer]:
    try:
        with naming(stated.code):
            return _record_ahead(store, protocol, stated) or _record_one(store, protocol, stated, at_once)
    except Unreadable as problem:
        return [Answer(event, "refused", problem) for event in stated.events]


def _record_ahead(store: Store, protocol: Protocol, stated: _Stated) -> list[Answer] | None:
    """Record many events that were judged before the lock was taken; None when something came between."""
    for _ in range(TRIES_AHEAD if len(stated.events) > LONG else 0):
        with store.reading() as connection:
            known = _read(connection, stated)
        judged = _judge(protocol, stated, known)
        answers = store.write(partial(_keep_if_unchanged, stated, judged), about=[stated.code])
        if answers is not None:
            return answers
    return None


def _record_one(store: Store, protocol: Protocol, stated: _Stated, at_once: AtOnce | None) -> list[Answer]:
    [answers] = store.write(partial(_record_in, protocol, [stated], at_once), about=[stated.code])
    return answers


def _keep_if_unchanged(stated: _Stated, judged: _Judged, connection: sa.Connection) -> list[Answer] | None:
    """Keep what was judged without a lock; None when something was recorded since: it must be judged
    again.
    """
    if _locked(connection, [stated], None)[0] != [judged.known]:
        return None
    [answers] = _keep(connection, [stated], [judged], None, ())
    return answers


def _record_in(
    protocol: Protocol, stated: Sequence[_Stated], at_once: AtOnce | None, connection: sa.Connection
) -> list[list[Answer]]:
    known, told = _locked(connection, stated, at_once)
    judged = [_judge(protocol, each, its_known) for each, its_known in zip(stated, known, strict=True)]
    return _keep(connection, stated, judged, at_once, told)


def _read(connection: sa.Connection, stated: _Stated) -> _Known:
    sender = stated.sender
    row = subject_called(connection, stated.code)
    code = row.code if row else stated.code
    so_far = past.read(connection, code, stated.keys)
    return _Known(code, row, so_far, sender.standing(ask_in_turn(connection, sender.asks(lock=False))))


def _locked(
    connection: sa.Connection, stated: Sequence[_Stated], at_once: AtOnce | None
) -> tuple[list[_Known], Sequence[Row]]:
    """Lock the subjects' rows; the knowledge about each, and the answer to the question of `at_once`."""
    sender = stated[0].sender
    rights, wanted = sender.asks(lock=True), [Wanted(each.code, each.keys) for each in stated]
    ordered = sorted(wanted, key=lambda each: in_order(each.code))
    beside = [*rights, *_asked_by(at_once)]
    locked, found = past.lock_and_read(connection, ordered, beside, in_any_case=True)
    standing = sender.standing(found[: len(rights)])
    by_code = {each.code: its for each, its in zip(ordered, locked, strict=True)}
    told = found[-1] if at_once else ()
    return [_known(each, *by_code[each.code], standing) for each in stated], told


def _known(stated: _Stated, row: SubjectRow | None, so_far: SubjectHistory, standing: Standing) -> _Known:
    return _Known(row.code if row else stated.code, row, so_far, standing)


def _judge(protocol: Protocol, stated: _Stated, known: _Known) -> _Judged:
    with naming(known.code):
        return _judged(protocol, stated, known)


def _judged(protocol: Protocol, stated: _Stated, known: _Known) -> _Judged:
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
    connection: sa.Connection,
    stated: Sequence[_Stated],
    judged: Sequence[_Judged],
    at_once: AtOnce | None,
    told: Sequence[Row],
) -> list[list[Answer]]:
    changes = [_change(each) for each in judged]
    kept = [each for each in changes if each is not None]
    keep(connection, kept, stated[0].sender.origin, at_once, told)
    return [
        _answers(connection, each, its_judged, change)
        for each, its_judged, change in zip(stated, judged, changes, strict=True)
    ]


def _answers(
    connection: sa.Connection, stated: _Stated, judged: _Judged, change: Change | None
) -> list[Answer]:
    verdicts, sender = judged.judgement.verdicts, stated.sender
    refused = [(each.event, each.error) for each in verdicts if each.error is not None]
    with naming(judged.known.code):
        if change and sender.signing:
            sender.signing(connection, judged.judgement.accepted, judged.now)
        event_log.keep_refusals(connection, _new_refusals(verdicts), judged.now)
        service_log.note_refused(connection, refused, sender.origin, judged.now)
    advanced = _advanced(change.settled) if change else None
    answers = [_answer(verdict, advanced) for verdict in verdicts]
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


def _change(judged: _Judged) -> Change | None:
    if judged.follows is None:
        return None
    subject, decision = judged.follows
    known, accepted = judged.known, judged.judgement.accepted
    now_settled = settled(known.row, subject, decision, known.so_far.waiting, judged.now)
    return Change(known.row, now_settled, accepted)


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
        flow_run_id=settled.flow_run_id,
    )


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
