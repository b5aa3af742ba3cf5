"""Tells the newest seal to the monitors of a site, so that somebody outside holds it.

`tasks.digest` puts it into the outbox.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from tasks.accounts.changing import every_account
from tasks.database.contents import RecordContents
from tasks.database.schema import instant_text
from tasks.database.store import Store
from tasks.database.verifications import last_verification
from tasks.integrity.sealing import newest_seal


def told_to_monitors(store: Store, site: str, reaches: Callable[[str], bool]) -> list[RecordContents]:
    """The record's state for each active monitor of a site whom a recipient reaches; empty before a seal."""
    with store.reading() as connection:
        seal, last = newest_seal(connection), last_verification(connection)
        monitors = _monitors(connection, site)
    if seal is None:
        return []
    said: RecordContents = {
        "seal": seal.told,
        "verified": instant_text(last.at) if last else None,
        "findings": last.findings if last else 0,
    }
    return [{"person": code, **said} for code in monitors if reaches(code)]


def _monitors(connection: sa.Connection, site: str) -> list[str]:
    accounts = every_account(connection)
    return [each.code for each in accounts if each.role == "monitor" and each.active and each.sees(site)]
