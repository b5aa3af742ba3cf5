"""The checks of the study's database by `itp doctor`. They create and migrate nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import sqlalchemy as sa

from deployments.cli.doctor.duty_check import duty_findings
from deployments.cli.doctor.finding import Finding, Surroundings
from deployments.cli.doctor.participants_check import participant_findings
from deployments.cli.doctor.stamps_check import stamp_findings
from deployments.cli.opening import sqlite_file
from itp_events.errors import BadInput
from itp_events.rules.explain import counted
from tasks.database import custody, postgresql
from tasks.database.labels import shown
from tasks.database.monitoring import BACKUP, ROUND
from tasks.database.schema import REVISION, heartbeats, notices, outages, subjects, troubles
from tasks.database.verifications import last_verification
from tasks.delivery import recipients
from tasks.delivery.channels import Channels

# The service gives a sign of life every 10 s.
_VERIFIED_WITHIN = timedelta(days=3)
_SILENT = timedelta(minutes=1)


def database(around: Surroundings) -> Iterator[Finding]:
    """Whether the database answers and is migrated, and what waits in it while no service runs."""
    file = sqlite_file(around.settings)
    if file is not None and not file.exists():
        yield Finding("database", "ok", f"{file} begins with the first event or start")
        return
    try:
        with _connected(around.settings.database) as connection:
            yield _revision(connection)
            yield from _waiting(connection, around)
            yield from _at_work(connection, around)
            yield from _moved(connection)
            yield from _troubles(connection)
            yield from _backups(connection, around)
            yield from _verified(connection, around)
            yield from stamp_findings(connection, around)
            yield from _recipients(connection, around)
            yield from duty_findings(connection, around)
            yield from participant_findings(connection, around)
    except BadInput as refusal:
        said, _, mend = refusal.problem.partition("; ")
        yield Finding("database", "fail", said, mend)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        said = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        yield Finding(
            "database", "fail", f"does not answer: {said}", "see ITP_DATABASE_URL; is its server up?"
        )


@contextmanager
def _connected(address: str) -> Iterator[sa.Connection]:
    engine = _engine(address)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _engine(address: str) -> sa.Engine:
    url = sa.make_url(address)
    if url.get_backend_name() == "postgresql":
        return postgresql.open_engine(url, poolclass=sa.NullPool)
    return sa.create_engine(url)


def _shown(url: sa.URL) -> str:
    """The file, or the server's address without its password."""
    is_file = url.get_backend_name() == "sqlite"
    return str(url.database) if is_file else url.render_as_string(hide_password=True)


def _revision(connection: sa.Connection) -> Finding:
    url = _shown(connection.engine.url)
    if not sa.inspect(connection).has_table("alembic_version"):
        return Finding("database", "ok", f"{url} is empty; the first event or start fills it")
    revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if revision == REVISION:
        return Finding("database", "ok", f"{url} at revision {revision}")
    if str(revision) < REVISION:
        return Finding("database", "warn", f"{url} at revision {revision}", "the next itp up migrates it")
    mend = "start the newer version of the service that wrote it"
    return Finding("database", "fail", f"{url} at revision {revision}, newer than this program", mend)


def _at_work(connection: sa.Connection, around: Surroundings) -> Iterator[Finding]:
    """The findings about a running service: its signs of life, and the recipients it does not reach."""
    if not around.service or not sa.inspect(connection).has_table("heartbeats"):
        return
    beat = connection.scalar(sa.select(heartbeats.c.at).where(heartbeats.c.part == ROUND))
    if beat is not None and around.now - beat > _SILENT:
        mend = f"stop it (kill {around.service}), then: itp up"
        said = f"process {around.service} gave its last sign of life at {beat:%Y-%m-%d %H:%M:%S} UTC"
        yield Finding("service", "fail", said, mend)
    for row in connection.execute(sa.select(outages).order_by(outages.c.since)):
        name = shown(row.label, row.recipient)
        said = f"{name} fails since {row.since:%Y-%m-%d %H:%M} UTC, {counted(row.failures, 'attempt')}"
        mend = "mend its line in ITP_APPRISE_CONFIG, or its provider; what waits is sent again"
        yield Finding("notices", "warn", said, mend)


