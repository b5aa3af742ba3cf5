"""The deliveries in the database: one row per notice and recipient, and one attempt per send.

A delivery is pending, then `sending`, then sent, or pending again. While it is sending it belongs to its
`holder`, the process that claimed it, for as long as that gives signs of life. The lease is for processes
that do not watch each other. When a sender has died its outcome is recorded as unknown before another takes
the delivery, and every later send is marked as possibly repeated. `wall` is the machine's time, which leases
and waits follow; `now` is the study's, which differs under a fast clock only. The steps of a hand-over are in
`tasks.delivery.deliver`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tasks.backoff import SEND_IN_DOUBT, SEND_REFUSED
from tasks.database import outbox, register
from tasks.database.compiled import Compiled, Question, Row, Stored, ask_in_turn, inserting
from tasks.database.queries import NoticeRow
from tasks.database.schema import (
    attempts,
    deliveries,
    instant_text,
    new,
    notices,
    outages,
    senders,
    told,
    unindexed,
)
from tasks.delivery.addressing import Addressee
from tasks.delivery.claims import Claim, Clocks
from tasks.delivery.sending import Kind, Outcome

# Longer than any send by far (`tasks.delivery.sending.BOUND`): a delivery that is still being sent is not
# taken over.
LEASE = timedelta(seconds=60)
_LONGEST_WAIT = max(SEND_REFUSED.longest, SEND_IN_DOUBT.longest)
_OPEN = ("pending", "sending")
SENDER_ENDED = "the sender ended before the outcome was known"


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A notice on its way to one recipient; `attempts` counts the sends so far.

    `person` is the person on duty whose recipient it was; None: everybody of the audience is told.
    """

    id: int
    notice: str
    recipient: str
    label: str
    status: str
    attempts: int
    repeated: bool
    next_at: datetime | None
    sent_at: datetime | None
    holder: str | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A send whose outcome is not known yet; `sign` is its holder's last sign of life."""

    delivery: int
    attempt: int
    notice: str
    holder: str | None
    lease: datetime
    sign: datetime | None


def pull_back(connection: sa.Connection, wall: datetime) -> None:
    """Bring forward each delivery whose next try lies further ahead than any wait: a wrong clock set it."""
    too_far = sa.and_(deliveries.c.status == "pending", deliveries.c.next_at > wall + _LONGEST_WAIT)
    connection.execute(deliveries.update().where(too_far).values(next_at=wall))


def waiting(
    connection: sa.Connection, now: datetime, wall: datetime, *, watched: bool = False
) -> list[str | None]:
    """The subjects with something to hand over; None stands for the service's own alerts.

    With `watched`, the lease of a known holder does not count: `tasks.delivery.left_behind` watches it.
    """
    fresh = sa.select(notices.c.subject).where(
        notices.c.status == "queued", notices.c.handed_at.is_(None), notices.c.due <= now
    )
    again = (
        sa.select(notices.c.subject)
        .select_from(deliveries.join(notices))
        .where(
            deliveries.c.status.in_(_OPEN),
            deliveries.c.next_at <= wall,
            sa.or_(notices.c.status == "queued", _leased(watched)),
        )
    )
    return list(connection.scalars(sa.union(fresh, again)))


def _leased(watched: bool) -> sa.ColumnElement[bool]:
    sending = deliveries.c.status == "sending"
    return sa.and_(sending, deliveries.c.holder.is_(None)) if watched else sending


def held(connection: sa.Connection) -> list[HeldRow]:
    """The sends whose outcome is not known yet."""
    rows = connection.execute(HELD)
    return [HeldRow(*row) for row in rows]


HELD = (
    sa.select(
        deliveries.c.id,
        deliveries.c.attempts,
        deliveries.c.notice,
        deliveries.c.holder,
        deliveries.c.next_at,
        senders.c.at,
    )
    .select_from(deliveries.outerjoin(senders, senders.c.id == deliveries.c.holder))
    .where(deliveries.c.status == "sending")
    .order_by(deliveries.c.id)
)


def end_leases(connection: sa.Connection, subject: str | None, at: Clocks, *, watched: bool = False) -> None:
    """Record as unknown the outcome of every send whose lease has run out."""
    mine = sa.select(notices.c.key).where(_about(subject)).scalar_subquery()
    run_out = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.attempts, deliveries.c.notice).where(
            deliveries.c.notice.in_(mine), _leased(watched), deliveries.c.next_at <= at.wall
        )
    ).all()
    for row in run_out:
        end(connection, row.id, row.attempts, row.notice, Outcome("unknown", SENDER_ENDED), at)


def _about(subject: str | None) -> sa.ColumnElement[bool]:
    return notices.c.subject.is_(None) if subject is None else notices.c.subject == subject


