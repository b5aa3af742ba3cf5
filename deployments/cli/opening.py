"""Opens the running study for commands that only read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from deployments.bootstrap.settings import Settings, load_settings
from deployments.bootstrap.study import study_clock
from itp_events.errors import ItpError
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Protocol
from tasks.database.store import Store


@dataclass(frozen=True)
class OpenStudy:
    """A study's store and protocol, and its present instant."""

    store: Store
    protocol: Protocol
    now: datetime


@contextmanager
def open_to_read() -> Iterator[OpenStudy]:
    """The study that the settings name.

    Raises:
        ItpError: there is none yet, and a command that only reads does not begin one.
    """
    settings = load_settings()
    protocol = load_protocol(settings.protocols)
    refuse_to_begin(settings)
    store = Store.open(settings.database)
    try:
        yield OpenStudy(store, protocol, study_clock(settings, store).now())
    finally:
        store.close()


def sqlite_file(settings: Settings) -> Path | None:
    """The file of a SQLite database; None for a database server, or a malformed address."""
    try:
        url = sa.make_url(settings.database)
    except sa.exc.ArgumentError:
        return None
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def refuse_to_begin(settings: Settings) -> None:
    """Raise ItpError when there is no study yet, as far as a SQLite file can tell."""
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        raise ItpError(f"no study in {file} yet: `itp up` or `itp record` begins one (see ITP_DATA_DIR)")
