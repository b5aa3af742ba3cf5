"""Claiming: a subject's waiting notices are checked once more, and the due ones taken under a lease.

One transaction locks the subject's row, advances the subject (which withdraws pointless notices), ends the
leases that ran out, and takes what is due. No other process sends a claimed notice while this one lives. The
send and its outcome are in `tasks.delivery.deliver`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa

from itp_events.events import Language, NoticeIssued, NoticeReopened
from itp_events.protocol.model import Protocol, Site
from itp_events.rules.subject import Subject
from tasks.advance import ReadClock, settle_in
from tasks.database import outbox
from tasks.database.compiled import Question, Row, Stored
from tasks.database.instance import Instance
from tasks.database.queries import NoticeRow
from tasks.database.store import Store
from tasks.database.unreadable import naming
from tasks.delivery import deliveries, duty_gaps, outages, recipients, told_now
from tasks.delivery.addressing import Addressed, Addressee, Addressing, reached
from tasks.delivery.channels import Channels, participant_tag
from tasks.delivery.claims import Claim, Claimed, Clocks
from tasks.delivery.deliveries import DeliveryRow
from tasks.delivery.links import with_link
from tasks.delivery.sending import Message
from tasks.delivery.told_now import ToldNow
from tasks.keeping import Settled
from tasks.spans import span
from tasks.text.duty import standing_in
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
    now_told = told_now.read(connection)
    if not _may_tell(connection, context, now_told):
        return []
    site_code, site = "default", context.protocol.site("default")
    if code is not None:
        settled = settle_in(connection, context.protocol, code, at.now, context.read_again)
        site_code, site = settled.subject.enrolled.site, settled.subject.site
        at = replace(at, now=settled.at)
    deliveries.end_leases(connection, code, at, watched=context.instance.watches)
    notices = _useful(connection, deliveries.queued(connection, code, at.now), at.now)
    if not notices:
        return []
    addressing = Addressing(now_told.roster, context.protocol, context.channels, at.now)
    addressed = _addressed(connection, addressing, notices, site_code)
    notices = _reachable(connection, notices, addressed, at.now)
    addressed = {notice.key: addressed[notice.key] for notice in notices}
    pending = _pending(connection, context.channels, addressed, at)
    ready = [row for row in pending if row.next_at and row.next_at <= at.wall]
    return _take(connection, context, _Going(notices, addressed, site), ready, at)


@dataclass(frozen=True, slots=True)
class _Going:
    """Notices that are to be handed over, their recipients by key, and the subject's site."""

    notices: Sequence[NoticeRow]
    addressed: Mapping[str, Addressed]
    site: Site


def _addressed(
    connection: sa.Connection, addressing: Addressing, notices: Sequence[NoticeRow], site_code: str
) -> dict[str, Addressed]:
    """The recipients of notices by key, as the roster is in this transaction; `ops` is told of gaps in it."""
    found = {}
    for notice in notices:
        if notice.step == outages.STEP:
            told = outages.told(addressing.channels, notice.facts)
            found[notice.key] = Addressed(tuple(map(Addressee, told)))
        else:
            found[notice.key] = addressing.of(notice, site_code)
            duty_gaps.tell(connection, notice, site_code, found[notice.key].gaps, addressing)
    return found


def _may_tell(connection: sa.Connection, context: DeliveryContext, now_told: ToldNow) -> bool:
    """Whether this process has the study's recipients; otherwise it claims nothing, and says so."""
    if now_told.fingerprint in (None, context.channels.fingerprint):
        return True
    stored = recipients.study_recipients_in(connection)
    if stored is not None:
        context.instance.warn(recipients.difference(context.channels, stored))
    return False