def queued(connection: sa.Connection, subject: str | None, now: datetime) -> list[NoticeRow]:
    """The subject's notices that are to be handed over, oldest first, locked until the transaction ends."""
    query = (
        sa.select(*told(notices))
        .where(_about(subject), notices.c.status == "queued", notices.c.due <= now)
        .order_by(notices.c.queued_at, notices.c.due, notices.c.key)
        .with_for_update()
    )
    return [NoticeRow(**row._mapping) for row in connection.execute(query)]


def of_notices(connection: sa.Connection, keys: Collection[str]) -> list[DeliveryRow]:
    """The deliveries of these notices, in the order in which they were made."""
    query = sa.select(*told(deliveries)).where(deliveries.c.notice.in_(keys)).order_by(deliveries.c.id)
    return [DeliveryRow(**row._mapping) for row in connection.execute(query)]


def make(
    connection: sa.Connection,
    told: Mapping[str, Sequence[Addressee]],
    before: Sequence[DeliveryRow],
    wall: datetime,
) -> list[DeliveryRow]:
    """Make a delivery of each notice for each recipient, or make one of `before` pending again."""
    wanted = {(key, each.recipient.id): each for key, all_of in told.items() for each in all_of}
    again = [row for row in before if wanted.pop((row.notice, row.recipient), None)]
    values = {"status": "pending", "next_at": wall}
    if again:
        connection.execute(
            deliveries.update().where(deliveries.c.id.in_([row.id for row in again])).values(values)
        )
    made = [_new(key, each, wall) for (key, _), each in wanted.items()]
    taken_up = [replace(row, status="pending", next_at=wall) for row in again]
    return [*taken_up, *_insert(connection, made)]


_IDENTITY = (deliveries.c.id, deliveries.c.notice, deliveries.c.recipient)


def _insert(connection: sa.Connection, made: Sequence[dict[str, Any]]) -> list[DeliveryRow]:
    given = ask_in_turn(connection, making([new(deliveries, row) for row in made]))
    return _inserted(made, [row for rows in given for row in rows])


def _inserted(made: Sequence[dict[str, Any]], given: Iterable[Row]) -> list[DeliveryRow]:
    ids = {(row["notice"], row["recipient"]): row["id"] for row in given}
    inserted = [DeliveryRow(id=ids[row["notice"], row["recipient"]], sent_at=None, **row) for row in made]
    return sorted(inserted, key=lambda row: row.id)


def _new(key: str, to: Addressee, wall: datetime) -> dict[str, Any]:
    return {
        "notice": key,
        "recipient": to.recipient.id,
        "label": to.recipient.label,
        "person": to.person,
        "status": "pending",
        "attempts": 0,
        "repeated": False,
        "next_at": wall,
        "holder": None,
    }


def give_up(connection: sa.Connection, delivery: int) -> None:
    """End a delivery whose recipient is no longer configured, or is not on duty any more."""
    connection.execute(
        deliveries.update().where(deliveries.c.id == delivery).values(status="gone", next_at=None)
    )


class FirstDeliveries:
    """The first deliveries of notices, one for each recipient, taken under a lease by `holder` at once."""

    def __init__(self, told: Mapping[str, Sequence[Addressee]], holder: str, at: Clocks) -> None:
        taken = {"status": "sending", "attempts": 1, "next_at": at.wall + LEASE, "holder": holder}
        self._made = [_new(key, each, at.wall) | taken for key in told for each in told[key]]

    @property
    def rows(self) -> Sequence[Stored]:
        """The deliveries as they are stored, for `making`."""
        return [new(deliveries, row) for row in self._made]

    def begun(self, given: Iterable[Row]) -> list[DeliveryRow]:
        """The deliveries that were made; `given` are the rows of `making`, those of other notices too."""
        return _inserted(self._made, given)


def making(rows: Sequence[Stored]) -> list[Question]:
    """The statements that make deliveries."""
    return inserting(deliveries, rows, _IDENTITY)


def begin(
    connection: sa.Connection, taken: Sequence[DeliveryRow], holder: str, at: Clocks
) -> list[DeliveryRow]:
    """Let `holder` take deliveries under a lease; the number of each attempt counts its delivery's sends."""
    lease = at.wall + LEASE
    if taken:
        connection.execute(
            deliveries.update()
            .where(deliveries.c.id.in_([row.id for row in taken]))
            .values(status="sending", attempts=deliveries.c.attempts + 1, next_at=lease, holder=holder)
        )
    begun = [
        replace(row, status="sending", attempts=row.attempts + 1, next_at=lease, holder=holder)
        for row in taken
    ]
    ask_in_turn(connection, noting(attempting(begun, at.now)))
    return begun


