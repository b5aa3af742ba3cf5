"""Puts the study of an archive into an empty database, in one transaction: all of it or nothing.

The tables are made as they were when the archive was written, filled, and then migrated. A message
that was on its way becomes what it would be after a crash: unknown, and sent again with its mark.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from itp_events.errors import BadInput, ItpError
from tasks.archive.backup import Progress
from tasks.archive.check import Archive
from tasks.archive.contents import LEFT_OUT, RECORD
from tasks.archive.form import BadArchive, Manifest, Table
from tasks.archive.rows import go_on_counting, write_rows
from tasks.database import custody, migrate
from tasks.database.store import NO_ANSWER, Store, first_line
from tasks.database.triggers import lifted
from tasks.delivery import deliveries
from tasks.delivery.claims import Clocks
from tasks.delivery.sending import Outcome

SETTING = "ITP_DATABASE_URL"


def restore(
    archive: Archive, url: str, at: datetime, *, origin: str = "", progress: Progress | None = None
) -> Manifest:
    """Put a study that was checked into the empty database at a URL; return the archive's manifest.

    `at` is the machine's time (UTC); `origin` names where the study comes from, the archive's file unless
    said. `progress` counts rows.

    Raises:
        BadInput: the database is not empty, or cannot hold what the archive holds.
        ItpError: the database cannot be reached.
    """
    revisions = _refuse_newer(archive)
    store = Store.unmigrated(url)
    try:
        with store.migrating() as connection:
            migrate.wait_for_others(connection)
            _refuse_what_is_there(connection, archive.manifest.database.revision, revisions)
            migrate.upgrade(connection, archive.manifest.database.revision)
            _clear(connection)
            _fill(connection, archive, progress)
            migrate.upgrade(connection)
            _end_what_was_on_its_way(connection, Clocks(at, at))
            custody.note_restored(connection, archive.manifest.id, origin or archive.path.name, at)
    except DBAPIError as problem:
        raise ItpError(
            f"the database cannot take the study: {first_line(problem)} (see {SETTING})"
        ) from problem
    finally:
        store.close()
    return archive.manifest


def refuse_full(url: str) -> None:
    """Raise BadInput when the database at a URL holds a study, or something of another program."""
    store = Store.unmigrated(url)
    try:
        with store.reading() as connection:
            revisions = migrate.known_revisions()
            _refuse_what_is_there(connection, revisions[-1], revisions)
    except NO_ANSWER as problem:
        raise ItpError(f"the database cannot be opened: {first_line(problem)}") from problem
    finally:
        store.close()


def _refuse_newer(archive: Archive) -> list[str]:
    known, wanted = migrate.known_revisions(), archive.manifest.database.revision
    if wanted not in known:
        program = archive.manifest.program
        raise BadArchive(
            archive.path,
            f"was written by a newer program (revision {wanted}, {program.name} {program.version}), and this "
            f"one knows revisions up to {known[-1]}; install that version or a newer one",
        )
    return known


def _refuse_what_is_there(connection: sa.Connection, wanted: str, revisions: list[str]) -> None:
    """Raise BadInput unless the database has no tables, or empty ones of a study."""
    there = sa.inspect(connection).get_table_names()
    if not there:
        return
    stands = migrate.revision_of(connection)
    if stands is None:
        raise BadInput(
            f"the database holds tables of another program ({there[0]}); name an empty one", SETTING
        )
    full = [name for name in RECORD if name in there and _has_row(connection, name)]
    if full:
        raise BadInput(f"the database is not empty ({full[0]} holds rows); name an empty one", SETTING)
    if stands not in revisions or revisions.index(stands) > revisions.index(wanted):
        raise BadInput(
            f"the database has the tables of revision {stands}, and the archive's are of {wanted}; name one "
            "without tables",
            SETTING,
        )


def _has_row(connection: sa.Connection, name: str) -> bool:
    return (
        connection.execute(sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)).first() is not None
    )


def _clear(connection: sa.Connection) -> None:
    """Empty the tables of an installation that was started once, and recorded nothing."""
    for name in sa.inspect(connection).get_table_names():
        if name not in RECORD and name != "alembic_version":
            with lifted(connection, name):
                connection.execute(sa.delete(sa.table(name)))


def _fill(connection: sa.Connection, archive: Archive, progress: Progress | None) -> None:
    done = 0
    for table in archive.manifest.tables:
        _refuse_unknown(connection, archive, table)
        for count in _written(connection, archive, table):
            done += count
            if progress:
                progress(done, archive.manifest.rows)
        go_on_counting(connection, table)


def _refuse_unknown(connection: sa.Connection, archive: Archive, table: Table) -> None:
    """Raise BadArchive when the archive names a table or column that its own revision does not have."""
    found = sa.inspect(connection)
    there = (
        {column["name"] for column in found.get_columns(table.name)} if found.has_table(table.name) else set()
    )
    odd = [column.name for column in table.columns if column.name not in there]
    if odd or table.name in LEFT_OUT:
        said = (
            f"{odd[0] if odd else table.name} is no column of revision {archive.manifest.database.revision}"
        )
        raise BadArchive(archive.path, f"{said}; nothing was written", table.file)


def _written(connection: sa.Connection, archive: Archive, table: Table) -> Iterator[int]:
    done = 0
    try:
        for count in write_rows(connection, table, archive.rows(table)):
            yield count
            done += count
    except NO_ANSWER:
        raise
    except DBAPIError as problem:
        said = f"the database refuses a row from here on: {first_line(problem)}; nothing was written"
        raise BadArchive(archive.path, said, table.file, done + 1) from problem


def _end_what_was_on_its_way(connection: sa.Connection, at: Clocks) -> None:
    for row in deliveries.held(connection):
        unknown = Outcome("unknown", deliveries.SENDER_ENDED)
        deliveries.end(connection, row.delivery, row.attempt, row.notice, unknown, at)
