"""The audit trail in forms for people and programs: rows of a table, and JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from itp_events.outputs.plan_json import instant
from tasks.accounts.account import Account
from tasks.audit.entries import Entry, Wanted

COLUMNS = ("at", "kind", "subject", "site", "actor", "by", "door", "what", "details")


def document(entry: Entry) -> dict[str, Any]:
    """An entry as JSON; instants in UTC."""
    found: dict[str, Any] = {name: getattr(entry, name) for name in COLUMNS}
    return found | {"at": instant(entry.at)}


def row(entry: Entry) -> Sequence[Any]:
    """An entry as a row of a table."""
    return [getattr(entry, name) for name in COLUMNS]


def seen_by(account: Account, entries: Iterable[Entry]) -> list[Entry]:
    """The entries that an account sees: of some sites those about their subjects alone."""
    return [each for each in entries if account.sites is None or (each.site and account.sees(each.site))]


def until_now(wanted: Wanted, now: datetime) -> Wanted:
    """The entries that a review looks at: none later than now (UTC)."""
    return replace(wanted, until=min(wanted.until or now, now))


def review(entries: Sequence[Entry], wanted: Wanted) -> dict[str, Any]:
    """The content of a review that is signed, as JSON types: the filters, the number of entries of each
    kind, and the SHA-256 of them all, one JSON document a line.
    """
    assert wanted.until is not None, "a review has an end"
    lines = (json.dumps(document(each), ensure_ascii=False, sort_keys=True) for each in entries)
    asked = {
        "since": instant(wanted.since) if wanted.since else None,
        "until": instant(wanted.until),
        "subject": wanted.subject,
        "site": wanted.site,
        "account": wanted.account,
        "kinds": list(wanted.kinds),
        "late_days": wanted.late_days,
    }
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return asked | {"entries": dict(Counter(each.kind for each in entries)), "sha256": digest}
