"""Troubles that a person must mend are told to `ops`: at once when one has stood for two minutes, then daily.

A trouble that ends before its notice has left is not told any more. Which troubles stand is kept by
`tasks.database.troubles`; a channel that fails has an alert of its own in `tasks.delivery.outages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from tasks.database.contents import TroubleContents
from tasks.database.outbox import OF_THE_SERVICE
from tasks.database.schema import notices, troubles, unindexed
from tasks.database.store import Store
from tasks.database.troubles import LISTED, Trouble

STEP = "trouble"
# Much mends itself within moments: a database that restarts, a subject that is tried again.
TELL_AFTER = timedelta(minutes=2)
# A trouble that comes and goes is told no more often than one that stands.
TELL_AGAIN = timedelta(days=1)
OVER = "the trouble has ended"


def tell(store: Store, now: datetime) -> list[str]:
    """Put notices of the troubles that stand at `now` (UTC) into the outbox; return the parts or subjects.

    Notices that wait about troubles that have ended are withdrawn.
    """
    with store.reading() as connection:
        if not connection.scalar(sa.select(_open().exists())) and not _standing(connection, now):
            return []
    return store.write(lambda connection: _tell(connection, now))


def _tell(connection: sa.Connection, now: datetime) -> list[str]:
    standing = _standing(connection, now)
    _withdraw(connection, now)
    new = [each for each in standing if not _is_told(connection, each, now)]
    if new:
        connection.execute(notices.insert(), [_row(each, now) for each in new])
    return [each.about for each in new]


def _standing(connection: sa.Connection, now: datetime) -> Sequence[Trouble]:
    query = LISTED.where(troubles.c.since <= now - TELL_AFTER).order_by(troubles.c.since)
    return [Trouble(**row._mapping) for row in connection.execute(query)]


def _open() -> sa.Select[tuple[str, str]]:
    return sa.select(notices.c.key, notices.c.facts).where(
        OF_THE_SERVICE, notices.c.step == STEP, notices.c.status == "queued"
    )


def _withdraw(connection: sa.Connection, now: datetime) -> None:
    about = set(connection.scalars(sa.select(troubles.c.about)))
    ended = [row.key for row in connection.execute(_open()) if row.facts["about"] not in about]
    if ended:
        over = {"status": "withdrawn", "reason": OVER, "settled_at": now}
        # One that gets through meanwhile stays delivered.
        still = notices.update().where(notices.c.key.in_(ended), unindexed(notices.c.status) == "queued")
        connection.execute(still.values(over))


def _is_told(connection: sa.Connection, trouble: Trouble, now: datetime) -> bool:
    query = sa.select(sa.func.max(notices.c.queued_at)).where(
        OF_THE_SERVICE,
        notices.c.key.startswith(_family(trouble), autoescape=True),
        notices.c.status != "withdrawn",
    )
    last: datetime | None = connection.scalar(query)
    return last is not None and now - last < TELL_AGAIN


def _row(trouble: Trouble, now: datetime) -> dict[str, object]:
    said: TroubleContents = {
        "about": trouble.about,
        "what": trouble.what,
        "since": trouble.since.isoformat(),
    }
    return {
        "key": f"{_family(trouble)}{now.isoformat()}",
        "kind": "alert",
        "step": STEP,
        "audience": "ops",
        "due": now,
        "facts": said,
        "queued_at": now,
        "status": "queued",
    }


def _family(trouble: Trouble) -> str:
    return f"{STEP}/{trouble.about}/"
