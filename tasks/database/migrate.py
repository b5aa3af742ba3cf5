"""Brings a database to the newest migration, safely when several processes open it at once.

The migrations themselves are in `tasks.database.migrations`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import sqlalchemy as sa

from itp_events.errors import ItpError
from tasks.database.schema import REVISION

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
        if _revision(connection) == REVISION:
            return
    with writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        if _revision(connection) != REVISION:
            _upgrade(connection)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.select(_VERSION.c.version_num))


def _upgrade(connection: sa.Connection) -> None:
    # Loaded here: most openings find nothing to do, and loading takes a third of a second.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    # Named by its package: in a path, Alembic would take a percent sign for the beginning of another option.
    config.set_main_option("script_location", "tasks.database:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ItpError(
            f"the database stands at revision {_revision(connection)}, which this program does not know: "
            "start the newer version of the service that wrote it"
        ) from error
