"""The claim: a subject's waiting notices checked once more, and what is due taken under a lease.

One transaction: lock the subject's row, advance the subject (which withdraws whatever has become pointless),
end the leases that ran out, take what is due. Nobody else sends what is claimed until its lease ends.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from itp_events.events import NoticeIssued, NoticeReopened
from itp_events.protocol import Protocol, Site
from tasks import deliveries, outages, outbox
from tasks.advance import Settled, settle_in
from tasks.channels import Channels, Recipient
from tasks.deliveries import DeliveryRow
from tasks.links import facts_with_link
from tasks.queries import NoticeRow
from tasks.render import Occasion, marked_repeated, render
from tasks.sending import Message
from tasks.store import Store


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
        if settled is known and (claims := _claim_first(connection, office, settled, at)) is not None:
            return claims
    deliveries.end_leases(connection, code, at.now, at.wall)
    notices = _useful(connection, deliveries.queued(connection, code, at.now), at.now)
    pending = _pending(connection, office.channels, notices, site_code, at) if notices else []
    ready = [row for row in pending if row.next_at and row.next_at <= at.wall]
    return _take(connection, office, notices, site, ready, at)


def _claim_first(
    connection: sa.Connection, office: Office, settled: Settled, at: Moment
) -> list[Claim] | None:
    """What has just been decided: there can be no delivery of it yet, so that nothing need be looked up.

    None when there is more to look at: a notice that is due again, or whose hand-over somebody has begun.
    """
    subject, notices = settled.subject, _issued(settled)
    told = {each.key: _recipients(office.channels, each, subject.enrolled.site) for each in notices}
    if _reopens(settled) or not notices or not all(told.values()):
        return None
    sites = _sites(office, notices, subject.site)
    texts = {each.key: _text(office.channels, each, sites[each.key], at.now) for each in notices}
    if not deliveries.say_first(connection, texts, at.now):
        return None
    begun = deliveries.begin_first(connection, told, at.now, at.wall)
    return _claims(office, notices, sites, texts, begun)


def _reopens(settled: Settled) -> bool:
    return any(isinstance(event.data, NoticeReopened) for event in settled.decision.events)


def _issued(settled: Settled) -> list[NoticeRow]:
    return [
        NoticeRow(**outbox.row(event.subject, event.data, settled.at))
        for event in settled.decision.events
        if isinstance(event.data, NoticeIssued)
    ]


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
    sites = _sites(office, notices, site)
    going = {row.notice for row in ready}
    texts = {
        each.key: _text(office.channels, each, sites[each.key], at.now)
        for each in notices
        if each.key in going
    }
    deliveries.say(connection, texts, at.now)
    return _claims(office, notices, sites, texts, deliveries.begin(connection, ready, at.now, at.wall))


def _sites(office: Office, notices: Sequence[NoticeRow], site: Site) -> dict[str, Site]:
    # A digest is about a site, not about a subject.
    return {
        each.key: office.protocol.site(each.facts["site"]) if "site" in each.facts else site
        for each in notices
    }


def _claims(
    office: Office,
    notices: Sequence[NoticeRow],
    sites: Mapping[str, Site],
    texts: Mapping[str, tuple[str, str]],
    begun: Sequence[DeliveryRow],
) -> list[Claim]:
    by_key = {notice.key: notice for notice in notices}
    return [
        _claimed(office.channels, row, by_key[row.notice], texts[row.notice], sites[row.notice].language)
        for row in begun
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
    return Claim(row.id, row.attempts, notice.key, recipient, message, row.repeated)
