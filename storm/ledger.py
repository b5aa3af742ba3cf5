"""What was acknowledged, what arrived and what was broken when, as seen from outside the service."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]


def now() -> datetime:
    """The present instant, UTC; the storm and the service share one machine."""
    return datetime.now(UTC)  # noqa: TID251 - the storm's own clock


@dataclass(frozen=True)
class Ack:
    """An event that the service said it has; `at` is when its client had read that."""

    event: Json
    at: datetime


@dataclass(frozen=True)
class Fault:
    """Something that was broken for a while. A provider's fault is felt until its next attempt."""

    name: str
    began: datetime
    ended: datetime


@dataclass
class Ledger:
    """Kept by the clients and by who breaks things; safe to write from several threads."""

    acks: dict[Key, Ack] = field(default_factory=dict)
    unanswered: dict[Key, Json] = field(default_factory=dict)
    refused: list[tuple[Json, int]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, event: Json) -> None:
        """An event is sent; until it is answered it may be in the log or not."""
        with self._lock:
            self.unanswered[key(event)] = event

    def answered(self, event: Json, status: int) -> None:
        """The service answered: 200 and 201 say that it has the event."""
        with self._lock:
            self.unanswered.pop(key(event), None)
            if status in (200, 201):
                self.acks.setdefault(key(event), Ack(event, now()))
            else:
                self.refused.append((event, status))

    def failed(self, what: str) -> None:
        """A request had no answer, or none that says anything."""
        with self._lock:
            self.errors[what] += 1

    @contextmanager
    def broken(self, name: str) -> Iterator[None]:
        """Something is broken for as long as this lasts."""
        began = now()
        try:
            yield
        finally:
            with self._lock:
                self.faults.append(Fault(name, began, now()))

    def voids(self) -> dict[Key, Ack]:
        """The acknowledged voids, by the key of what they void."""
        found = (each for each in list(self.acks.values()) if each.event["type"] == "itp.event.voided")
        return {key(each.event["data"]["event"]): each for each in found}

    def maybe_voided(self) -> set[Key]:
        """What a void without an answer may have voided."""
        voids = (each for each in self.unanswered.values() if each["type"] == "itp.event.voided")
        return {key(each["data"]["event"]) for each in voids}


def key(event: Json) -> Key:
    """The source and id that name an event."""
    return event["source"], event["id"]
