"""Hand-over messages: who takes over from somebody who is away, or comes back, is told once what is open.

They leave at the hour of the digest on the first day, or at once when that is past. The rules are in
`itp_events.duty.take_overs`; like every notice they go through the outbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from itp_events.duty.take_overs import Place, TakeOver, take_overs
from itp_events.protocol.model import Protocol
from tasks import digest
from tasks.board.cards import Card
from tasks.board.reading import fresh_cards
from tasks.database import duty
from tasks.database.contents import HandOverContents
from tasks.database.outbox import OF_THE_SERVICE
from tasks.database.schema import notices, unindexed
from tasks.database.store import Store
from tasks.database.upsert import insert_once

STEP = "duty-hand-over"
# Later than that the digests have said it all.
_OF_USE = timedelta(days=7)
OVER = "the take-over has ended or was taken back"


def is_due(store: Store, protocol: Protocol, now: datetime) -> bool:
    """Whether a message is due at `now` (UTC) that is not in the outbox yet."""
    return bool(_look(store, protocol, now).new)


def tell(store: Store, protocol: Protocol, now: datetime) -> list[str]:
    """Put the messages that are due at `now` (UTC) into the outbox; return their keys.

    Messages that wait for take-overs that hold no longer are withdrawn.
    """
    seen = _look(store, protocol, now)
    if not seen.any:
        return []
    cards = fresh_cards(store, protocol, now) if seen.new else []
    rows = [_row(protocol, key, each, cards, now) for key, each in seen.new.items()]
    return store.write(lambda connection: _post(connection, rows, seen.holding, now))


@dataclass(frozen=True, slots=True)
class _Seen:
    """The take-overs that hold, by their keys in the outbox, those of them that must be told, and whether any
    absence or message is kept at all.
    """

    holding: set[str]
    new: Mapping[str, TakeOver]
    any: bool


def _look(store: Store, protocol: Protocol, now: datetime) -> _Seen:
    with store.reading() as connection:
        roster = duty.roster_in(connection)
        places = [
            Place(audience, site, protocol.site(site).date_of(now))
            for audience, site in duty.places_in(connection, roster, protocol)
        ]
        known = set(
            connection.scalars(sa.select(notices.c.key).where(OF_THE_SERVICE, notices.c.step == STEP))
        )
    holding = {_key(each): each for each in take_overs(roster, places)}
    new = {key: each for key, each in holding.items() if key not in known and _is_due(protocol, each, now)}
    return _Seen(set(holding), new, bool(roster.absences or known))


def _post(
    connection: sa.Connection, rows: Sequence[Mapping[str, Any]], holding: set[str], now: datetime
) -> list[str]:
    for row in rows:
        insert_once(connection, notices, row)
    queued = connection.scalars(
        sa.select(notices.c.key).where(OF_THE_SERVICE, notices.c.step == STEP, notices.c.status == "queued")
    )
    ended = [key for key in queued if key not in holding]
    if ended:
        over = {"status": "withdrawn", "reason": OVER, "settled_at": now}
        connection.execute(
            notices.update()
            .where(notices.c.key.in_(ended), unindexed(notices.c.status) == "queued")
            .values(over)
        )
    return [row["key"] for row in rows]


def _key(each: TakeOver) -> str:
    return f"{STEP}/{each.key}"


def _is_due(protocol: Protocol, each: TakeOver, now: datetime) -> bool:
    first = each.places[0]
    return protocol.site(first.site).at(first.today, digest.AT) <= now


def _row(
    protocol: Protocol, key: str, each: TakeOver, cards: Sequence[Card], now: datetime
) -> dict[str, Any]:
    site = each.places[0].site
    said: HandOverContents = {
        "person": each.person,
        "away": each.absence.person,
        "first": each.absence.first.isoformat(),
        "back": each.back,
        "places": [f"{place.audience} {place.site}" for place in each.places],
    }
    if each.absence.last:
        said["last"] = each.absence.last.isoformat()
    about = {"site": site, "on": each.places[0].today.isoformat()}
    return {
        "key": key,
        "kind": "reminder",
        "step": STEP,
        "audience": each.places[0].audience,
        "due": now,
        "until": now + _OF_USE,
        "facts": about | said | _open_matters(cards, each.places),
        "queued_at": now,
        "status": "queued",
    }


def _open_matters(cards: Sequence[Card], places: Sequence[Place]) -> dict[str, list[Any]]:
    """The open matters at these places, each once, as digests list them."""
    found: dict[str, list[Any]] = {"today": [], "week": [], "overdue": [], "waiting": []}
    for part, matter in _matters(cards, places):
        if matter not in found[part]:
            found[part].append(matter)
    return found


def _matters(cards: Sequence[Card], places: Sequence[Place]) -> Iterator[tuple[str, Any]]:
    for place in places:
        # The laboratory prepares for visits; the sponsor and operations see what the investigator sees.
        audience = "coordinator" if place.audience in ("coordinator", "cell-lab") else "investigator"
        theirs = [card for card in cards if card["site"] == place.site]
        said = digest.content(theirs, audience, place.today)
        for part, matters in (
            ("today", said["today"]),
            ("week", said["week"]),
            ("overdue", said["overdue"]),
            ("waiting", said["waiting"]),
        ):
            for matter in matters:
                yield part, matter
