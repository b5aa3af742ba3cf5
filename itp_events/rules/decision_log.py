"""The service's own decisions for a subject, read back from its events in the log.

This module decides nothing. Keys are built in keys.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal, NamedTuple

from itp_events.events import (
    Event,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeSuperseded,
    NoticeWithdrawn,
    ProtocolAssigned,
    Voided,
)
from itp_events.rules.keys import day_of, stable


class Issue(NamedTuple):
    """A notice as it was issued last, at the instant `at` (UTC).

    `key` is its key in the outbox; `touched` counts the events about it, its issuing included.
    """

    key: str
    notice: NoticeIssued
    at: datetime
    status: Literal["issued", "withdrawn", "closed"] = "issued"
    touched: int = 1

    @property
    def day(self) -> date | None:
        """The site-local date that the notice counts from; None for a notice that counts from no date."""
        return day_of(stable(self.key))


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
        """The decision log that the service's own events give, in sequence order."""
        return cls().after(decisions)

    def after(self, decisions: Iterable[Event]) -> DecisionLog:
        """The decision log with further decisions; this one stays as it is."""
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

    def _touch(self, key: str, status: Literal["issued", "withdrawn", "closed"]) -> None:
        key = stable(key)
        issue = self.issues[key]
        # Written out, since `_replace` is several times slower and a fold touches every notice.
        self.issues[key] = Issue(issue.key, issue.notice, issue.at, status, issue.touched + 1)
