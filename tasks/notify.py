"""Hand-over: each notice to each of its recipients at least once, and repeated only if it must be.

Claim, send, record. The claim is one transaction: lock the subject's row, advance the subject (which
withdraws whatever has become pointless), end the leases that ran out, take what is due under a lease.
The send happens outside every transaction. Its outcome is recorded in a third step. A process killed
between the steps leaves a lease behind; whoever finds it run out records "unknown", sends again and
marks the message as possibly repeated.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from itp_events.protocol import Protocol, Site
from tasks import deliveries, outages
from tasks.advance import Settled, settle_in
from tasks.channels import Channels, Recipient, problems
from tasks.deliveries import DeliveryRow
from tasks.links import facts_with_link
from tasks.queries import NoticeRow
from tasks.render import Occasion, marked_repeated, render
from tasks.sending import BOUND, Message, Outcome, all_at_once, send
from tasks.store import NO_ANSWER, Store, first_line

__all__ = [
    "Channels",
    "Claim",
    "Handed",
    "Moment",
    "Office",
    "claim",
    "hand_over",
    "hand_over_one",
    "problems",
    "waiting",
]

_log = logging.getLogger(__name__)
_SUBJECTS_AT_ONCE = 8
# A claim that is older than this, in seconds, is not begun: its lease could end before the send does.
_BEGIN_WITHIN = deliveries.LEASE.total_seconds() - BOUND - 10
# How long an outcome is kept for a database that does not answer, and how often it is offered; seconds.
_RECORD_WITHIN = 600.0
_RECORD_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process has taken, and that nobody else sends until its lease ends."""

    delivery: int
    attempt: int
    notice: str
    recipient: Recipient
    message: Message
    repeated: bool


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of one send. `repeated`: the message was marked as possibly repeated."""

    notice: str
    recipient: str
    outcome: Outcome
    repeated: bool


@dataclass(frozen=True, slots=True)
class Office:
    """What every hand-over needs."""

    store: Store
    protocol: Protocol
    channels: Channels


@dataclass(frozen=True)
class Moment:
    """The instant at which a hand-over began, in the study's time and in the machine's."""

    now: datetime
    wall: datetime
    began: float = field(default_factory=time.monotonic)

    def later(self) -> Moment:
        """The same two clocks, read again."""
        passed = time.monotonic() - self.began
        return Moment(self.now + timedelta(seconds=passed), self.wall + timedelta(seconds=passed))


def hand_over(
    store: Store,
    protocol: Protocol,
    channels: Channels,
    now: datetime,
    *,
    subject: str | None = None,
    wall: datetime | None = None,
) -> list[Handed]:
    """Hand over what is due: of one subject, or of all and the service's own alerts too.

    `now` is the study's time, `wall` the machine's when the two differ: leases and back-off follow it.
    Returns when every send has ended or has taken its 30 seconds; several subjects go side by side. When
    one of them cannot be decided about (its protocol version is not installed, say) the others are served
    all the same, and its error is raised at the end.
    """
    office = Office(store, protocol, channels)
    start = Moment(now, wall or now)
    if subject is not None:
        return hand_over_one(office, subject, start)
    codes = waiting(store, start.now, start.wall)
    if not codes:
        return []
    # Not map(): the first subject that fails would cancel those that have not begun.
    with ThreadPoolExecutor(_SUBJECTS_AT_ONCE, "hand-over") as pool:
        done = [pool.submit(hand_over_one, office, code, start) for code in codes]
    return [handed for each in done for handed in each.result()]


def waiting(store: Store, now: datetime, wall: datetime) -> list[str | None]:
    """The subjects with something to hand over; None stands for the service's own notices."""
    with store.reading() as connection:
        return deliveries.waiting(connection, now, wall)


def hand_over_one(
    office: Office, code: str | None, start: Moment, known: Settled | None = None
) -> list[Handed]:
    """Hand over what is due of one subject, or with None the service's own notices: alerts and digests.

    `known` is what this process has just decided about the subject, if it has.
    """
    at = start.later()
    claims = claim(office, code, at, known)
    handed, found_dead = [], False
    for ended in all_at_once(claims, lambda each: _send(each, office.channels, at.began)):
        taken, outcome = ended.item, ended.outcome
        found_dead = _record(office.store, taken, outcome, at.later()) or found_dead
        handed.append(Handed(taken.notice, taken.recipient.label, outcome, taken.repeated))
    if found_dead and code is not None:
        handed += hand_over_one(office, None, start)
    return handed


def _send(taken: Claim, channels: Channels, claimed: float) -> Outcome:
    if time.monotonic() - claimed > _BEGIN_WITHIN:
        return Outcome("failed", "not begun: this process stood still for too long after the claim")
    return send(taken.recipient, taken.message, channels.out)


def claim(office: Office, code: str | None, at: Moment, known: Settled | None = None) -> list[Claim]:
    """Check a subject's waiting notices again, withdraw the pointless and take the others under a lease.

    None as the code claims the service's own alerts. One transaction, without network calls.
    """
    return office.store.write(lambda connection: _claim(connection, office, code, at, known))


