"""Who may state what: decisions and assessments are an investigator's, and so is taking one back."""

from __future__ import annotations

from dataclasses import dataclass

from itp_events.errors import Forbidden
from itp_events.events import INVESTIGATORS, Event, Voided


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who states events at a door, as far as the door knows.

    `decides`: an investigator, or somebody who may do what one may. `source`: the only one that the sender
    speaks for. `said`: what a refusal tells them of themselves.
    """

    decides: bool = False
    source: str | None = None
    said: str = "it is not known who asks"

    def barred(self, event: Event, target: Event | None) -> Forbidden | None:
        """Why the speaker may not state an event; None when they may. `target`: what it voids."""
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


# What a door is taken for that does not say who asks.
UNKNOWN = Speaker()
# Who works on the service's own machine, with its files at hand.
AT_THE_MACHINE = Speaker(decides=True)
