"""The audit trail in forms for people and programs: rows of a table, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from itp_events.outputs.plan_json import instant
from tasks.audit.entries import Entry

COLUMNS = ("at", "kind", "subject", "site", "actor", "by", "door", "what", "details")


def document(entry: Entry) -> dict[str, Any]:
    """An entry as JSON; instants in UTC."""
    found: dict[str, Any] = {name: getattr(entry, name) for name in COLUMNS}
    return found | {"at": instant(entry.at)}


def row(entry: Entry) -> Sequence[Any]:
    """An entry as a row of a table."""
    return [getattr(entry, name) for name in COLUMNS]
