"""Chooses the notices of typical lives whose texts the preview shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast

from deployments.preview.life import FIRST_DAY, Life
from deployments.preview.lives import FREE_TEXT, LIVES, REMINDED
from itp_events.duty.ahead import PlaceToday, look_ahead
from itp_events.duty.changes import Absent, Entry, Rota
from itp_events.duty.roster import roster
from itp_events.errors import ItpError
from itp_events.events import NoticeIssued
from itp_events.notices.steps import Step
from itp_events.protocol.model import Protocol
from tasks import digest
from tasks.board.cards import Card, card
from tasks.board.story import Story
from tasks.database.contents import OutboxContents
from tasks.database.queries import NoticeRow
from tasks.database.subject_record import SubjectRecord
from tasks.delivery import alarms, outages
from tasks.delivery.links import Links, with_link
from tasks.text.render import Occasion

# The most occasions of one step and audience: enough to see its variants, few enough to read.
SHOWN = 9
# Contents whose values change the wording of a text.
_TELLING = (
    *("booked", "anchor_basis", "because", "outcome", "criterion", "decode", "follow_up", "death"),
    *("treatment_ended", "agreed", "grade", "assumed", "language"),
)


@dataclass(frozen=True)
class Example:
    """An occasion for a text, and the title of its life."""

    life: str
    occasion: Occasion


@dataclass(frozen=True)
class Preview:
    """The occasions of a language, and the lives that the protocol rules out, with the reason."""

    examples: tuple[Example, ...]
    left_out: tuple[str, ...]


def preview(protocol: Protocol, language: str, links: Links) -> Preview:
    """The occasions that typical lives by a protocol bring, in order of the lives."""
    examples: list[Example] = []
    left_out = []
    lives = (*LIVES, REMINDED) if protocol.participant else LIVES
    for number, typical in enumerate(lives, 1):
        life, title = Life(protocol, f"ITP-{number:03}"), typical.title[language]
        try:
            typical.live(life, FREE_TEXT[language])
        except ItpError as error:
            left_out.append(f"{title}: {error}")
        examples += [Example(title, _occasion(life, notice, links)) for notice in life.told]
    examples += _digests(protocol, language)
    examples += _dead_channels(protocol, language)
    examples += _troubles(protocol, language)
    return Preview(tuple(_chosen(examples)), tuple(left_out))


def _occasion(life: Life, notice: NoticeIssued, links: Links) -> Occasion:
    row = NoticeRow(
        key=notice.notice,
        subject=life.code,
        kind=notice.kind,
        visit=notice.visit,
        step=notice.step,
        audience=notice.audience,
        due=notice.due,
        until=notice.until,
        facts=cast("OutboxContents", notice.facts),
        queued_at=notice.due,
        status="queued",
    )
    said = with_link(links, row, notice.due)
    return Occasion(notice.step, notice.audience, life.code, notice.visit, said)


def _chosen(examples: Sequence[Example]) -> Iterator[Example]:
    """The first occasion of each wording, by step and audience."""
    shown: dict[tuple[str, str], list[object]] = {}
    for each in examples:
        shapes = shown.setdefault((Step.read(each.occasion.step).text, each.occasion.audience), [])
        shape = _shape(each.occasion)
        if shape not in shapes and len(shapes) < SHOWN:
            shapes.append(shape)
            yield each


def _shape(occasion: Occasion) -> object:
    said = occasion.contents
    telling = [said.get(name) for name in _TELLING]
    # An adverse event's term changes no text; the service's own words (a partner's pregnancy) do.
    term = None if said.get("grade") else said.get("term")
    late = said.get("deviation_days", 0) > 0
    inside = said.get("t", "") < said.get("closes", "")
    # The first notice of a repeated one has no number.
    first = said.get("attempt") in (None, 1)
    return sorted(said), telling, term, late, inside, first


def _digests(protocol: Protocol, language: str) -> Iterator[Example]:
    """A site's digest on one morning, from lives in different states then."""
    at = _monday(protocol)
    cards = [card(_story(life, at)) for life in _some_lives(protocol, language)]
    today = protocol.site("default").date_of(at)
    title = {"en": "A Monday morning at a site", "zh-CN": "某周一上午"}[language]
    for audience in digest.AUDIENCES:
        found = digest.content(_of_one_site(cards), audience, today)
        found |= digest.about_duty(_some_duty(cards[0]["site"], today), today)
        said = cast("OutboxContents", {"site": cards[0]["site"], "on": today.isoformat(), **found})
        yield Example(title, Occasion(digest.STEP, audience, None, None, said))


