"""Reads the board's cards and the ids of its pages, and puts the board together.

`tasks.board.keeping` writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from itp_events.outputs.plan_json import instant
from itp_events.protocol.model import Protocol
from tasks.advance import CLOCKS_DIFFER
from tasks.board.cards import Card, card, read_card
from tasks.board.figures import REPAIRS_READ
from tasks.board.overview import Board
from tasks.board.story import story
from tasks.database import duty
from tasks.database.monitoring import failing_channels
from tasks.database.repairs import latest_repairs
from tasks.database.schema import (
    attempts,
    cards,
    deliveries,
    notices,
    screening_log,
    shown_artifacts,
    subjects,
)
from tasks.database.store import Store
from tasks.database.troubles import open_troubles
from tasks.database.unreadable import passing_over

# Older than every decision: the page of a card that is kept with this time, or an earlier one, is behind.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shown:
    """A note of what Prefect has been shown and told of a subject.

    `tags` are those of its flow run. `told_seq` is the number of the last line of the log that was told,
    `told` the keys of the troubles on the card that were told.
    """

    tags: Sequence[str] = ()
    told_seq: int = 0
    told: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A subject's card as Prefect shows it, and the note of what Prefect has been shown.

    The card is None when it is damaged, when another version of the service has made it, and when it was made
    ahead of the page: Prefect shows another one.
    """

    card: Card | None
    shown: Shown


def stale(store: Store, now: datetime, limit: int) -> list[str]:
    """The subjects, at most `limit`, whose page Prefect shows older than what holds for them at `now`.

    Their card is behind, or was made ahead of their page.
    """
    behind = sa.or_(_is_behind(store, now), cards.c.advanced_at != subjects.c.advanced_at)
    query = (
        sa.select(subjects.c.code)
        .select_from(_WITH_CARDS)
        .where(behind)
        .order_by(subjects.c.advanced_at.desc())
        .limit(limit)
    )
    with store.reading(long=True) as connection:
        return list(connection.scalars(query))


_WITH_CARDS = subjects.outerjoin(cards, cards.c.subject == subjects.c.code)


def _is_behind(store: Store, now: datetime) -> sa.ColumnElement[bool]:
    """Whether a subject's card is older than what holds at `now`, as far as the database can tell.

    The log has gone on since; or the subject's time has come, whether the service woke it or not; or its
    notices moved on; or its card was made by a clock that was ahead.
    """
    return sa.or_(
        cards.c.subject.is_(None),
        cards.c.seq != subjects.c.seq,
        sa.and_(subjects.c.wake_at <= now, cards.c.made_at < subjects.c.wake_at),
        cards.c.made_at > now + CLOCKS_DIFFER,
        sa.and_(cards.c.open, _moved_on()) if store.engine.name != "sqlite" else _moved_on_or_damaged(),
    )


def _moved_on_or_damaged() -> sa.ColumnElement[bool]:
    # SQLite keeps any text as JSON, and a query that looks into damaged JSON fails as a whole.
    valid = sa.func.json_valid(sa.type_coerce(cards.c.body, sa.Text))
    return sa.case((valid == 0, sa.true()), else_=sa.and_(cards.c.open, _moved_on()))


def _moved_on() -> sa.ColumnElement[bool]:
    """Whether fewer notices are on their way than the card says, or more of their sends have ended.

    They are counted, not timed: a send that ended while the card was made may be committed after it.
    """
    queued = sa.and_(notices.c.subject == cards.c.subject, notices.c.status == "queued")
    waiting = sa.select(sa.func.count()).select_from(notices).where(queued)
    sends = notices.join(deliveries).join(attempts)
    ended = sa.select(sa.func.count()).select_from(sends).where(queued, attempts.c.outcome.is_not(None))
    return sa.or_(
        cards.c.body["queued"].as_integer() != waiting.scalar_subquery(),
        cards.c.body["sends"].as_integer() != ended.scalar_subquery(),
    )