def _troubles(connection: sa.Connection) -> Iterator[Finding]:
    """The troubles that the service cannot mend by itself."""
    if not sa.inspect(connection).has_table("troubles"):
        return
    for row in connection.execute(sa.select(troubles).order_by(troubles.c.since)):
        said = f"{row.what} (since {row.since:%Y-%m-%d %H:%M} UTC)"
        yield Finding(row.about, "fail", said, "the service tries again, and this goes when it succeeds")


def _moved(connection: sa.Connection) -> Iterator[Finding]:
    """Whether the study goes on in another database."""
    if not sa.inspect(connection).has_table("custody"):
        return
    move = custody.move_in(connection)
    if move is not None:
        said, _, mend = custody.said(move).rpartition(": ")
        yield Finding("database", "fail", said, mend)


def _backups(connection: sa.Connection, around: Surroundings) -> Iterator[Finding]:
    """The last backup that the service made and read back, where it is to make some."""
    settings = around.settings
    if settings.backup_dir is None or not sa.inspect(connection).has_table("heartbeats"):
        return
    last = connection.scalar(sa.select(heartbeats.c.at).where(heartbeats.c.part == BACKUP))
    where = f"in {settings.backup_dir}"
    if last is None:
        yield Finding("backup", "warn", f"none has been made {where} yet", "itp up makes one at its start")
        return
    said = f"the last good one {where} is of {last:%Y-%m-%d %H:%M} UTC"
    if around.now - last > 2 * timedelta(hours=settings.backup_hours):
        yield Finding("backup", "warn", f"{said}, and it is overdue", "does itp up run? see its log")
    else:
        yield Finding("backup", "ok", said)


def _verified(connection: sa.Connection, around: Surroundings) -> Iterator[Finding]:
    """The last verification of the record, and what it found."""
    if not sa.inspect(connection).has_table("verifications"):
        return
    last = last_verification(connection)
    if last is None:
        yield Finding("records", "warn", "never verified", "itp verify; a running service does it once a day")
    elif last.findings:
        mend = "itp verify names every row; docs/records.md says what to do then"
        yield Finding("records", "fail", last.said, mend)
    elif around.now - last.at > _VERIFIED_WITHIN:
        yield Finding("records", "warn", last.said, "itp verify; a running service does it once a day")
    else:
        yield Finding("records", "ok", last.said)


def _recipients(connection: sa.Connection, around: Surroundings) -> Iterator[Finding]:
    """Whether the study's notices go to the recipients that are configured here."""
    if not sa.inspect(connection).has_table("recipients"):
        return
    kept = recipients.study_recipients_in(connection)
    try:
        channels = Channels.from_config(around.settings.apprise_config)
    except BadInput:
        return  # said where the channels are looked at
    if kept is not None and kept.fingerprint != channels.fingerprint:
        said, _, mend = recipients.difference(channels, kept).rpartition("; ")
        yield Finding("notices", "warn", said, mend)


def _waiting(connection: sa.Connection, around: Surroundings) -> Iterator[Finding]:
    """The subjects and notices that wait for a service while none runs."""
    if around.service or not sa.inspect(connection).has_table("notices"):
        return
    late = sa.select(sa.func.count()).select_from(subjects).where(subjects.c.wake_at <= around.now)
    queued = sa.select(sa.func.count()).select_from(notices).where(notices.c.status == "queued")
    due, unsent = connection.scalar(late) or 0, connection.scalar(queued) or 0
    if due or unsent:
        said = f"{counted(due, 'subject')} due and {counted(unsent, 'notice')} waiting, and no service runs"
        yield Finding("service", "warn", said, "start it: itp up")
