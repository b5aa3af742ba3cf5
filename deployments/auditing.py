"""The audit trail in forms for people and programs: rows of a table, and JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError, WithJsonSchema

from itp_events.errors import BadInput
from itp_events.events import Instant, LocalDate
from itp_events.outputs.plan_json import instant as shown
from itp_events.protocol.model import Site
from tasks.accounts.account import Account
from tasks.audit.entries import Entry, Wanted

_GIVEN: TypeAdapter[date | datetime] = TypeAdapter(LocalDate | Instant)
GivenInstant = Annotated[str, Field(max_length=40), WithJsonSchema(_GIVEN.json_schema())]
"""A date, which begins at 00:00 at the site, or an instant with its offset; `given_instant` reads it."""

GIVEN = "a date, which begins at 00:00 at the site, or an instant with its offset"

COLUMNS = ("at", "kind", "subject", "site", "actor", "by", "door", "what", "details")


def document(entry: Entry) -> dict[str, Any]:
    """An entry as JSON; instants in UTC."""
    found: dict[str, Any] = {name: getattr(entry, name) for name in COLUMNS}
    return found | {"at": shown(entry.at)}


def row(entry: Entry) -> Sequence[Any]:
    """An entry as a row of a table."""
    return [getattr(entry, name) for name in COLUMNS]


def seen_by(account: Account, entries: Iterable[Entry]) -> list[Entry]:
    """The entries that an account sees: of some sites those about their subjects alone."""
    return [each for each in entries if account.sites is None or (each.site and account.sees(each.site))]


def given_instant(text: str | None, site: Site, field: str) -> datetime | None:
    """The instant that somebody gives, a date being 00:00 at the site; raises BadInput for anything else."""
    if text is None:
        return None
    try:
        given = _GIVEN.validate_python(text)
    except ValidationError:
        problem = "write a date, or an instant with its offset, as 2026-01-05T09:00:00+08:00"
        raise BadInput(problem, field) from None
    return given if isinstance(given, datetime) else site.midnight(given)


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
        "since": shown(wanted.since) if wanted.since else None,
        "until": shown(wanted.until),
        "subject": wanted.subject,
        "site": wanted.site,
        "account": wanted.account,
        "kinds": list(wanted.kinds),
        "late_days": wanted.late_days,
    }
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return asked | {"entries": dict(Counter(each.kind for each in entries)), "sha256": digest}
