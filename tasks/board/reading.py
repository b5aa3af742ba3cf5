"""Stories read from the store, and cards and artifact ids kept in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from itp_events.decisions import decide
from itp_events.errors import ItpError
from itp_events.events import Event
from itp_events.protocol import Protocol
from itp_events.subject import fold
from tasks import log, outbox
from tasks.board.cards import Card, Story, card
from tasks.board.study_page import REPAIRS_SHOWN, Board
from tasks.queries import attempts_of, latest_repairs, notices_of, subject_in
from tasks.schema import cards, events, screening_log, shown_artifacts, subjects
from tasks.store import Store
from tasks.watch import failing_channels

# A subject with a notice on its way is looked at again this often, until it has arrived.
LOOK_AGAIN = timedelta(seconds=60)


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
        history = log.history(connection, code)
        handed = outbox.handed(connection, code)
    decision = decide(protocol, fold(protocol, history, handed), max(now, row.advanced_at))
    return Story(decision, notices_of(store, code), attempts_of(store, code), row.seq, row.advanced_at)


def stale(store: Store, now: datetime, limit: int) -> list[str]:
    """Subjects whose card is older than what was decided about them last, at most `limit`."""
    behind = sa.or_(
        cards.c.subject.is_(None),
        cards.c.seq != subjects.c.seq,
        cards.c.advanced_at != subjects.c.advanced_at,
    )
    on_its_way = sa.and_(cards.c.open, cards.c.made_at < now - LOOK_AGAIN)
    query = (
        sa.select(subjects.c.code)
        .select_from(subjects.outerjoin(cards, cards.c.subject == subjects.c.code))
        .where(sa.or_(behind, on_its_way))
        .order_by(subjects.c.advanced_at.desc())
        .limit(limit)
    )
    with store.reading() as connection:
        return list(connection.scalars(query))


def kept(store: Store, code: str) -> Kept | None:
    """A subject's card as it is kept; None when there is none yet."""
    query = sa.select(*(cards.c[name] for name in Kept.__slots__)).where(cards.c.subject == code)
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else Kept(**row._mapping)


def all_cards(store: Store) -> list[Card]:
    """Every card, in order of the subjects' codes."""
    with store.reading() as connection:
        return list(connection.scalars(sa.select(cards.c.body).order_by(cards.c.subject)))


def fresh_cards(store: Store, protocol: Protocol, now: datetime) -> list[Card]:
    """Every subject's card as of `now`, made anew where it is behind; nothing is written."""
    behind = {code: card(story(store, protocol, code, now)) for code in stale(store, now, 1_000_000)}
    found = {each["code"]: each for each in all_cards(store)} | behind
    return [found[code] for code in sorted(found)]


def keep(store: Store, told: Story, drawing: str | None, shown: Mapping[str, Any], now: datetime) -> None:
    """Keep a subject's card, its drawing, and what Prefect has been shown and told of it by now."""
    body = card(told)
    row = {
        "body": body,
        "seq": told.seq,
        "advanced_at": told.advanced_at,
        "made_at": now,
        "open": body["open"],
        "drawing": drawing,
        **shown,
    }
    with store.writing() as connection:
        _upsert(connection, cards, cards.c.subject, told.code, row)


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
        _upsert(connection, shown_artifacts, shown_artifacts.c.key, key, {"id": found})


def forget_shown(store: Store) -> None:
    """Prefect was emptied: every page is behind, and none has been made."""
    with store.writing() as connection:
        connection.execute(shown_artifacts.delete())
        connection.execute(cards.update().values(advanced_at=datetime.min.replace(tzinfo=UTC), shown_tags=[]))


def drawn(board: Board, drawing: str | None, journeys: str | None) -> Board:
    """The board with everybody's lanes drawn, and the id of the journeys' flow in Prefect."""
    return replace(board, drawing=drawing, journeys=journeys)


def log_after(store: Store, code: str, seq: int) -> list[tuple[Event, datetime]]:
    """What stands in a subject's log after a place, with the instants of recording."""
    query = (
        sa.select(events.c.body, events.c.recorded_at)
        .where(events.c.subject == code, events.c.seq > seq)
        .order_by(events.c.seq)
    )
    with store.reading() as connection:
        return [(log.read(row.body), row.recorded_at) for row in connection.execute(query)]


def _upsert(
    connection: sa.Connection, table: sa.Table, key: sa.Column[Any], value: str, row: Mapping[str, Any]
) -> None:
    same = table.update().where(key == value).values(**row)
    if connection.execute(same).rowcount == 0:
        connection.execute(table.insert(), {key.name: value, **row})


def study_board(store: Store, protocol: Protocol, cards: Sequence[Card], now: datetime) -> Board:
    """The study's board as of `now` from the subjects' cards; its drawing is still to be made."""
    with store.reading() as connection:
        refused = connection.scalar(sa.select(sa.func.count()).select_from(screening_log)) or 0
    return Board(
        cards,
        now,
        protocol.site("default").zone,
        artifact_ids(store),
        latest_repairs(store, REPAIRS_SHOWN),
        refused,
        [(label, failures) for label, _, failures in failing_channels(store)],
    )
