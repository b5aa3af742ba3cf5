"""Brings a database to the newest migration, safely when several processes open it at once.

The migrations themselves are in `tasks.database.migrations`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from itp_events.errors import ItpError
from tasks.database import register
from tasks.database.schema import REVISION
from tasks.database.schema import register as _register

if TYPE_CHECKING:
    from alembic.config import Config

# Any number will do, as long as every process asks PostgreSQL for the same one.
_ADVISORY_LOCK = 6_813_157
_VERSION = sa.table("alembic_version", sa.column("version_num"))

Transaction = Callable[[], AbstractContextManager[sa.Connection]]


def migrate(reading: Transaction, writing: Transaction) -> None:
    """Migrate, unless the database is at the newest revision already.

    Raises:
        ItpError: the database is ahead of this program.
    """
    with reading() as connection:
        if revision_of(connection) == REVISION:
            return
    with writing() as connection:
        wait_for_others(connection)
        if revision_of(connection) != REVISION:
            upgrade(connection)


def wait_for_others(connection: sa.Connection) -> None:
    """Let no other process migrate or fill this database until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))


def revision_of(connection: sa.Connection) -> str | None:
    """The revision of the database's tables; None when it has none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.select(_VERSION.c.version_num))


def known_revisions() -> list[str]:
    """The revisions that this program knows, oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Bring the tables to a revision, by default the newest, in the connection's transaction.

    Raises:
        ItpError: the database is ahead of this program.
    """
    # Loaded here: most openings find nothing to do, and loading takes a third of a second.
    from alembic import command
    from alembic.util import CommandError

    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise ItpError(
            f"the database stands at revision {revision_of(connection)}, which this program does not know: "
            "start the newer version of the service that wrote it"
        ) from error
    if sa.inspect(connection).has_table(_register.name):
        register.note_triggers(connection)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    # Named by its package: in a path, Alembic would take a percent sign for the beginning of another option.
    config.set_main_option("script_location", "tasks.database:migrations")
    return config
