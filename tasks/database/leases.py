"""Leases: the jobs that one process at a time does, and the subjects that it wakes.

A lease has no end of its own. It holds for as long as its holder gives signs of life
(`tasks.database.instance`), by the clock that all machines share. So it is free some seconds after its holder
has died or was cut off. The sends of a process are no leases: `tasks.delivery.left_behind` frees them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tasks.database.schema import leases, senders
from tasks.database.shared_time import server_now, shared_now

# Five signs fit into the silence after which a holder is taken for dead.
LIFE = timedelta(seconds=5)


def others_hold(name: sa.ColumnElement[str], holder: str) -> sa.ColumnElement[bool]:
    """Whether a process other than `holder`, which gives signs of life, holds the lease of a name."""
    return (
        sa.exists()
        .where(leases.c.name == name, leases.c.holder != holder, leases.c.holder == senders.c.id)
        .where(senders.c.at > server_now(LIFE))
    )


def holders(connection: sa.Connection, names: Collection[str], wall: datetime) -> dict[str, str]:
    """The living holders of leases, by the leases' names; a free one is not among them."""
    query = (
        sa.select(leases.c.name, leases.c.holder)
        .join(senders, senders.c.id == leases.c.holder)
        .where(leases.c.name.in_(names), senders.c.at > shared_now(connection, wall, LIFE))
    )
    return {row.name: row.holder for row in connection.execute(query)}


def take(connection: sa.Connection, holder: str, names: Collection[str]) -> set[str]:
    """Take the leases that are free or `holder`'s own; returns the names of those it holds then.

    The holder must have given a sign of life in an earlier transaction: another that takes the same lease at
    the same time sees that sign. On PostgreSQL alone; a SQLite file has one service.
    """
    if not names:
        return set()
    # In one order, so that two processes never wait for each other. One array, so that the statement is the
    # same for any number.
    wanted = sa.func.unnest(sa.literal(sorted(names), postgresql.ARRAY(sa.Text)))
    rows = sa.select(wanted, sa.literal(holder), server_now())
    new = postgresql.insert(leases).from_select(["name", "holder", "since"], rows)
    # Written with the lease's own row in mind: SQLAlchemy would look at all leases within the subquery.
    holder_now = sa.literal_column("leases.holder", sa.Text)
    alive = sa.exists().where(senders.c.id == holder_now, senders.c.at > server_now(LIFE))
    taken = new.on_conflict_do_update(
        index_elements=[leases.c.name],
        set_={"holder": new.excluded.holder, "since": new.excluded.since},
        where=sa.or_(holder_now == holder, ~alive),
    ).returning(leases.c.name)
    return set(connection.scalars(taken))


def give_back(connection: sa.Connection, holder: str, names: Collection[str] | None = None) -> None:
    """Free the leases of these names that `holder` has; without names, all that it has."""
    mine = leases.c.holder == holder
    which = mine if names is None else sa.and_(mine, leases.c.name.in_(names))
    connection.execute(leases.delete().where(which))
