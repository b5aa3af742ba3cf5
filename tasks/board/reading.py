"""Stories read from the store, and cards and artifact ids kept in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from itp_events.decisions import decide
from itp_events.errors import ItpError
from itp_events.events import Event
from itp_events.protocol.model import Protocol
from itp_events.rules.subject import fold
from tasks.advance import CLOCKS_DIFFER, decided_at
from tasks.board.cards import FORM, Card, Story, card
from tasks.board.figures import REPAIRS_READ
from tasks.board.overview import Board
from tasks.database import event_log, outbox
from tasks.database.monitoring import failing_channels
from tasks.database.queries import all_subjects, attempts_of, notices_of, subject_in
from tasks.database.repairs import latest_repairs
from tasks.database.schema import (
    attempts,
    cards,
    deliveries,
    events,
    notices,
    screening_log,
    shown_artifacts,
    subjects,
)
from tasks.database.store import Store
from tasks.database.troubles import standing
from tasks.database.unreadable import naming, passing_over
from tasks.database.upsert import upsert

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A card as it is kept: what it was made from, and what Prefect has been shown of it."""

    body: Card
    seq: int
    drawing: str | None
    shown_tags: Sequence[str]
    told_seq: int
    told: Sequence[str]


def story(store: Store, protocol: Protocol, code: str, now: datetime) -> Story:
    """All that is known of a subject at `now`, an aware instant.

    Raises:
        ItpError: nobody of that code is enrolled.
    """
    with store.reading() as connection:
        row = subject_in(connection, code)
        if row is None:
            raise ItpError(f"{code} is not enrolled here; `itp subjects` lists who is")
        history = event_log.history(connection, code)
        handed = outbox.handed(connection, code)
    with naming(code):
        decision = decide(fold(protocol, history, handed), decided_at(now, row.advanced_at))
    return Story(decision, notices_of(store, code), attempts_of(store, code), row.seq, row.advanced_at)


def stale(store: Store, now: datetime, limit: int) -> list[str]:
    """Subjects whose card is older than what holds for them at `now`, at most `limit`.

    One that was decided about since; one whose time has come, whether the service woke it or not; one whose
    notices moved on; one whose card was made by a clock that was ahead.
    """
    behind = sa.or_(
        cards.c.subject.is_(None),
        cards.c.seq != subjects.c.seq,
        cards.c.advanced_at != subjects.c.advanced_at,
        sa.and_(subjects.c.wake_at <= now, cards.c.made_at < subjects.c.wake_at),
        cards.c.made_at > now + CLOCKS_DIFFER,
        sa.and_(cards.c.open, _moved_on()) if store.engine.name != "sqlite" else _moved_on_or_damaged(),
    )
    query = (
        sa.select(subjects.c.code)
        .select_from(subjects.outerjoin(cards, cards.c.subject == subjects.c.code))
        .where(behind)
        .order_by(subjects.c.advanced_at.desc())
        .limit(limit)
    )
    with store.reading(long=True) as connection:
        return list(connection.scalars(query))


def _moved_on_or_damaged() -> sa.ColumnElement[bool]:
    # SQLite keeps any text as JSON, and the whole query fails when it looks into one that is none.
    valid = sa.func.json_valid(sa.type_coerce(cards.c.body, sa.Text))
    return sa.case((valid == 0, sa.true()), else_=sa.and_(cards.c.open, _moved_on()))


def _moved_on() -> sa.ColumnElement[bool]:
    """Whether fewer notices are on their way than the card says, or more of their sends have ended.

    Counted, not timed: what ended while the card was made may be committed after it.
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
    """A subject's card as it is kept; None when there is none yet."""
    query = sa.select(*(cards.c[name] for name in Kept.__slots__)).where(cards.c.subject == code)
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else Kept(**row._mapping)


def all_cards(store: Store) -> list[Card]:
    """Every card, in order of the subjects' codes."""
    with store.reading(long=True) as connection:
        found = connection.scalars(sa.select(cards.c.body).order_by(cards.c.subject))
        return [body for body in found if body]


def fresh_cards(store: Store, protocol: Protocol, now: datetime) -> list[Card]:
    """Every subject's card as of `now`, made anew where it is behind; nothing is written.

    A subject that cannot be decided about (its protocol version is not installed, say) is named in the log
    and stays as it was shown last: the others are not kept waiting.
    """
    kept, unreadable = all_cards(store), dict[str, str]()
    found = {each["code"]: each for each in kept if is_of_this_form(each)}
    behind = {row.code for row in all_subjects(store)} - found.keys() | set(stale(store, now, 1_000_000))
    for code in sorted(behind):
        with passing_over(code, unreadable):
            found[code] = card(story(store, protocol, code, now))
    return [found[code] for code in sorted(found)]


def is_of_this_form(kept: Card) -> bool:
    """Whether a card holds what this version of the service puts on one."""
    return kept.get("form") == FORM


def keep(store: Store, told: Story, drawing: str | None, shown: Mapping[str, Any], now: datetime) -> Card:
    """Keep a subject's card, its drawing, and what Prefect has been shown and told of it by now; the card."""
    body = card(told)
    row = {
        "body": body,
        "seq": told.seq,
        "advanced_at": told.advanced_at,
        "made_at": now,
        "open": body["queued"] > 0,
        "drawing": drawing,
        **shown,
    }
    with store.writing() as connection:
        upsert(connection, cards, {"subject": told.code}, row)
    return body


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


def remember_artifact(store: Store, key: str, found: str) -> None:
    """Note which artifact shows a key."""
    with store.writing() as connection:
        upsert(connection, shown_artifacts, {"key": key}, {"id": found})


def forget_shown(store: Store) -> None:
    """Prefect was emptied: every page is behind, none has been made, and nothing has been told."""
    never = {"advanced_at": datetime.min.replace(tzinfo=UTC), "shown_tags": [], "told_seq": 0, "told": []}
    with store.writing(long=True) as connection:
        connection.execute(shown_artifacts.delete())
        connection.execute(cards.update().values(**never))


def forget_old_forms(store: Store) -> None:
    """Cards that an earlier version of the service made are behind."""
    old = [each["code"] for each in all_cards(store) if not is_of_this_form(each)]
    with store.writing() as connection:
        for code in old:
            never = {"advanced_at": datetime.min.replace(tzinfo=UTC)}
            connection.execute(cards.update().where(cards.c.subject == code).values(never))


def drawn(board: Board, drawing: str | None, journeys: str | None) -> Board:
    """The board with everybody's lanes drawn, and the id of the journeys' flow in Prefect."""
    return replace(board, drawing=drawing, journeys=journeys)


def log_after(store: Store, code: str, seq: int) -> list[tuple[Event, datetime]]:
    """What stands in a subject's log after a place, with the instants of recording."""
    query = (
        sa.select(events.c.seq, events.c.body, events.c.recorded_at)
        .where(events.c.subject == code, events.c.seq > seq)
        .order_by(events.c.seq)
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [(event_log.read_line(code, row.seq, row.body), row.recorded_at) for row in rows]


def study_board(store: Store, protocol: Protocol, cards: Sequence[Card], now: datetime) -> Board:
    """The study's board as of `now` from the subjects' cards; its drawing is still to be made."""
    with store.reading() as connection:
        refused = connection.scalar(sa.select(sa.func.count()).select_from(screening_log)) or 0
    return Board(
        cards,
        now,
        protocol.site("default").zone,
        artifact_ids(store),
        latest_repairs(store, REPAIRS_READ),
        refused,
        [(label, failures) for label, _, failures in failing_channels(store)],
        standing(store),
    )
