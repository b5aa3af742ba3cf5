"""Roles at a door: only an investigator states decisions and assessments, and takes them back.

How a door recognises an investigator is its own matter (`deployments.api.http.tokens`).
"""

from __future__ import annotations

from dataclasses import dataclass

from itp_events.errors import Forbidden
from itp_events.events import INVESTIGATORS, Event, Voided


@dataclass(frozen=True, slots=True)
class Speaker:
    """The sender at a door, as far as the door knows it.

    `decides`: whether it may do what an investigator may. `source`: the only source of events that it speaks
    for; None for any. `said`: the part of a refusal that tells the sender what is known of it.
    """

    decides: bool = False
    source: str | None = None
    said: str = "it is not known who asks"

    def barred(self, event: Event, target: Event | None) -> Forbidden | None:
        """The reason why the speaker may not state an event; None when it may. `target` is the event it
        voids.
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
# A person at the service's own machine, with its files at hand.
AT_THE_MACHINE = Speaker(decides=True)
