"""The sender of events, as a transaction needs to know it: its rights, its door, and whether it signs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol as Interface

import sqlalchemy as sa

from itp_events.errors import ItpError
from itp_events.events import Event
from tasks.database import event_log
from tasks.database.compiled import Question, Row
from tasks.database.event_log import Origin

Signing = Callable[[sa.Connection, Sequence[Event], datetime], None]
"""Signs events in the transaction that has just recorded them, at an instant (UTC)."""


class Standing(Interface):
    """The rights of a sender, as they were read in a transaction; two that are equal permit the same."""

    def barred(self, event: Event, target: Event | None, site: str | None) -> ItpError | None:
        """The reason why the sender may not state an event; None when it may.

        `target` is the event it voids. `site` is the site of the subject; None when nobody is enrolled.
        """


class Sender(Interface):
    """The sender of events, as a transaction needs to know it."""

    @property
    def origin(self) -> Origin:
        """The account that is signed in, and the door: noted with each event."""

    @property
    def signing(self) -> Signing | None:
        """Signs the events in the transaction that records them; None: they are not signed."""

    def asks(self, *, lock: bool) -> Sequence[Question]:
        """The questions by whose answers the sender's rights are judged, asked with those about subjects.

        With `lock` the answers do not change until the transaction ends.
        """

    def standing(self, found: Sequence[Sequence[Row]]) -> Standing:
        """The rights of the sender now; `found` are the rows of each of its questions."""


@dataclass(frozen=True, slots=True)
class Anybody:
    """A program's own statements, as in a simulation: nothing is barred, and no door is noted."""

    origin: Origin = event_log.NOT_KNOWN
    signing: Signing | None = None

    def asks(self, *, lock: bool) -> Sequence[Question]:
        """Nothing: anybody may state anything."""
        return ()

    def standing(self, found: Sequence[Sequence[Row]]) -> Anybody:
        """Anybody, as before."""
        return self

    def barred(self, event: Event, target: Event | None, site: str | None) -> None:
        """Bar nothing."""


ANYBODY: Sender = Anybody()
