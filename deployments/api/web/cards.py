"""The cards of all subjects as the pages need them: as fresh as the log, and read once.

The service keeps them (`tasks.board.keeping`); a page reads again only what has changed since the last one,
and makes the card of a subject anew whose log has moved on since its card was kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deployments.api.web.waiting import may_wait
from itp_events.protocol.model import Protocol
from tasks.board.cards import Card, card, read_card
from tasks.board.story import story
from tasks.database.schema import cards, subjects
from tasks.database.store import Store
from tasks.database.unreadable import passing_over

_CHUNK = 500


class Cards:
    """The cards of a study's subjects, kept in memory between pages; usable by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[object, Card]] = {}

    def fresh(self, store: Store, protocol: Protocol, now: datetime) -> list[Card]:
        """Every subject's card in order of code, with the visits alone that may wait; nothing is written."""
        with self._lock:
            rows = _stamps(store)
            self._read(store, [row for row in rows if self._stamp(row.code) != (row.seq, row.made_at)])
            self._make(store, protocol, now, rows)
            codes = {row.code for row in rows}
            self._kept = {code: kept for code, kept in self._kept.items() if code in codes}
            return [self._kept[code][1] for code in sorted(self._kept)]

    def _stamp(self, code: str) -> object:
        return self._kept[code][0] if code in self._kept else None

    def _read(self, store: Store, rows: Sequence[sa.Row[Any, Any, Any]]) -> None:
        stamps = {row.code: (row.seq, row.made_at) for row in rows}
        for code, body in _bodies(store, list(stamps)):
            if (one := read_card(body)) is not None:
                self._kept[code] = (stamps[code], _of_what_waits(one))

    def _make(
        self,
        store: Store,
        protocol: Protocol,
        now: datetime,
        rows: Iterable[sa.Row[Any, Any, Any]],
    ) -> None:
        behind = [
            row for row in rows if row.code not in self._kept or self._kept[row.code][1]["seq"] != row.seq
        ]
        for row in behind:
            with passing_over(row.code, {}):
                made = card(story(store, protocol, row.code, now))
                self._kept[row.code] = ((row.seq, row.made_at), _of_what_waits(made))


def _of_what_waits(whole: Card) -> Card:
    """The card without the visits of which a page of many subjects says nothing: most of them."""
    return {**whole, "visits": [line for line in whole["visits"] if may_wait(line)]}


def _stamps(store: Store) -> Sequence[sa.Row[Any, Any, Any]]:
    """For each subject the number of the last line of its log, and the instant at which its card was made."""
    joined = subjects.outerjoin(cards, cards.c.subject == subjects.c.code)
    query = sa.select(subjects.c.code, subjects.c.seq, cards.c.made_at).select_from(joined)
    with store.reading() as connection:
        return connection.execute(query).all()


def _bodies(store: Store, codes: Sequence[str]) -> Iterable[tuple[str, object]]:
    with store.reading(long=True) as connection:
        for first in range(0, len(codes), _CHUNK):
            wanted = cards.c.subject.in_(codes[first : first + _CHUNK])
            rows = connection.execute(sa.select(cards.c.subject, cards.c.body).where(wanted)).all()
            yield from ((row.subject, row.body) for row in rows)
