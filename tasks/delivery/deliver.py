"""Hand-over: each notice to each of its recipients at least once, and repeated only if it must be.

A notice is claimed (`tasks.delivery.claiming`), sent, and its outcome recorded. The send happens outside
every transaction. A process killed between the steps leaves its claim behind: `tasks.delivery.left_behind`
finds it, records "unknown" and frees the delivery, which is sent again, marked as possibly repeated.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from tasks.database.store import NO_ANSWER, Store, first_line
from tasks.delivery import deliveries, outages
from tasks.delivery.claiming import DeliveryContext, claim
from tasks.delivery.claims import Claim, Clocks
from tasks.delivery.sending import Outcome, Sent, all_at_once, send
from tasks.spans import carried, span

_log = logging.getLogger(__name__)
# The wait before an outcome is offered again to a database that does not answer, in seconds.
_RECORD_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Handed:
    """The outcome of one send. `repeated`: whether the message was marked as possibly repeated."""

    notice: str
    recipient: str
    outcome: Outcome
    repeated: bool


def waiting(store: Store, now: datetime, wall: datetime, *, watched: bool = False) -> list[str | None]:
    """The subjects with something to hand over; None stands for the service's own notices.

    With `watched`, deliveries that other processes hold are left to `tasks.delivery.left_behind`.
    """
    with store.reading() as connection:
        return deliveries.waiting(connection, now, wall, watched=watched)


def hand_over_one(context: DeliveryContext, code: str | None, start: Clocks) -> list[Handed]:
    """Hand over what is due of one subject, or with None the service's own alerts and digests."""
    return hand_over_claimed(context, code, claim(context, code, start.later()))


def hand_over_claimed(context: DeliveryContext, code: str | None, claims: Sequence[Claim]) -> list[Handed]:
    """Send the claimed notices of one subject, or with None of the service itself."""
    handed: list[Handed] = []
    dead: Claim | None = None
    failures: list[Exception] = []
    for ended in _sends(context, claims):
        taken, outcome = ended.item, ended.outcome
        try:
            if record_outcome(context, taken, outcome):
                dead = taken
        except Exception as error:  # noqa: BLE001 - raised once the others' outcomes are recorded too
            failures.append(error)
        handed.append(Handed(taken.notice, taken.recipient.label, outcome, taken.repeated))
    if failures:
        raise failures[0]
    if dead is not None and code is not None:
        handed += hand_over_one(context, None, dead.at)
    return handed


def _sends(context: DeliveryContext, claims: Sequence[Claim]) -> Iterator[Sent[Claim]]:
    def sign() -> None:
        context.instance.give_sign(context.store, claims[0].at.later().wall)

    def late(taken: Claim, outcome: Outcome) -> None:
        record_outcome(context, taken, outcome)

    return all_at_once(claims, carried(lambda each: _send(context, each)), meanwhile=sign, late=late)


def _send(context: DeliveryContext, taken: Claim) -> Outcome:
    with span("send", notice=taken.notice) as sending:
        outcome = _begin(context, taken)
        sending.note(outcome=outcome.kind, attempt=taken.attempt, recipient=taken.recipient.id)
    return outcome


def _begin(context: DeliveryContext, taken: Claim) -> Outcome:
    if not context.instance.begin(taken.delivery, taken.attempt):
        return Outcome(
            "failed", "not begun: this process stood still for too long after the claim", tried=False
        )
    return send(taken.recipient, taken.message, context.channels.out)


def record_outcome(context: DeliveryContext, taken: Claim, outcome: Outcome) -> bool:
    """Record the outcome of a send; True when its channel has just been found dead.

    While the database does not answer it is tried again: an outcome that is not recorded would be taken for
    unknown, and the message repeated.
    """
    at = taken.at.later()
    try:
        while True:
            try:
                # Before new events: the thread that sends is free only then, and so is the notice.
                return context.store.write(lambda within: _record_in(within, taken, outcome, at), ahead=True)
            except NO_ANSWER as problem:
                said = first_line(problem)
                _log.warning("%s: %s; the database does not take it: %s", taken.notice, outcome.kind, said)
                context.instance.give_sign(context.store, taken.at.later().wall)
                time.sleep(_RECORD_AGAIN)  # noqa: TID251 - nothing tells when the database answers again
    finally:
        context.instance.let_go(taken.delivery, taken.attempt)


def _record_in(connection: sa.Connection, taken: Claim, outcome: Outcome, at: Clocks) -> bool:
    has_ended, has_failed = deliveries.lock_and_end(connection, taken, outcome, at)
    if not has_ended:
        _log.warning(
            "%s: attempt %s ended (%s) after it had been given up", taken.notice, taken.attempt, outcome.kind
        )
        return False
    if outcome.kind != "sent":
        _log.warning("%s to %s: %s, %s", taken.notice, taken.recipient.label, outcome.kind, outcome.error)
    if outcome.kind == "sent" and not has_failed:
        return False
    return outcome.tried and outages.note(connection, taken.recipient, outcome, at.now, at.wall)