class ClaimAtOnce:
    """Claims the notices that a door makes due, in the door's own transaction; send `claims` within
    moments.

    The notices can have no delivery yet, so nothing need be looked up. Nothing is taken, and `claim` is left
    to do it, when a notice is due again or cannot be put into words. When the transaction is repeated, the
    last claims count.
    """

    def __init__(self, context: DeliveryContext, at: Clocks) -> None:
        self._context, self._at = context, at
        self._taken: list[_TakenAtOnce] = []

    @property
    def claims(self) -> Sequence[Claim]:
        """The claims of all subjects."""
        return tuple(each for taken in self._taken for each in taken.claims)

    @property
    def by_subject(self) -> Claimed:
        """The claims of each subject that has some."""
        return {taken.subject: taken.claims for taken in self._taken if taken.subject and taken.claims}

    def anew(self) -> Question:
        """Forget the claims of an earlier run of the transaction; the question for whom to tell now."""
        self._taken = []
        return told_now.ASKED

    def say(
        self, connection: sa.Connection, told: Sequence[Row], settled: Settled
    ) -> Mapping[str, outbox.Text]:
        """The texts, by key, of the notices of a subject that are taken."""
        notices, now_told = [] if _reopens(settled) else _issued(settled), told_now.told_by(told)
        if not notices or not _may_tell(connection, self._context, now_told):
            return {}
        at = replace(self._at, now=settled.at)
        going = self._reached(connection, now_told, notices, settled.subject, at)
        texts = _in_words(self._context, going, at)
        if texts:
            self._taken.append(_TakenAtOnce(self._context, going, texts, at))
        return texts

    def making(self) -> Sequence[Question]:
        """The statements that make the deliveries of what was put into words."""
        return deliveries.making([row for taken in self._taken for row in taken.first.rows])

    def begin(self, made: Sequence[Row]) -> Sequence[Question]:
        """Claim the deliveries that were made; the statements that note their first attempts."""
        return deliveries.noting([row for taken in self._taken for row in taken.begin(made)])

    def _reached(
        self,
        connection: sa.Connection,
        now_told: ToldNow,
        notices: Sequence[NoticeRow],
        subject: Subject,
        at: Clocks,
    ) -> _Going:
        context = self._context
        addressing = Addressing(now_told.roster, context.protocol, context.channels, at.now)
        addressed = _addressed(connection, addressing, notices, subject.enrolled.site)
        # A subject without a recipient is left to `claim`, which withdraws the reminder.
        return _Going([each for each in notices if addressed[each.key].to], addressed, subject.site)


class _TakenAtOnce:
    """The notices of one subject that are taken as they are queued."""

    def __init__(
        self, context: DeliveryContext, going: _Going, texts: Mapping[str, outbox.Text], at: Clocks
    ) -> None:
        self.claims: Sequence[Claim] = ()
        self.subject = going.notices[0].subject
        self._context, self._going, self._texts, self._at = context, going, texts, at
        told = {each.key: going.addressed[each.key].to for each in going.notices}
        self.first = deliveries.FirstDeliveries(told, context.instance.id, at)

    def begin(self, made: Sequence[Row]) -> Sequence[Stored]:
        """Claim its deliveries among those that were made; their first attempts, as they are stored."""
        with span("claim", self.subject), naming(self.subject or ""):
            begun = self.first.begun(made)
            self.claims = _claims(self._context, self._going, self._texts, begun, self._at)
            return deliveries.attempting(begun, self._at.now)


def _in_words(context: DeliveryContext, going: _Going, at: Clocks) -> Mapping[str, outbox.Text]:
    keys = [notice.key for notice in going.notices]
    try:
        return _texts(context, going, keys, at.now)
    except Exception:
        # The stated event is recorded all the same. The next claim of the notice meets the same error.
        log.exception("%s cannot be put into words.", ", ".join(keys))
        return {}


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


def _reachable(
    connection: sa.Connection,
    notices: Sequence[NoticeRow],
    addressed: Mapping[str, Addressed],
    now: datetime,
) -> list[NoticeRow]:
    """The notices that have recipients; a subject's own reminder goes to nobody else, and is withdrawn."""
    for notice in notices:
        if not addressed[notice.key].to and notice.subject:
            reason = f"no recipient is tagged {participant_tag(notice.subject)}"
            log.warning("%s: %s", notice.key, reason)
            outbox.withdraw(connection, notice.key, reason, now)
    return [notice for notice in notices if addressed[notice.key].to]


def _pending(
    connection: sa.Connection, channels: Channels, addressed: Mapping[str, Addressed], at: Clocks
) -> list[DeliveryRow]:
    """The pending deliveries of these notices, made now where there are none.

    A delivery to a recipient that has gone from the configuration, or to a person who is not on duty any
    more, is given up.
    """
    rows = deliveries.of_notices(connection, list(addressed))
    lost = {row.id for row in rows if row.status == "pending" and _is_lost(channels, row, rows, addressed)}
    for delivery in lost:
        deliveries.give_up(connection, delivery)
    standing = [row for row in rows if row.status != "gone" and row.id not in lost]
    told = {
        key: _untold(channels, to, [row for row in standing if row.notice == key], _by_rota(key, rows, to))
        for key, to in addressed.items()
    }
    before = [row for row in rows if row.id in lost or row.status == "gone"]
    made = deliveries.make(connection, told, before, at.wall)
    for key in {row.notice for row in rows if row.id in lost}:
        deliveries.settle(connection, key, at.now)
    return [row for row in (*standing, *made) if row.status == "pending" and channels.find(row.recipient)]


