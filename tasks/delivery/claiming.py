"""Claiming: a subject's waiting notices are checked once more, and the due ones taken under a lease.

One transaction locks the subject's row, advances the subject (which withdraws pointless notices), ends the
leases that ran out, and takes what is due. No other process sends a claimed notice while this one lives. The
send and its outcome are in `tasks.delivery.deliver`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa

from itp_events.events import NoticeIssued, NoticeReopened
from itp_events.protocol.model import Protocol, Site
from tasks.advance import ReadClock, Settled, settle_in
from tasks.database import outbox
from tasks.database.instance import Instance
from tasks.database.queries import NoticeRow
from tasks.database.store import Store
from tasks.delivery import deliveries, outages, recipients
from tasks.delivery.channels import Channels, Recipient
from tasks.delivery.claims import Claim, Clocks
from tasks.delivery.deliveries import DeliveryRow
from tasks.delivery.links import with_link
from tasks.delivery.sending import Message
from tasks.spans import span
from tasks.text.render import Occasion, marked_repeated, render

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """The parts of the study with which every hand-over works; `read_again` as in `tasks.advance.advance`."""

    store: Store
    protocol: Protocol
    channels: Channels
    instance: Instance = field(default_factory=Instance)
    read_again: ReadClock | None = None


def claim(context: DeliveryContext, code: str | None, at: Clocks) -> list[Claim]:
    """Check a subject's waiting notices again, withdraw the pointless and take the others under a lease.

    None as the code claims the service's own alerts. One transaction, without network calls; raises what
    `tasks.advance.advance` raises.
    """
    with span("claim", code):
        return context.store.write(lambda connection: _claim(connection, context, code, at))


def _claim(connection: sa.Connection, context: DeliveryContext, code: str | None, at: Clocks) -> list[Claim]:
    if not _may_tell(connection, context):
        return []
    site_code, site = "default", context.protocol.site("default")
    if code is not None:
        settled = settle_in(connection, context.protocol, code, at.now, context.read_again)
        site_code, site = settled.subject.enrolled.site, settled.subject.site
        at = replace(at, now=settled.at)
    deliveries.end_leases(connection, code, at, watched=context.instance.watches)
    notices = _useful(connection, deliveries.queued(connection, code, at.now), at.now)
    pending = _pending(connection, context.channels, notices, site_code, at) if notices else []
    ready = [row for row in pending if row.next_at and row.next_at <= at.wall]
    return _take(connection, context, notices, site, ready, at)


def _may_tell(connection: sa.Connection, context: DeliveryContext) -> bool:
    """Whether this process has the study's recipients; otherwise it claims nothing, and says so."""
    if recipients.agree(connection, context.channels):
        return True
    stored = recipients.study_recipients_in(connection)
    if stored is not None:
        context.instance.warn(recipients.difference(context.channels, stored))
    return False


class ClaimAtOnce:
    """Claims the notices that a door makes due, in the door's own transaction; send `claims` within
    moments.
    """

    def __init__(self, context: DeliveryContext, at: Clocks) -> None:
        self._context, self._at = context, at
        self.claims: Sequence[Claim] = ()

    def __call__(self, connection: sa.Connection, settled: Settled) -> None:
        """Claim; when the transaction is repeated, the last claims count."""
        with span("claim", settled.subject.code):
            self.claims = claim_at_once(self._context, self._at, connection, settled)


def claim_at_once(
    context: DeliveryContext, at: Clocks, connection: sa.Connection, settled: Settled
) -> Sequence[Claim]:
    """Take the notices that have just been decided about a subject, in the same transaction.

    They can have no delivery yet, so nothing need be looked up. Nothing is taken, and `claim` is left to do
    it, when a notice is due again or cannot be put into words.
    """
    at, subject = replace(at, now=settled.at), settled.subject
    notices = [] if _reopens(settled) else _issued(settled)
    if not notices or not _may_tell(connection, context):
        return ()
    told = {each.key: _recipients(context.channels, each, subject.enrolled.site) for each in notices}
    sites = _sites(context, notices, subject.site)
    try:
        texts = {each.key: _text(context.channels, each, sites[each.key], at.now) for each in notices}
    except Exception:
        # The stated event is recorded all the same. The next claim of the notice meets the same error.
        log.exception("The notices of %s cannot be put into words.", subject.code)
        return ()
    deliveries.say(connection, texts, at.now)
    begun = deliveries.begin_first(connection, told, context.instance.id, at)
    return _claims(context, notices, sites, texts, begun, at)


