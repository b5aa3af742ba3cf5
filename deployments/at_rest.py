"""Makes certain that no service works on a study, for the work that needs it at rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa

from deployments.bootstrap.lock import sole_on_file, sole_service
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.study import place, sqlite_file
from deployments.service.sole_prefect import FRESH, NOTE
from itp_events.errors import ItpError
from tasks.database.monitoring import shared_clock
from tasks.database.prefect_notes import note_in
from tasks.database.schema import prefect_notes
from tasks.database.store import Store


class StillRunning(ItpError):
    """A service works on the study."""


@contextmanager
def at_rest(settings: Settings, url: str, now: datetime) -> Iterator[None]:
    """Hold the data directory, so that no service starts in it, while none works on the database at a URL.

    Raises:
        AlreadyRunning: a service runs on the data directory, or on the SQLite file.
        StillRunning: a service at another place works on the database.
    """
    with sole_service(settings.data_dir.absolute()), sole_on_file(sqlite_file(url)):
        _refuse_elsewhere(url, place(settings), now)
        yield


def _refuse_elsewhere(url: str, here: str, now: datetime) -> None:
    store = Store.unmigrated(url)
    try:
        with store.reading() as connection:
            known = sa.inspect(connection).has_table(prefect_notes.name)
            said = note_in(connection, NOTE) if known else None
        if said is None or said["home"] == here:
            return
        # By the clock that all machines share: theirs may differ by minutes.
        ago = abs(shared_clock(store, now) - datetime.fromisoformat(said["at"]))
    finally:
        store.close()
    if ago < FRESH:
        seen = f"seen {ago.total_seconds():.0f} s ago"
        raise StillRunning(
            f"a service works on this study at {said['home']} ({seen}): stop it, and try again half a minute "
            "later"
        )
