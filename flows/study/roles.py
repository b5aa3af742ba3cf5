"""Roles at a door: only an investigator states decisions and assessments, and takes them back.

How a door recognises an investigator is its own matter (`deployments.api.http.tokens`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from itp_events.errors import Forbidden
from itp_events.events import INVESTIGATORS, Event, Voided
from tasks.database.event_log import Origin


@dataclass(frozen=True, slots=True)
class Speaker:
    """The sender at a door, as far as the door knows it.

    `decides`: whether it may do what an investigator may. `source`: the only source of events that it speaks
    for; None for any. `said`: the part of a refusal that tells the sender what is known of it. `actor`: the
    account that is signed in, or `os:NAME`; None: nobody is. `door`: api, page, cli, prefect-form,
    prefect-event, webhook:NAME or redcap; None: it is not known.
    """

    decides: bool = False
    source: str | None = None
    said: str = "it is not known who asks"
    actor: str | None = None
    door: str | None = None

    @property
    def origin(self) -> Origin:
        """The account and the door, which are noted with each event."""
        return Origin(self.actor, self.door)

    def standing(self, connection: sa.Connection, *, lock: bool) -> Speaker:
        """What the speaker may state now: the same as ever, since no account can change it."""
        return self

    def barred(self, event: Event, target: Event | None, site: str | None) -> Forbidden | None:
        """The reason why the speaker may not state an event; None when it may.

        `target` is the event it voids; `site` is the subject's.
        """
        return self._foreign(event, target) or self._reserved(event, target)

    def _foreign(self, event: Event, target: Event | None) -> Forbidden | None:
        if self.source is None:
            return None
        if event.source != self.source:
            return Forbidden("source", f"this sender states events of the source {self.source!r} only")
        if target is not None and target.source != self.source:
            return Forbidden("source", f"this sender takes back events of the source {self.source!r} only")
        return None

    def _reserved(self, event: Event, target: Event | None) -> Forbidden | None:
        if self.decides:
            return None
        if isinstance(event.data, INVESTIGATORS):
            return Forbidden("role", f"only an investigator may state {event.type}; {self.said}")
        if isinstance(event.data, Voided) and target is not None and isinstance(target.data, INVESTIGATORS):
            return Forbidden("role", f"only an investigator may take that back; {self.said}")
        return None


# The sender at a door that knows nothing of it.
UNKNOWN = Speaker()