def _reopens(settled: Settled) -> bool:
    return any(isinstance(event.data, NoticeReopened) for event in settled.decision.events)


def _issued(settled: Settled) -> list[NoticeRow]:
    """The new notices of a decision that are due and of use, in the order of `queued`."""
    issued = [
        NoticeRow(**outbox.row(event.subject, event.data, settled.at))
        for event in settled.decision.events
        if isinstance(event.data, NoticeIssued) and event.data.notice in settled.waiting
    ]
    useful = [each for each in issued if _is_useful(each, settled.at)]
    return sorted(useful, key=lambda each: (each.due, each.key))


def _is_useful(notice: NoticeRow, now: datetime) -> bool:
    return notice.due <= now and (notice.until is None or notice.until > now)


def _useful(connection: sa.Connection, notices: Sequence[NoticeRow], now: datetime) -> list[NoticeRow]:
    for notice in notices:
        if not _is_useful(notice, now):
            deliveries.run_out(connection, notice.key, now)
    return [notice for notice in notices if _is_useful(notice, now)]


def _pending(
    connection: sa.Connection, channels: Channels, notices: Sequence[NoticeRow], site_code: str, at: Clocks
) -> list[DeliveryRow]:
    """The pending deliveries of these notices, made now where there are none.

    They stay as they were made, whatever is added to the configuration later. A delivery to a recipient that
    has gone from it is given up; when a notice has no recipient left, those configured now take their place.
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
    context: DeliveryContext,
    notices: Sequence[NoticeRow],
    site: Site,
    ready: Sequence[DeliveryRow],
    at: Clocks,
) -> list[Claim]:
    sites = _sites(context, notices, site)
    going = {row.notice for row in ready}
    texts = {
        each.key: _text(context.channels, each, sites[each.key], at.now)
        for each in notices
        if each.key in going
    }
    deliveries.say(connection, texts, at.now)
    begun = deliveries.begin(connection, ready, context.instance.id, at)
    return _claims(context, notices, sites, texts, begun, at)


def _sites(context: DeliveryContext, notices: Sequence[NoticeRow], site: Site) -> dict[str, Site]:
    # A digest is about a site, not about a subject.
    return {
        each.key: context.protocol.site(each.facts["site"]) if "site" in each.facts else site
        for each in notices
    }


def _claims(
    context: DeliveryContext,
    notices: Sequence[NoticeRow],
    sites: Mapping[str, Site],
    texts: Mapping[str, tuple[str, str]],
    begun: Sequence[DeliveryRow],
    at: Clocks,
) -> list[Claim]:
    by_key = {notice.key: notice for notice in notices}
    for row in begun:
        context.instance.take(row.id, row.attempts)
    return [
        _claimed(context.channels, row, by_key[row.notice], texts[row.notice], sites[row.notice].language, at)
        for row in begun
    ]


def _text(channels: Channels, notice: NoticeRow, site: Site, now: datetime) -> tuple[str, str]:
    said = with_link(channels.links, notice, now)
    occasion = Occasion(notice.step, notice.audience, notice.subject, notice.visit, said)
    return render(occasion, site.language, site.zone)


def _claimed(
    channels: Channels, row: DeliveryRow, notice: NoticeRow, text: tuple[str, str], language: str, at: Clocks
) -> Claim:
    recipient = channels.find(row.recipient)
    assert recipient is not None
    text = marked_repeated(*text, language) if row.repeated else text
    links = channels.links.base if channels.links else ""
    message = Message(*text, urgent=notice.kind != "reminder", links=links, language=language)
    return Claim(row.id, row.attempts, notice.key, recipient, message, row.repeated, at)