def _some_duty(site: str, today: date) -> list[PlaceToday]:
    """A week in which a deputy stands in for a coordinator, and nobody does on the last of its days."""
    rota = Rota(audience="coordinator", site=site, days=tuple(range(1, 8)), people=("crc.li",), first=today)
    until = today + timedelta(days=4)
    away = Absent(person="crc.li", first=today, last=until, deputy="crc.wang")
    away_too = Absent(person="crc.wang", first=until, last=until)
    found = roster([Entry(1, rota), Entry(2, away), Entry(3, away_too)])
    return [look_ahead(found, "coordinator", site, today)]


def _monday(protocol: Protocol) -> datetime:
    return protocol.site("default").at(FIRST_DAY + timedelta(weeks=4), digest.AT)


def _some_lives(protocol: Protocol, language: str) -> Iterator[Life]:
    """Lives until that morning: one visit overdue, one today, some ahead, decisions and reports that wait."""
    words, at = FREE_TEXT[language], _monday(protocol)
    for number, days in enumerate((25, 24, 19, 11, 7, 2, 1), 1):
        life = Life(protocol, f"ITP-{number:03}")
        life.now = at - timedelta(days=days) + timedelta(hours=2)
        life.enrol()
        life.attend()
        while number != 1 and life.next.target < life.site.date_of(at):
            life.attend()
        if number == 3:
            life.state(
                "medication.changed", kind="rescue", drug=words["drug"], detail=words["detail"], on=life.today
            )
        if number in (4, 7):
            life.state(
                "adverse-event.reported",
                ae="AE-1",
                term=words["event" if number == 4 else "bleeding"],
                grade=3 if number == 4 else 5,
                serious=True,
                related=number == 4,
                on=life.today,
            )
        life.until(life.site.date_of(at), digest.AT)
        yield life


def _story(life: Life, at: datetime) -> Story:
    return Story(life.decided, SubjectRecord(life.code, len(life.log), at))


def _of_one_site(cards: Sequence[Card]) -> list[Card]:
    return [each for each in cards if each["site"] == cards[0]["site"]]


def _dead_channels(protocol: Protocol, language: str) -> Iterator[Example]:
    """The service's own notice about a channel that fails."""
    title = {"en": "A channel fails", "zh-CN": "某渠道无法送达"}[language]
    answers: dict[str, tuple[Any, ...]] = {
        "en": ("mailtos://mail.example.org/…", "SMTP 550 5.1.1 mailbox unavailable"),
        "zh-CN": ("mailtos://mail.example.org/…", "SMTP 550 5.1.1 收件人不存在"),
    }
    channel, error = answers[language]
    since = protocol.site("default").at(FIRST_DAY, digest.AT)
    said: OutboxContents = {"channel": channel, "since": since.isoformat(), "failures": 4, "error": error}
    for each in (said, said | {"error": None}):
        yield Example(title, Occasion(outages.STEP, "ops", None, None, each))


def _troubles(protocol: Protocol, language: str) -> Iterator[Example]:
    """The service's own notice about something that a person must mend."""
    title = {"en": "Something must be mended", "zh-CN": "有问题需要处理"}[language]
    since = protocol.site("default").at(FIRST_DAY, digest.AT)
    what = "the backup into /backups failed: No space left on device"
    said: OutboxContents = {"about": "backup", "what": what, "since": since.isoformat()}
    yield Example(title, Occasion(alarms.STEP, "ops", None, None, said))
