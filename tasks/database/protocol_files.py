"""The protocol files by which the service has run: a version is its file, byte for byte.

A study that went on under another file with the same version would look as if it had followed one protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol as Interface

import sqlalchemy as sa

from itp_events.errors import BadProtocol
from tasks.database.schema import protocol_files
from tasks.database.store import Store


class InstalledFile(Interface):
    """A protocol file as it is installed."""

    @property
    def id(self) -> str:
        """The protocol's id."""

    @property
    def version(self) -> str:
        """The protocol's version."""

    @property
    def name(self) -> str:
        """The file's name."""

    @property
    def content(self) -> bytes:
        """The file's bytes."""

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the file."""


def note_files(store: Store, installed: Iterable[InstalledFile], now: datetime) -> None:
    """Keep each protocol file that is new to the study, at the machine's time `now` (UTC).

    Raises:
        BadProtocol: the study has run by another file under the same version.
    """
    files = list(installed)
    with store.reading() as connection:
        new = _new(connection, files)
    if new:
        store.write(lambda connection: _keep(connection, files, now))


def _new(connection: sa.Connection, files: Iterable[InstalledFile]) -> list[InstalledFile]:
    known = {(row.id, row.version): row for row in connection.execute(_KNOWN)}
    for each in files:
        there = known.get((each.id, each.version))
        if there is not None and there.sha256 != each.fingerprint:
            raise BadProtocol(
                f"is version {each.version}, and the study runs by another file of that version: SHA-256 "
                f"{each.fingerprint} here, {there.sha256} there ({there.name}); put that file back, or give "
                "the new rules a version of their own",
                each.name,
            )
    return [each for each in files if (each.id, each.version) not in known]


_KNOWN = sa.select(
    protocol_files.c.id, protocol_files.c.version, protocol_files.c.sha256, protocol_files.c.name
)


def _keep(connection: sa.Connection, files: Iterable[InstalledFile], now: datetime) -> None:
    rows = [
        {
            "id": each.id,
            "version": each.version,
            "sha256": each.fingerprint,
            "name": each.name,
            "content": each.content.decode("utf-8"),
            "first_seen": now,
        }
        for each in _new(connection, files)
    ]
    if rows:
        connection.execute(protocol_files.insert(), rows)
