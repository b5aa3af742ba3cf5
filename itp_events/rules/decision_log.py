"""What the service itself has decided for a subject, read back from its own events in the log."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import quote

from itp_events.events import (
    Event,
    EventKey,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeSuperseded,
    NoticeWithdrawn,
    ProtocolAssigned,
    Voided,
)


class Issue(NamedTuple):
    """A notice as it was issued last: `row` is its key in the outbox, `touched` counts its events."""

    row: str
    notice: NoticeIssued
    at: datetime
    status: Literal["issued", "withdrawn", "closed"] = "issued"
    touched: int = 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision other than a notice (a miss, a flag, a stop, an exit) as it was recorded last."""

    event: Event
    stands: bool = True


@dataclass(frozen=True)
class DecisionLog:
    """Notices and decisions by their stable keys; `pinned` is the protocol version of the enrolment."""

    issues: dict[str, Issue] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)
    decisions: dict[str, Recorded] = field(default_factory=dict)
    pinned: str | None = None

    @classmethod
    def of(cls, decisions: Iterable[Event]) -> DecisionLog:
        """The ledger that the service's own events give, in sequence order."""
        return cls().after(decisions)

    def after(self, decisions: Iterable[Event]) -> DecisionLog:
        """The ledger once the service has decided more; this one stays as it is."""
        pinned = self.pinned
        decision_log = DecisionLog(dict(self.issues), set(self.superseded), dict(self.decisions))
        for event in decisions:
            if isinstance(event.data, ProtocolAssigned):
                pinned = event.data.version
            else:
                decision_log._enter(event)
        return replace(decision_log, pinned=pinned)

    def _enter(self, event: Event) -> None:
        data = event.data
        if isinstance(data, NoticeIssued):
            self.issues[stable(event.id)] = Issue(event.id, data, event.time)
        elif isinstance(data, NoticeReopened):
            self._touch(data.notice, "issued")
        elif isinstance(data, NoticeWithdrawn):
            self._touch(data.notice, "withdrawn")
        elif isinstance(data, NoticeClosed):
            self._touch(data.notice, "closed")
        elif isinstance(data, NoticeSuperseded):
            self.superseded.add(data.notice)
        elif isinstance(data, Voided):
            key = stable(data.event.id)
            self.decisions[key] = replace(self.decisions[key], stands=False)
        else:
            self.decisions[stable(event.id)] = Recorded(event)

    def _touch(self, row: str, status: Literal["issued", "withdrawn", "closed"]) -> None:
        issue = self.issues[stable(row)]
        # Written out: dataclasses.replace is several times slower, and a fold touches every notice.
        self.issues[stable(row)] = Issue(issue.row, issue.notice, issue.at, status, issue.touched + 1)


# An own id fits the field that takes other ids, whatever it is made of; a count of repetitions and a mark
# ("~void") come on top. What is cut is named by its hash.
LONGEST_KEY = 200
_HEAD = 120
# What the service puts behind a key to name another decision about it: no key may end like that by itself.
_LIKE_A_MARK = re.compile(r"~(?=(?:void|superseded|[0-9]+)$)")


def stable(row: str) -> str:
    """The stable key of an outbox row or decision: its own key without the count of repetitions."""
    return bounded(row.partition("#")[0])


def next_key(row: str) -> str:
    """The key under which a duty that was fulfilled or contradicted is issued anew."""
    count = int(row.partition("#")[2] or 1)
    return f"{stable(row)}#{count + 1}"


def marked(row: str, mark: str | int) -> str:
    """The id of a decision about an outbox row or an earlier decision: its key, bounded, and the mark."""
    key, count, number = row.partition("#")
    return f"{bounded(key)}{count}{number}~{mark}"


@lru_cache(maxsize=4096)
def bounded(key: str) -> str:
    """The key itself when it is at most 200 characters long, else its beginning and its hash.

    A last part that is short, such as a date, stays. So that a key of a log that was written before keys were
    bounded means what it meant, the same is done with what is read.
    """
    if "~" in key:
        key = _LIKE_A_MARK.sub("%7E", key)
    if len(key) <= LONGEST_KEY:
        return key
    head, _, last = key.rpartition("/")
    # No event's name looks like this: those hold a colon.
    digest = f"sha256-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    kept = [last] if len(last) < len(digest) else []
    return "/".join([head[:_HEAD], digest, *kept])


@lru_cache(maxsize=4096)
def named(key: EventKey) -> str:
    """An event's source and id as a part of a key; escaped, so that no id can imitate another key."""
    return ":".join(quote(part, safe="") for part in key)
