"""Makes certain that no service works on a study, for the work that needs it at rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import sqlalchemy as sa

from deployments.bootstrap.lock import sole_service
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.study import place
from deployments.service.sole_prefect import LONG_AGO, NOTE
from itp_events.errors import ItpError
from tasks.database.monitoring import ROUND
from tasks.database.prefect_notes import note_in
from tasks.database.schema import heartbeats, prefect_notes
from tasks.database.store import Store

# A service gives a sign of life every 10 s; after a kill nothing says that it has ended but its silence.
SILENT = timedelta(seconds=30)


class StillRunning(ItpError):
    """A service works on the study."""


@contextmanager
def at_rest(settings: Settings, url: str, now: datetime) -> Iterator[None]:
    """Hold the data directory, so that no service starts in it, while none works on the database at a URL.

    Raises:
        AlreadyRunning: a service runs on the data directory.
        StillRunning: a service at another place works on the database.
    """
    with sole_service(settings.data_dir.absolute()):
        _refuse_elsewhere(url, place(settings), now)
        yield


def _refuse_elsewhere(url: str, here: str, now: datetime) -> None:
    store = Store.unmigrated(url)
    try:
        with store.reading() as connection:
            found = sa.inspect(connection)
            if not (found.has_table(heartbeats.name) and found.has_table(prefect_notes.name)):
                return
            home = _home(connection)
            beat = connection.scalar(sa.select(heartbeats.c.at).where(heartbeats.c.part == ROUND))
    finally:
        store.close()
    if home not in (None, here) and beat is not None and abs(now - beat) < SILENT:
        ago = abs(now - beat).total_seconds()
        raise StillRunning(
            f"a service works on this study at {home} (seen {ago:.0f} s ago): stop it, and try again half a "
            "minute later"
        )


def _home(connection: sa.Connection) -> str | None:
    """The place of the service that worked on the study last; None when it has ended in order."""
    said = note_in(connection, NOTE)
    return said["home"] if said and said["at"] != LONG_AGO.isoformat() else None