def kept(store: Store, code: str) -> Kept | None:
    """A subject's card as Prefect shows it; None when there is none yet."""
    is_behind = (cards.c.advanced_at <= NEVER).label("is_behind")
    columns = (cards.c.body, is_behind, cards.c.shown_tags, cards.c.told_seq, cards.c.told)
    with store.reading() as connection:
        row = connection.execute(sa.select(*columns).where(cards.c.subject == code)).one_or_none()
    if row is None:
        return None
    seen = None if row.is_behind else read_card(row.body)
    return Kept(seen, Shown(row.shown_tags or [], row.told_seq, row.told or []))


def all_cards(store: Store) -> dict[str, Card]:
    """The cards that this version of the service has made, by subject code."""
    return {code: one for code, one in _all_cards(store) if one is not None}


def unreadable_cards(store: Store) -> list[str]:
    """The codes of the subjects whose card is damaged, or was made by another version of the service."""
    return [code for code, one in _all_cards(store) if one is None]


def _all_cards(store: Store) -> list[tuple[str, Card | None]]:
    with store.reading(long=True) as connection:
        rows = connection.execute(sa.select(cards.c.subject, cards.c.body)).all()
    return [(row.subject, read_card(row.body)) for row in rows]


def fresh_cards(store: Store, protocol: Protocol, now: datetime, site: str | None = None) -> list[Card]:
    """Every subject's card as of `now`, or those of a site, in order of code; nothing is written.

    A card that is behind is made anew. A subject that cannot be decided about (its protocol version is not
    installed, say) is named in the log, and its last card is returned.
    """
    found = _cards_at(store, now, site)
    fresh = {code: each.card for code, each in found.items() if each.card is not None}
    unreadable = dict[str, str]()
    for code in (code for code, each in found.items() if each.is_behind):
        with passing_over(code, unreadable):
            fresh[code] = card(story(store, protocol, code, now))
    return [fresh[code] for code in sorted(fresh)]


def behind(store: Store, now: datetime, site: str | None = None) -> list[str]:
    """The subjects whose card is older than what holds for them at `now`, or those of a site, by code."""
    return [code for code, each in _cards_at(store, now, site).items() if each.is_behind]


@dataclass(frozen=True, slots=True)
class _CardAt:
    """A kept card, or None where it cannot be read, and whether it is older than what holds."""

    card: Card | None
    is_behind: bool


def _cards_at(store: Store, now: datetime, site: str | None) -> dict[str, _CardAt]:
    late = sa.func.coalesce(_is_behind(store, now), sa.true()).label("late")
    query = sa.select(subjects.c.code, subjects.c.advanced_at, cards.c.body, late).select_from(_WITH_CARDS)
    if site is not None:
        query = query.where(subjects.c.site == site)
    with store.reading(long=True) as connection:
        rows = connection.execute(query.order_by(subjects.c.code)).all()
    return {row.code: _card_at(read_card(row.body), row.advanced_at, late=row.late) for row in rows}


def _card_at(kept: Card | None, decided: datetime | None, *, late: bool) -> _CardAt:
    # The instant of the decision is None in a damaged row.
    is_of_it = kept is not None and decided is not None and kept.get("decided") == instant(decided)
    return _CardAt(kept, late or not is_of_it)


def artifact_id(store: Store, key: str) -> str | None:
    """The id of the artifact that Prefect shows under a key, if it was made."""
    with store.reading() as connection:
        query = sa.select(shown_artifacts.c.id).where(shown_artifacts.c.key == key)
        return connection.scalar(query)


def artifact_ids(store: Store) -> dict[str, str]:
    """The ids of all artifacts, by key."""
    with store.reading() as connection:
        rows = connection.execute(sa.select(shown_artifacts.c.key, shown_artifacts.c.id))
        return {row.key: row.id for row in rows}


def study_board(store: Store, protocol: Protocol, cards: Sequence[Card], now: datetime) -> Board:
    """The study's board as of `now` from the subjects' cards."""
    with store.reading() as connection:
        refused = connection.scalar(sa.select(sa.func.count()).select_from(screening_log)) or 0
        on_duty = duty.places_today(connection, protocol, now)
    return Board(
        cards,
        now,
        protocol.site("default").zone,
        artifact_ids(store),
        latest_repairs(store, REPAIRS_READ),
        refused,
        [(label, failures) for label, _, failures in failing_channels(store)],
        open_troubles(store),
        on_duty,
    )