def attempting(begun: Sequence[DeliveryRow], now: datetime) -> list[Stored]:
    """The attempt which each delivery has just begun, as it is stored, for `noting`."""
    return [
        new(
            attempts,
            {"delivery": row.id, "number": row.attempts, "repeated": row.repeated, "began_at": now},
        )
        for row in begun
    ]


def noting(rows: Sequence[Stored]) -> list[Question]:
    """The statements that note attempts."""
    return inserting(attempts, rows)


_SAY = (
    notices.update()
    .where(notices.c.key == sa.bindparam("about"))
    .values(
        title=sa.bindparam("says"),
        body=sa.bindparam("tells"),
        handed_at=sa.func.coalesce(
            notices.c.handed_at, sa.bindparam("begun", type_=notices.c.handed_at.type)
        ),
    )
)


def say(connection: sa.Connection, texts: Mapping[str, tuple[str, str]], now: datetime) -> None:
    """Store the texts of notices (title and body, by key), and mark their hand-over as begun."""
    if texts:
        rows = [
            {"about": key, "says": title, "tells": body, "begun": now} for key, (title, body) in texts.items()
        ]
        connection.execute(_SAY, rows)


_END = attempts.update().where(
    attempts.c.delivery == sa.bindparam("of"),
    attempts.c.number == sa.bindparam("nth"),
    attempts.c.outcome.is_(None),
)
_CORRECT = attempts.update().where(
    attempts.c.delivery == sa.bindparam("of"),
    attempts.c.number == sa.bindparam("nth"),
    attempts.c.outcome == "unknown",
)
_OUTCOMES = (
    sa.select(sa.func.count())
    .select_from(attempts)
    .where(attempts.c.delivery == sa.bindparam("of"), attempts.c.outcome == sa.bindparam("what"))
)
_DELIVERY = deliveries.update().where(deliveries.c.id == sa.bindparam("which"))
_LOCK = Compiled(
    sa.select(sa.exists().where(outages.c.recipient == sa.bindparam("reaches")).label("has_failed"))
    .where(notices.c.key == sa.bindparam("about"))
    .with_for_update(of=notices)
)
_SETTLE = notices.update().where(
    notices.c.key == sa.bindparam("about"),
    unindexed(notices.c.status) == "queued",
    ~sa.exists().where(
        deliveries.c.notice == sa.bindparam("about"), unindexed(deliveries.c.status).in_(_OPEN)
    ),
)


def _sent_at_once() -> sa.Select[int]:
    """A statement that ends a send, its delivery and, without another open delivery, its notice.

    It counts the sends that it ended: one, or none. PostgreSQL alone can say so much in one statement, and
    each of the three waits for its answer otherwise. The notice's lock is taken before, so that its snapshot
    holds what other recipients' sends have left.
    """
    at = sa.bindparam("at", type_=attempts.c.ended_at.type)
    ended = (
        attempts.update()
        .where(
            attempts.c.delivery == sa.bindparam("of"),
            attempts.c.number == sa.bindparam("nth"),
            attempts.c.outcome.is_(None),
        )
        .values(outcome="sent", ended_at=at)
        .returning(attempts.c.delivery)
        .cte("ended")
    )
    was_ended = sa.exists().where(ended.c.delivery == sa.bindparam("of"))
    finished = (
        deliveries.update()
        .where(deliveries.c.id == sa.bindparam("of"), was_ended)
        .values(status="sent", sent_at=at, next_at=None, holder=None)
        .cte("finished")
    )
    others = sa.exists().where(
        deliveries.c.notice == sa.bindparam("about"),
        deliveries.c.id != sa.bindparam("of"),
        sa.or_(*(unindexed(deliveries.c.status) == each for each in _OPEN)),
    )
    settled = (
        notices.update()
        .where(
            notices.c.key == sa.bindparam("about"),
            unindexed(notices.c.status) == "queued",
            was_ended,
            ~others,
        )
        .values(status="delivered", settled_at=at)
        .cte("settled")
    )
    return sa.select(sa.func.count().label("ended")).select_from(ended).add_cte(finished, settled)


_SENT_AT_ONCE = Compiled(_sent_at_once())


