"""The events of a subject for Prefect's event feed: each once, under an id of its own.

None bears the name of an event that people state, since those are doors into the study: `itp.recorded.`
stands before the name of a recorded one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from itp_events.events import Event, Exited, Flagged, Missed, NoticeIssued, TreatmentStopped
from tasks.board.cards import Card
from tasks.database.queries import LogLine

SAFETY = "sae"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened, at an instant (UTC), with its details."""

    name: str
    key: str
    at: datetime
    details: dict[str, Any]

    @property
    def id(self) -> UUID:
        """The id, which is the same however often the happening is told."""
        return uuid5(NAMESPACE_URL, f"{self.name}:{self.key}")


def open_problems(card: Card) -> dict[str, tuple[str, dict[str, Any]]]:
    """The troubles on a card, by key: each is told when it begins, and again when it comes back."""
    problems: dict[str, tuple[str, dict[str, Any]]] = {}
    for visit in card["visits"]:
        if visit["status"] == "overdue":
            details = {"visit": visit["code"], "closed": visit["closes"]}
            key = f"{card['code']}/{visit['code']}/overdue/{visit['closes']}"
            problems[key] = "itp.visit.overdue", details
    for notice in card["undelivered"]:
        problems[f"{notice['key']}/undelivered"] = "itp.notice.undelivered", {**notice}
    return problems


def happenings(
    card: Card, told: Collection[str], new: Iterable[LogLine], now: datetime
) -> Iterator[Happening]:
    """The happenings to tell: new lines of the log, and troubles on the card that are not in `told`."""
    for line in new:
        if name := _name(line.event):
            key = f"{line.event.source}:{line.event.id}"
            yield Happening(name, key, line.recorded_at, _details(line))
    for key, (name, details) in open_problems(card).items():
        if key not in told:
            # A trouble comes back after something was recorded. Prefect drops an id that it knows, so the id
            # has the line number.
            yield Happening(name, f"{key}@{card['seq']}", now, details)


def _name(event: Event) -> str | None:
    data = event.data
    if not event.own:
        return f"itp.recorded.{event.type.removeprefix('itp.')}"
    if isinstance(data, NoticeIssued):
        return _of_notice(data)
    return "itp.visit.lapsed" if isinstance(data, Missed) else _OWN.get(type(data))


def _of_notice(data: NoticeIssued) -> str | None:
    if data.kind == "escalation":
        return "itp.visit.escalated"
    return "itp.safety.clock-started" if data.step == SAFETY and data.audience == "investigator" else None


_OWN: dict[type, str] = {
    Flagged: "itp.withdrawal.flagged",
    TreatmentStopped: "itp.treatment.stopped",
    Exited: "itp.subject.exited",
}


def _details(line: LogLine) -> dict[str, Any]:
    told: dict[str, Any] = line.event.to_json()["data"]
    # An enrolment's screening findings are no news for an event feed.
    details = {name: value for name, value in told.items() if name not in ("screening", "facts")}
    return details if line.event.own else details | {"actor": line.origin.actor, "door": line.origin.door}
