"""Writes what the board keeps in the study's database: cards, and notes of what Prefect has been shown.

`tasks.board.reading` reads it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tasks.board.cards import Card, card
from tasks.board.reading import Shown, unreadable_cards
from tasks.board.story import Story
from tasks.database.schema import cards, shown_artifacts, stored
from tasks.database.store import Store
from tasks.database.upsert import upsert
from tasks.hashing.rows import hash_of

# Older than every decision: a card of this time is behind.
_NEVER = datetime.min.replace(tzinfo=UTC)


def keep(store: Store, story: Story, shown: Shown, now: datetime) -> Card:
    """Keep a subject's card as of `now`, and a note of what Prefect has been shown; return the card."""
    body = card(story)
    row = {
        "body": body,
        "seq": story.record.seq,
        "advanced_at": story.record.advanced_at,
        "made_at": now,
        "open": body["queued"] > 0,
        "shown_tags": list(shown.tags),
        "told_seq": shown.told_seq,
        "told": list(shown.told),
    }
    row["hash"] = _hash({"subject": story.code, **row})
    with store.writing() as connection:
        upsert(connection, cards, {"subject": story.code}, row)
    return body


def _hash(row: Mapping[str, Any]) -> str:
    """The hash of what the board shows of a card, by which a verification knows it."""
    return hash_of(cards.name, stored(cards, {name: row[name] for name in cards.c.hash.info["made"]}))


def remember_artifact(store: Store, key: str, artifact: str) -> None:
    """Note the id of the artifact that Prefect shows under a key."""
    with store.writing() as connection:
        upsert(connection, shown_artifacts, {"key": key}, {"id": artifact})


def forget_shown(store: Store) -> None:
    """Note that Prefect was emptied: no page has been made, and nothing has been told."""
    never = {"advanced_at": _NEVER, "shown_tags": [], "told_seq": 0, "told": []}
    with store.writing(long=True) as connection:
        connection.execute(shown_artifacts.delete())
        connection.execute(cards.update().values(**never))


def forget_old_cards(store: Store) -> None:
    """Let the cards that this version of the service cannot read be made anew."""
    old = unreadable_cards(store)
    with store.writing() as connection:
        for code in old:
            connection.execute(cards.update().where(cards.c.subject == code).values(advanced_at=_NEVER))