def _claim(
    connection: sa.Connection, office: Office, code: str | None, at: Moment, known: Settled | None
) -> list[Claim]:
    site_code, site = "default", office.protocol.site("default")
    if code is not None:
        settled = settle_in(connection, office.protocol, code, at.now, known)
        site_code, site = settled.subject.enrolled.site, settled.subject.site
        at = replace(at, now=max(at.now, settled.at))
    deliveries.end_leases(connection, code, at.now, at.wall)
    notices = _useful(connection, deliveries.queued(connection, code, at.now), at.now)
    pending = _pending(connection, office.channels, notices, site_code, at) if notices else []
    ready = [row for row in pending if row.next_at and row.next_at <= at.wall]
    return _take(connection, office, notices, site, ready, at)


def _useful(connection: sa.Connection, notices: Sequence[NoticeRow], now: datetime) -> list[NoticeRow]:
    for notice in notices:
        if notice.until and notice.until <= now:
            deliveries.run_out(connection, notice.key, now)
    return [notice for notice in notices if not (notice.until and notice.until <= now)]


def _pending(
    connection: sa.Connection, channels: Channels, notices: Sequence[NoticeRow], site_code: str, at: Moment
) -> list[DeliveryRow]:
    """The pending deliveries of these notices, made now where there are none.

    They stay as they were made, whatever is added to the configuration later. A recipient that has gone
    from it is given up; when nobody is left, whoever is configured now takes its place.
    """
    keys = [notice.key for notice in notices]
    rows = deliveries.of_notices(connection, keys)
    lost = {row.id for row in rows if row.status == "pending" and channels.find(row.recipient) is None}
    for delivery in lost:
        deliveries.give_up(connection, delivery)
    served = {row.notice for row in rows if row.status != "gone" and row.id not in lost}
    told = {each.key: _recipients(channels, each, site_code) for each in notices if each.key not in served}
    made = deliveries.make(connection, told, [row for row in rows if row.notice in told], at.wall)
    for key in served if lost else ():
        deliveries.settle(connection, key, at.now)
    current = [*(row for row in rows if row.notice in served), *made]
    return [row for row in current if row.status == "pending" and channels.find(row.recipient)]


def _recipients(channels: Channels, notice: NoticeRow, site_code: str) -> list[Recipient]:
    if notice.step == outages.STEP:
        return outages.told(channels, notice.facts)
    return channels.of(notice.audience, notice.facts.get("site", site_code))


def _take(
    connection: sa.Connection,
    office: Office,
    notices: Sequence[NoticeRow],
    site: Site,
    ready: Sequence[DeliveryRow],
    at: Moment,
) -> list[Claim]:
    by_key = {notice.key: notice for notice in notices}
    # A digest is about a site, not about a subject.
    sites = {
        each.key: office.protocol.site(each.facts["site"]) if "site" in each.facts else site
        for each in notices
    }
    texts = {
        key: _text(office.channels, by_key[key], sites[key], at.now) for key in {row.notice for row in ready}
    }
    deliveries.say(connection, texts, at.now)
    deliveries.begin(connection, ready, at.now, at.wall)
    return [
        _claimed(office.channels, row, by_key[row.notice], texts[row.notice], sites[row.notice].language)
        for row in ready
    ]


def _text(channels: Channels, notice: NoticeRow, site: Site, now: datetime) -> tuple[str, str]:
    facts = facts_with_link(channels.links, notice, now)
    occasion = Occasion(notice.step, notice.audience, notice.subject, notice.visit, facts)
    return render(occasion, site.language, site.zone)


def _claimed(
    channels: Channels, row: DeliveryRow, notice: NoticeRow, text: tuple[str, str], language: str
) -> Claim:
    recipient = channels.find(row.recipient)
    assert recipient is not None
    text = marked_repeated(*text, language) if row.repeated else text
    message = Message(*text, urgent=notice.kind != "reminder")
    return Claim(row.id, row.attempts + 1, notice.key, recipient, message, row.repeated)


def _record(store: Store, taken: Claim, outcome: Outcome, at: Moment) -> bool:
    """Record what became of a send; True when its channel has just been found dead.

    While the database does not answer it is tried again: an outcome that is known and not recorded would be
    taken for unknown, and the message repeated.
    """
    began = time.monotonic()
    while True:
        try:
            return store.write(lambda connection: _record_in(connection, taken, outcome, at))
        except NO_ANSWER as problem:
            if time.monotonic() - began > _RECORD_WITHIN:
                raise
            _log.warning(
                "%s: %s; the database does not take it: %s", taken.notice, outcome.kind, first_line(problem)
            )
            time.sleep(_RECORD_AGAIN)  # noqa: TID251 - nothing tells when the database answers again


def _record_in(connection: sa.Connection, taken: Claim, outcome: Outcome, at: Moment) -> bool:
    deliveries.lock_notice(connection, taken.notice)
    if not deliveries.end_attempt(connection, taken.delivery, taken.attempt, outcome, at.now):
        _log.warning("%s: attempt %s ended (%s) after its lease", taken.notice, taken.attempt, outcome.kind)
        return False
    if outcome.kind == "sent":
        deliveries.finish(connection, taken.delivery, at.now)
        deliveries.settle(connection, taken.notice, at.now)
    else:
        next_at = at.wall + deliveries.back_off(taken.attempt)
        deliveries.put_back(connection, taken.delivery, outcome, next_at)
        _log.warning("%s to %s: %s, %s", taken.notice, taken.recipient.label, outcome.kind, outcome.error)
    return outages.note(connection, taken.recipient, outcome, at.now, at.wall)
