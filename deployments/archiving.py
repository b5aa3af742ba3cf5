"""Backs up, restores and moves the study that the settings name."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import metadata
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from deployments.at_rest import at_rest
from deployments.bootstrap.data_dir import writable
from deployments.bootstrap.settings import Settings
from deployments.service.backups import BackupPlan
from itp_events.errors import BadInput, ItpError
from tasks.archive.backup import Making, Progress, back_up
from tasks.archive.check import open_archive
from tasks.archive.files import remove_abandoned
from tasks.archive.form import MadeBy, Manifest, Program
from tasks.archive.protocols import Installed, installed_protocols, versions
from tasks.archive.restore import refuse_full, restore
from tasks.database import custody, service_log
from tasks.database.custody import Move
from tasks.database.event_log import Origin
from tasks.database.store import Store, first_line

PROGRAM = "itp-visits"
TARGET = "URL"
# The archive of a move, in the data directory while it lasts.
COPY = "moving.zip"


def making(by: MadeBy, at: datetime) -> Making:
    """The circumstances of an archive that this program writes now, `at` the machine's time (UTC)."""
    try:
        version = metadata.version(PROGRAM)
    except metadata.PackageNotFoundError:
        version = "unknown"
    return Making(secrets.token_hex(8), at, by, Program(name=PROGRAM, version=version))


@dataclass(frozen=True)
class Restored:
    """A restored study: its archive's manifest, and the protocol versions that are not installed alike."""

    manifest: Manifest
    other_protocols: tuple[str, ...]


def backup_plan(settings: Settings) -> BackupPlan | None:
    """The backups that the service makes by itself; None without a folder for them."""
    if settings.backup_dir is None:
        return None
    return BackupPlan(
        settings.backup_dir.absolute(),
        timedelta(hours=settings.backup_hours),
        settings.backup_keep,
        lambda: installed_protocols(settings.protocols),
        partial(making, "schedule"),
    )


def back_up_study(
    settings: Settings,
    path: Path,
    at: datetime,
    origin: Origin,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Write an archive of the study while its service runs, and note who asked for it.

    It raises what `tasks.archive.backup` raises.
    """
    protocols = installed_protocols(settings.protocols)
    store = Store.open(settings.database)
    try:
        made = back_up(store, protocols, path, making("hand", at), replace=replace, progress=progress)
        with store.writing() as connection:
            service_log.note(connection, "backed-up", path.name, origin, at, {"rows": made.rows})
        return made
    finally:
        store.close()


def restore_study(settings: Settings, path: Path, at: datetime, progress: Progress | None = None) -> Restored:
    """Restore an archive into the settings' database, which must be empty.

    Raises:
        BadInput: the archive is damaged or foreign; the database is not empty.
        ItpError: a service runs.
    """
    with open_archive(path) as archive:
        archive.check()
        with at_rest(settings, settings.database, at):
            manifest = restore(archive, settings.database, at, progress=progress)
    return Restored(manifest, _other(manifest, installed_protocols(settings.protocols)))


def _other(manifest: Manifest, installed: list[Installed]) -> tuple[str, ...]:
    """The versions that subjects are pinned to and that are not installed here as they were there."""
    here = {version: each.fingerprint for version, each in versions(installed).items()}
    used = [each for each in manifest.protocols if each.subjects]
    return tuple(each.version for each in used if here.get(each.version) != each.sha256)


def move_study(settings: Settings, target: str, at: datetime, progress: Progress | None = None) -> Move:
    """Move the study from the settings' database into an empty one; return the move that stands then.

    The source is closed before anything is copied. A move that was killed is repeated, and goes on.

    Raises:
        BadInput: the target is not empty, or is the source; the study was moved already.
        ItpError: a service runs; a database does not answer.
    """
    shown = shown_address(target)
    if shown == shown_address(settings.database):
        raise BadInput("it is the study's database already; name another", TARGET)
    with at_rest(settings, settings.database, at):
        store = Store.open_moved(settings.database)
        try:
            return _moved(store, settings, target, _begun(store, target, shown, at), at, progress)
        finally:
            store.close()


def _begun(store: Store, target: str, shown: str, at: datetime) -> Move:
    """The move to the target: the one that was killed, or a new one, which closes the source."""
    with store.reading() as connection:
        move = custody.move_in(connection)
    if move is not None and (move.what == "moved" or move.place != shown):
        raise ItpError(custody.said(move))
    if move is not None:
        return move
    _checked(target)
    move = Move(secrets.token_hex(8), "moving", shown, at)
    with store.writing(long=True) as connection:
        custody.begin_move(connection, move)
    return move


def _moved(
    store: Store, settings: Settings, target: str, move: Move, at: datetime, progress: Progress | None
) -> Move:
    if not _holds(target, move.id):
        _copy(store, settings, target, move, at, progress)
    with store.writing() as connection:
        custody.end_move(connection, move.id, at)
        ended = custody.move_in(connection)
    _remove_copy(settings)
    assert ended is not None
    return ended


def _copy(
    store: Store, settings: Settings, target: str, move: Move, at: datetime, progress: Progress | None
) -> None:
    _checked(target)
    path = writable(settings.data_dir.absolute()) / COPY
    made = Making(move.id, at, "move", making("move", at).program)
    try:
        back_up(store, installed_protocols(settings.protocols), path, made, replace=True)
        with open_archive(path) as archive:
            origin = shown_address(settings.database)
            restore(archive, target, at, origin=origin, progress=progress)
    except (ItpError, DBAPIError, OSError) as problem:
        said = first_line(problem) if isinstance(problem, DBAPIError) else problem
        raise ItpError(
            f"the move did not end: {said}; repeat it, or go on in this database with itp move --stay"
        ) from problem
    finally:
        path.unlink(missing_ok=True)


def _checked(target: str) -> None:
    try:
        refuse_full(target)
    except BadInput as refusal:
        raise BadInput(refusal.problem, TARGET) from refusal


def _holds(target: str, identity: str) -> bool:
    store = Store.unmigrated(target)
    try:
        with store.reading() as connection:
            return custody.holds(connection, identity)
    except DBAPIError as problem:
        raise ItpError(
            f"the database does not answer: {first_line(problem)} ({shown_address(target)})"
        ) from problem
    finally:
        store.close()


def stay(settings: Settings, at: datetime) -> Move | None:
    """Let the study go on in the settings' database; return the move that is taken back, None without one."""
    with at_rest(settings, settings.database, at):
        store = Store.open_moved(settings.database)
        try:
            with store.writing() as connection:
                move = custody.move_in(connection)
                custody.take_back(connection, at)
            _remove_copy(settings)
            return move
        finally:
            store.close()


def _remove_copy(settings: Settings) -> None:
    """Remove the archive that a killed move left in the data directory."""
    folder = settings.data_dir.absolute()
    (folder / COPY).unlink(missing_ok=True)
    remove_abandoned(folder, COPY)


def shown_address(url: str) -> str:
    """A database's address without its password; of SQLite with the whole path."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as problem:
        raise BadInput("not a database URL; use sqlite:///study.db or postgresql://...", TARGET) from problem
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return parsed.set(database=str(Path(parsed.database).resolve())).render_as_string()
    return parsed.render_as_string(hide_password=True)
