"""The service log: refused events of every door, exports, backups and changed settings, for the audit trail.

It is append-only. Refused enrolments that fail a criterion are in the screening log as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from itp_events.errors import ItpError, NotEligible
from itp_events.events import Event
from tasks.database.event_log import Origin
from tasks.database.schema import service_log

_A_DAY = timedelta(days=1)

What = Literal["refused", "exported", "backed-up", "settings"]


def note(
    connection: sa.Connection,
    what: What,
    about: str,
    origin: Origin,
    at: datetime,
    details: Mapping[str, Any],
    subject: str | None = None,
) -> None:
    """Append a line; `about` names the event, the folder, the file or the setting."""
    row = {"at": at, "what": what, "about": about, "subject": subject, "details": dict(details)}
    connection.execute(service_log.insert(), row | {"actor": origin.actor, "door": origin.door})


def note_refused(
    connection: sa.Connection, refused: Iterable[tuple[Event, ItpError]], origin: Origin, at: datetime
) -> None:
    """Append a line for each refused event; one that is sent again, and refused as before, has its line."""
    for event, error in refused:
        about = f"{event.source}: {event.id}"
        said: dict[str, Any] = {
            "type": event.type,
            "rule": getattr(error, "rule", "malformed"),
            "said": str(error),
        }
        if isinstance(error, NotEligible):
            said |= {"unmet": list(error.unmet), "site": getattr(event.data, "site", None)}
        if not _is_known(connection, about, origin, said):
            note(connection, "refused", about, origin, at, said, event.subject)


def note_barred(connection: sa.Connection, asked: str, origin: Origin, at: datetime, said: str) -> None:
    """Append a line for a request that its account has no right to make: one a day for each kind.

    `asked`: the method and the route. `at`: UTC, the machine's.
    """
    query = sa.select(service_log.c.id).where(
        service_log.c.what == "refused",
        service_log.c.about == asked,
        service_log.c.actor.is_not_distinct_from(origin.actor),
        service_log.c.at > at - _A_DAY,
    )
    if connection.scalars(query.limit(1)).first() is None:
        note(connection, "refused", asked, origin, at, {"rule": "role", "said": said})


def noted_settings(connection: sa.Connection, place: str) -> dict[str, str | None]:
    """The settings as a service at a place had them last, by variable; None for one that was not set."""
    query = (
        sa.select(service_log.c.about, service_log.c.details)
        .where(service_log.c.what == "settings")
        .order_by(service_log.c.id)
    )
    noted = connection.execute(query).all()
    return {row.about: row.details["after"] for row in noted if row.details["place"] == place}


def _is_known(connection: sa.Connection, about: str, origin: Origin, said: Mapping[str, Any]) -> bool:
    query = sa.select(service_log.c.details).where(
        service_log.c.what == "refused",
        service_log.c.about == about,
        service_log.c.actor.is_not_distinct_from(origin.actor),
    )
    return said in connection.scalars(query).all()
