"""Writes what the board keeps in the study's database: cards, and notes of what Prefect has been shown.

`tasks.board.reading` reads it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tasks.board.cards import Card, card
from tasks.board.reading import NEVER, Shown, unreadable_cards
from tasks.board.story import Story
from tasks.database.schema import cards, shown_artifacts, stored
from tasks.database.store import Store
from tasks.database.upsert import upsert
from tasks.hashing.rows import hash_of

_BEHIND: Mapping[str, Any] = {"advanced_at": NEVER}
_NOTHING_SHOWN: Mapping[str, Any] = {"shown_tags": [], "told_seq": 0, "told": []}


def keep(store: Store, story: Story, shown: Shown, now: datetime) -> Card:
    """Keep a subject's card as of `now`, and a note of what Prefect has been shown; return the card."""
    body, row = _made(story, now)
    shown_now = {
        "advanced_at": story.record.advanced_at,
        "shown_tags": list(shown.tags),
        "told_seq": shown.told_seq,
        "told": list(shown.told),
    }
    with store.writing() as connection:
        upsert(connection, cards, {"subject": story.code}, row | shown_now)
    return body


def keep_ahead(store: Store, story: Story, now: datetime) -> None:
    """Keep a subject's card as of `now` before Prefect shows it; its page is behind until then."""
    _, row = _made(story, now)
    with store.writing() as connection:
        upsert(connection, cards, {"subject": story.code}, {**row, **_BEHIND}, once=_NOTHING_SHOWN)


def _made(story: Story, now: datetime) -> tuple[Card, dict[str, Any]]:
    """A subject's card as of `now`, and the columns that keep it."""
    body = card(story)
    row: dict[str, Any] = {"body": body, "seq": story.record.seq, "made_at": now, "open": body["queued"] > 0}
    row["hash"] = _hash({"subject": story.code, **row})
    return body, row


def _hash(row: Mapping[str, Any]) -> str:
    """The hash of what the board shows of a card, by which a verification knows it."""
    return hash_of(cards.name, stored(cards, {name: row[name] for name in cards.c.hash.info["made"]}))


def remember_artifact(store: Store, key: str, artifact: str) -> None:
    """Note the id of the artifact that Prefect shows under a key."""
    with store.writing() as connection:
        upsert(connection, shown_artifacts, {"key": key}, {"id": artifact})


def forget_shown(store: Store) -> None:
    """Note that Prefect was emptied: no page has been made, and nothing has been told."""
    with store.writing(long=True) as connection:
        connection.execute(shown_artifacts.delete())
        connection.execute(cards.update().values({**_BEHIND, **_NOTHING_SHOWN}))


def forget_old_cards(store: Store) -> None:
    """Let the cards that this version of the service cannot read be made anew."""
    old = unreadable_cards(store)
    with store.writing() as connection:
        for code in old:
            connection.execute(cards.update().where(cards.c.subject == code).values(_BEHIND))
