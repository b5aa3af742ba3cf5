"""Notes about the Prefect that shows the study: each under a key, and every subject's flow run.

The artifacts that Prefect shows are noted by `tasks.board.keeping`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tasks.database.compiled import Compiled, ask_in_turn
from tasks.database.schema import prefect_notes, subjects
from tasks.database.store import Store, in_order
from tasks.database.upsert import upsert


def note(store: Store, key: str) -> dict[str, Any] | None:
    """The note under a key; None when there is none."""
    with store.reading() as connection:
        return note_in(connection, key)


def note_in(connection: sa.Connection, key: str, *, lock: bool = False) -> dict[str, Any] | None:
    """`note` within a transaction; with `lock`, nobody else changes it until the transaction ends."""
    query = sa.select(prefect_notes.c.body).where(prefect_notes.c.key == key)
    body: dict[str, Any] | None = connection.scalar(query.with_for_update() if lock else query)
    return body


def keep_note(store: Store, key: str, body: dict[str, Any]) -> None:
    """Keep a note under a key, in place of the one before."""
    with store.writing() as connection:
        upsert(connection, prefect_notes, {"key": key}, {"body": body})


def keep_note_in(connection: sa.Connection, key: str, body: dict[str, Any]) -> None:
    """Keep a note in place of the one that `note_in` has read and locked.

    Raises:
        sqlalchemy.exc.IntegrityError: there was none, and somebody else has made one meanwhile. `Store.write`
            then repeats the step, which reads that one.
    """
    same = prefect_notes.update().where(prefect_notes.c.key == key)
    if connection.execute(same.values(body=body)).rowcount == 0:
        connection.execute(prefect_notes.insert(), {"key": key, "body": body})


def is_any_without_run(store: Store, since: datetime, now: datetime) -> bool:
    """Whether a subject who was enrolled between two instants (UTC) has no flow run yet.

    One that a wrong clock has enrolled later than `now` does not count.
    """
    lately = sa.and_(subjects.c.enrolled_at > since, subjects.c.enrolled_at <= now)
    without = sa.select(subjects.c.code).where(subjects.c.flow_run_id.is_(None), lately)
    with store.reading() as connection:
        return connection.execute(without.limit(1)).first() is not None


_REMEMBER = Compiled(subjects.update().where(subjects.c.code == sa.bindparam("about")))


def remember_flow_runs(store: Store, runs: Mapping[str, str]) -> None:
    """Note the ids of the flow runs in Prefect that carry the journeys of subjects, by code."""
    # In the order in which all transactions lock subjects, so that no two wait for each other.
    rows = [{"about": code, "flow_run_id": runs[code]} for code in sorted(runs, key=in_order)]
    with store.writing() as connection:
        ask_in_turn(connection, [(_REMEMBER, row) for row in rows])