def end(
    connection: sa.Connection, delivery: int, number: int, notice: str, outcome: Outcome, at: Clocks
) -> bool:
    """Record the outcome of a send, and what follows for its delivery and its notice.

    False when the send has ended already because its sender was taken for dead. Then the known outcome
    replaces "unknown", and a message that has arrived is not sent again.
    """
    attempt = {"of": delivery, "nth": number}
    ended = {"outcome": outcome.kind, "error": outcome.error, "ended_at": at.now}
    if connection.execute(_END, attempt | ended).rowcount == 1:
        if outcome.kind == "sent" or _has_arrived(connection, delivery):
            _finish(connection, delivery, notice, at.now)
        else:
            _put_back(connection, delivery, number, outcome, at.wall)
        return True
    if outcome.kind != "unknown" and connection.execute(_CORRECT, attempt | ended).rowcount == 1:
        _correct(connection, delivery, number, notice, outcome, at.now)
    return False


def _has_arrived(connection: sa.Connection, delivery: int) -> bool:
    return _count(connection, delivery, "sent") > 0


def _count(connection: sa.Connection, delivery: int, outcome: Kind) -> int:
    return connection.scalar(_OUTCOMES, {"of": delivery, "what": outcome}) or 0


def _put_back(
    connection: sa.Connection, delivery: int, number: int, outcome: Outcome, wall: datetime
) -> None:
    """Make a delivery that did not succeed pending again."""
    values: dict[str, object] = {"which": delivery, "status": "pending", "holder": None, "next_at": wall}
    if outcome.kind == "unknown":
        values["repeated"] = True
    if outcome.error != SENDER_ENDED and outcome.tried:
        values["next_at"] = wall + _wait(connection, delivery, number, outcome)
    connection.execute(_DELIVERY, values)


def _wait(connection: sa.Connection, delivery: int, number: int, outcome: Outcome) -> timedelta:
    if outcome.kind == "unknown":
        return SEND_IN_DOUBT.after(_count(connection, delivery, "unknown"))
    return SEND_REFUSED.after(number)


def _finish(connection: sa.Connection, delivery: int, notice: str, now: datetime) -> None:
    """Record that a recipient has the message."""
    sent = {"status": "sent", "sent_at": now, "next_at": None, "holder": None}
    connection.execute(_DELIVERY, {"which": delivery} | sent)
    settle(connection, notice, now)


def _correct(
    connection: sa.Connection, delivery: int, number: int, notice: str, outcome: Outcome, now: datetime
) -> None:
    """Correct a delivery after an outcome that came late; one that is being sent again is left to its
    sender.
    """
    register.open_again(connection, attempts.name, [register.key_of(delivery, number)])
    register.open_again(connection, deliveries.name, [str(delivery)])
    status = connection.scalar(sa.select(deliveries.c.status).where(deliveries.c.id == delivery))
    if status == "pending" and outcome.kind == "sent":
        _finish(connection, delivery, notice, now)
    elif status == "pending" and not _count(connection, delivery, "unknown"):
        connection.execute(_DELIVERY, {"which": delivery, "repeated": False})


def lock_notice(connection: sa.Connection, key: str) -> None:
    """Let no other transaction judge meanwhile whether this notice is delivered."""
    ask_in_turn(connection, [_locking(key)])


def _locking(key: str, recipient: str = "") -> Question:
    """The statement that locks a notice; its row tells whether the recipient has failed of late."""
    return _LOCK, {"about": key, "reaches": recipient}


def lock_and_end(connection: sa.Connection, taken: Claim, outcome: Outcome, at: Clocks) -> tuple[bool, bool]:
    """`end` under the notice's lock, and whether the recipient has failed since it was last reached."""
    delivery, number, notice = taken.delivery, taken.attempt, taken.notice
    questions = [_locking(notice, taken.recipient.id)]
    if outcome.kind == "sent" and connection.dialect.name == "postgresql":
        sent = {"of": delivery, "nth": number, "about": notice, "at": instant_text(at.now)}
        questions.append((_SENT_AT_ONCE, sent))
    locked, *at_once = ask_in_turn(connection, questions)
    has_ended = any(row["ended"] for rows in at_once for row in rows)
    has_failed = any(row["has_failed"] for row in locked)
    return has_ended or end(connection, delivery, number, notice, outcome, at), has_failed


def settle(connection: sa.Connection, key: str, now: datetime) -> None:
    """Count a notice as delivered once no delivery of it is open."""
    connection.execute(_SETTLE, {"about": key, "status": "delivered", "settled_at": now})


def hurry(connection: sa.Connection, recipient: str, wall: datetime) -> None:
    """Let the deliveries that wait for a recipient be tried at once."""
    connection.execute(
        deliveries.update()
        .where(
            deliveries.c.status == "pending",
            deliveries.c.next_at > wall,
            deliveries.c.recipient == recipient,
        )
        .values(next_at=wall)
    )


def run_out(connection: sa.Connection, key: str, now: datetime) -> None:
    """Withdraw a notice whose time of use ended before every recipient got it."""
    outbox.withdraw(connection, key, "no longer of use before it got through", now)
