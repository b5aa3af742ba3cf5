"""Notes in the service log which settings a service starts with otherwise than before, for the audit trail.

A secret is never noted: only that it is another one, by a slow hash with a salt of its own. The same holds
for what a file says that a setting names. The services of one study may differ in their settings, so each is
compared with what its own place had.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from deployments.bootstrap.os_user import os_actor
from deployments.bootstrap.settings import VARIABLES, Settings
from deployments.bootstrap.study import place
from tasks.database import service_log
from tasks.database.event_log import Origin
from tasks.database.store import Store

_SALT = re.compile("fingerprint ([0-9a-f]{16})-[0-9a-f]{32}")
_SALT_BYTES = 8


def note_settings(store: Store, settings: Settings, at: datetime) -> list[str]:
    """Note each setting that is not what it was when a service started at this place last, at `at` (UTC).

    A service that starts for the first time is compared with the defaults. Returns the variables' names.
    """
    return store.write(lambda connection: list(_note(connection, settings, at)))


def _note(connection: sa.Connection, settings: Settings, at: datetime) -> Iterator[str]:
    here = place(settings)
    before = service_log.noted_settings(connection, here)
    for name, variable in VARIABLES.items():
        default = Settings.model_fields[name].default
        was = before.get(variable, said(default))
        now = said(getattr(settings, name), was)
        if now != was:
            change = {"place": here, "before": was, "after": now}
            service_log.note(connection, "settings", variable, Origin(os_actor(), "cli"), at, change)
            yield variable


def said(value: Any, before: str | None = None) -> str | None:
    """A setting's value as it is noted; None when it is not set.

    Fingerprints have the salt of the one noted `before`, so that the same secret has the same one.
    """
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return _fingerprint(secret.encode(), before) if secret else None
    if isinstance(value, Path) and value.is_file():
        return f"{value}, {_fingerprint(value.read_bytes(), before)}"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or None
    return None if value is None or value == "" else str(value)


def _fingerprint(content: bytes, before: str | None) -> str:
    found = _SALT.search(before or "")
    salt = bytes.fromhex(found[1]) if found else secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.scrypt(content, salt=salt, n=2**14, r=8, p=1, dklen=16)
    return f"fingerprint {salt.hex()}-{digest.hex()}"
