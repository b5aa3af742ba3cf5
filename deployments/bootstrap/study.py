"""Opens the study that the settings name: its database, protocol, channels and clock."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from deployments.bootstrap.clock import Clock, open_clock
from deployments.bootstrap.secret import signing_key
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.watched_clock import ClockWatch, WatchedClock
from deployments.prefect.server_process import auth_environment
from flows.study.runtime import Runtime
from itp_events.protocol.file import installed_by_now, load_protocol
from tasks.database.instance import Instance
from tasks.database.queries import all_subjects
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tasks.delivery.links import Links


def open_study(settings: Settings, instance: Instance | None = None) -> Runtime:
    """Open the study's store, protocol, channels and clock, for a process that bears a name if it has one.

    Raises:
        ItpError: one line that says which of them cannot be opened, and why.
    """
    # Prefect's own clients, its server and `FlowRuns` all read it there.
    os.environ.update(auth_environment(settings.prefect_auth.get_secret_value()))
    protocol = load_protocol(settings.protocols)
    if settings.protocols is None:
        # A version may be installed beside the built-in one while this process runs.
        protocol = protocol.beside([protocol], partial(installed_by_now, settings.versions))
    links = Links(settings.base_url, signing_key(settings.secret_key.get_secret_value(), settings.data_dir))
    channels = replace(Channels.from_config(settings.apprise_config), links=links)
    store = Store.open(settings.database)
    clock = study_clock(settings, store)
    return Runtime(
        store,
        protocol,
        channels,
        clock,
        settings.prefect_api,
        place=place(settings),
        instance=instance or Instance(),
    )


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database at a URL; None when the database has none, or the URL cannot be read."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return None
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database).absolute()


def place(settings: Settings) -> str:
    """The machine and the data directory, as one name for people."""
    return f"{socket.gethostname()}:{settings.data_dir.absolute()}"


def study_clock(settings: Settings, store: Store) -> Clock:
    """The clock by which the study in a store runs.

    Raises:
        BadInput: a fast clock for a study's real data, or the real clock for a demonstration's.
    """
    clock = _named_clock(settings, store)
    if type(clock) is Clock:
        clock = WatchedClock()
        ClockWatch(store, clock).look()
    return clock


def _named_clock(settings: Settings, store: Store) -> Clock:
    database = sa.make_url(settings.database).render_as_string(hide_password=True)
    wanted = (settings.clock_speed, settings.clock_start)
    is_empty = settings.clock_speed is None or not all_subjects(store)
    return open_clock(settings.data_dir, database, *wanted, study_is_empty=is_empty)
