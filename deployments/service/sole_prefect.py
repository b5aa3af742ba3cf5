"""Lets one Prefect alone show a study: a second one would hold a second flow run of every subject.

Several services may share a study's database as long as they use the same Prefect. The database names that
Prefect, with a sign of life of its service. Several servers of one Prefect have several addresses: it is the
same when it holds the same work pool.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from deployments.http.origin import is_loopback
from flows.prefect_api.flow_runs import PrefectSilent
from tasks.database.prefect_notes import keep_note_in, note_in
from tasks.database.store import Store

NOTE = "serving"
# Longer than the service takes between two signs of life, and than a start.
FRESH = timedelta(seconds=30)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class OtherPrefect(PrefectSilent):
    """Another service shows this study in another Prefect."""


@dataclass(frozen=True)
class SolePrefect:
    """The Prefect that alone shows a study; `home` is the machine and data directory of its service."""

    store: Store
    prefect: str
    home: str

    @classmethod
    def of(cls, store: Store, api: str, data_dir: Path) -> SolePrefect:
        """The sole Prefect as a service with this address and this data directory claims it."""
        return cls(store, name_of(api), f"{socket.gethostname()}:{data_dir.absolute()}")

    def hold(self, world: datetime, pool: str | None = None) -> None:
        """Keep a sign of life of this service in the database, at an instant by the clock that all share.

        `pool` is the id of the work pool in this service's Prefect; None while it is not known.

        Raises:
            OtherPrefect: another service is at work with another Prefect.
        """
        self.store.write(lambda connection: self._hold_in(connection, world, pool))

    def release(self) -> None:
        """Let another service use another Prefect from now on."""
        self.store.write(self._release_in)

    def _hold_in(self, connection: sa.Connection, world: datetime, pool: str | None) -> None:
        said = note_in(connection, NOTE, lock=True)
        if said and self._is_another(said, pool) and _is_fresh(said, world):
            ago = (world - datetime.fromisoformat(said["at"])).total_seconds()
            raise OtherPrefect(
                f"another service ({said['home']}) shows this study in the Prefect at {said['prefect']} "
                f"(seen {ago:.0f} s ago): set PREFECT_API_URL to one that both reach, or stop that service"
            )
        body = {"prefect": self.prefect, "home": self.home, "at": world.isoformat(), "pool": pool}
        keep_note_in(connection, NOTE, body)

    def _is_another(self, said: dict[str, Any], pool: str | None) -> bool:
        """Whether the note is another service's, of another Prefect than this one's."""
        if said["prefect"] == self.prefect or said["home"] == self.home:
            return False
        return pool is None or said.get("pool") != pool

    def _release_in(self, connection: sa.Connection) -> None:
        said = note_in(connection, NOTE, lock=True)
        if said and said["home"] == self.home:
            keep_note_in(connection, NOTE, said | {"at": LONG_AGO.isoformat()})


def name_of(api: str) -> str:
    """A Prefect's name among all machines: a loopback address gets this machine's name."""
    parts = urlsplit(api)
    host = parts.hostname or ""
    return f"{socket.gethostname()}:{parts.port or 80}" if is_loopback(host) else api.rstrip("/")


def _is_fresh(said: dict[str, Any], world: datetime) -> bool:
    return abs(world - datetime.fromisoformat(said["at"])) < FRESH
