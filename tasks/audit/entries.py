"""One entry of the audit trail, and the choice of entries that somebody asks for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from itp_events.events import Event

Kind = Literal[
    "correction",
    "late",
    "decision",
    "assessment",
    "acknowledgement",
    "refusal",
    "sign-in",
    "account",
    "signature",
    "custody",
    "export",
    "backup",
    "setting",
    "repair",
    "unreadable",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that a review looks at, recorded `at` an instant (UTC).

    `actor` is the account that was signed in, `by` the person as stated. `event` is the stated event where
    the entry is about one; `details` says the rest.
    """

    at: datetime
    kind: Kind
    what: str
    subject: str | None = None
    site: str | None = None
    actor: str | None = None
    by: str | None = None
    door: str | None = None
    event: Event | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The entries that are asked for; None and an empty collection ask for all. `until` is not included.

    `late_days`: an entry is late when it was reported more than so many days after its date at the site.
    """

    since: datetime | None = None
    until: datetime | None = None
    subject: str | None = None
    site: str | None = None
    account: str | None = None
    kinds: Collection[Kind] = ()
    late_days: int = 3

    def has(self, entry: Entry) -> bool:
        """Whether an entry is asked for."""
        return (
            (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
            and self.subject in (None, entry.subject)
            and self.site in (None, entry.site)
            and (self.account is None or self.account in (entry.actor, entry.by))
            and (not self.kinds or entry.kind in self.kinds)
        )