def _by_rota(key: str, rows: Sequence[DeliveryRow], addressed: Addressed) -> bool:
    """Whether a notice goes, or went so far, to people on duty."""
    return addressed.by_rota or any(row.person for row in rows if row.notice == key)


def _is_lost(
    channels: Channels, row: DeliveryRow, rows: Sequence[DeliveryRow], addressed: Mapping[str, Addressed]
) -> bool:
    if channels.find(row.recipient) is None:
        return True
    to = addressed[row.notice]
    wanted = {each.recipient.id for each in to.to}
    return _by_rota(row.notice, rows, to) and row.recipient not in wanted


def _untold(
    channels: Channels, addressed: Addressed, standing: Sequence[DeliveryRow], by_rota: bool
) -> list[Addressee]:
    """The recipients for whom a notice needs a delivery now; `standing` are those that it has.

    Without a rota the deliveries stay as they were first made, whatever is added to the configuration later.
    With one, those who are on duty now get what has reached nobody yet.
    """
    if not by_rota:
        return [] if standing else list(addressed.to)
    if any(row.status == "sent" and reached(row.person, channels.find(row.recipient)) for row in standing):
        return []
    there = {row.recipient for row in standing}
    return [each for each in addressed.to if each.recipient.id not in there]


def _take(
    connection: sa.Connection,
    context: DeliveryContext,
    going: _Going,
    ready: Sequence[DeliveryRow],
    at: Clocks,
) -> list[Claim]:
    texts = _texts(context, going, {row.notice for row in ready}, at.now)
    deliveries.say(connection, texts, at.now)
    begun = deliveries.begin(connection, ready, context.instance.id, at)
    return _claims(context, going, texts, begun, at)


def _site(context: DeliveryContext, going: _Going, notice: NoticeRow) -> Site:
    # A digest is about a site, not about a subject.
    return context.protocol.site(notice.facts["site"]) if "site" in notice.facts else going.site


def _language(notice: NoticeRow, site: Site) -> Language:
    """The language of a notice: a subject's own may be another than the site's."""
    return notice.facts.get("language") or site.language


def _claims(
    context: DeliveryContext,
    going: _Going,
    texts: Mapping[str, tuple[str, str]],
    begun: Sequence[DeliveryRow],
    at: Clocks,
) -> list[Claim]:
    by_key = {notice.key: notice for notice in going.notices}
    for row in begun:
        context.instance.take(row.id, row.attempts)
    return [
        _claimed(
            context.channels,
            row,
            by_key[row.notice],
            texts[row.notice],
            _language(by_key[row.notice], _site(context, going, by_key[row.notice])),
            at,
        )
        for row in begun
    ]


def _texts(
    context: DeliveryContext, going: _Going, keys: Collection[str], now: datetime
) -> dict[str, tuple[str, str]]:
    """The titles and bodies of those notices whose keys are named, by key."""
    texts = {}
    for notice in going.notices:
        if notice.key in keys:
            site, gaps = _site(context, going, notice), going.addressed[notice.key].gaps
            text = _text(context.channels, notice, site, now)
            texts[notice.key] = standing_in(*text, site.language, gaps) if gaps else text
    return texts


def _text(channels: Channels, notice: NoticeRow, site: Site, now: datetime) -> tuple[str, str]:
    said = with_link(channels.links, notice, now)
    occasion = Occasion(notice.step, notice.audience, notice.subject, notice.visit, said)
    return render(occasion, _language(notice, site), site.zone)


def _claimed(
    channels: Channels, row: DeliveryRow, notice: NoticeRow, text: tuple[str, str], language: str, at: Clocks
) -> Claim:
    recipient = channels.find(row.recipient)
    assert recipient is not None
    text = marked_repeated(*text, language) if row.repeated else text
    links = channels.links.base if channels.links else ""
    message = Message(*text, urgent=notice.kind != "reminder", links=links, language=language)
    return Claim(row.id, row.attempts, notice.key, recipient, message, row.repeated, at)
