"""The clock on which all machines that work on one study agree, as an expression within a statement.

`tasks.database.monitoring` asks for it by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from tasks.database.schema import Instant

# As `Instant` stores it: a timestamp's own text depends on settings of the server and of the role.
_FORM = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'


def shared_now(
    connection: sa.Connection, wall: datetime, ago: timedelta = timedelta(0)
) -> sa.ColumnElement[datetime]:
    """The instant (UTC) `ago` before now, by the clock of a PostgreSQL server.

    A SQLite file has one machine, whose clock shows `wall`.
    """
    if connection.dialect.name == "sqlite":
        return sa.literal(wall - ago, Instant)
    return server_now(ago)


def server_now(ago: timedelta = timedelta(0)) -> sa.ColumnElement[datetime]:
    """The instant (UTC) `ago` before now, by the clock of the PostgreSQL server that is asked."""
    utc = sa.func.timezone("UTC", sa.func.clock_timestamp()) - sa.literal(ago, sa.Interval)
    return sa.func.to_char(utc, _FORM, type_=Instant)
