"""Of two people who state the same at the same moment, the second reads who was first, and it counts once.

The second statement is refused in the transaction that would record it, so that it does not matter how close
together they come.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flows.study.roles import Sender
from itp_events.errors import ItpError, Refused
from itp_events.events import Event, Voided
from tasks.database.compiled import Compiled, Question, Row
from tasks.database.event_log import Origin, read_line
from tasks.database.schema import events, instant_text
from tasks.database.stated import BY_PEOPLE
from tasks.senders import Signing, Standing

# The same again after so long is meant.
MOMENT = timedelta(minutes=10)

_STATED = Compiled(
    sa.select(events.c.subject, events.c.seq, events.c.body)
    .where(
        BY_PEOPLE,
        events.c.subject == sa.bindparam("about"),
        events.c.recorded_at > sa.bindparam("since", type_=sa.Text),
    )
    .order_by(events.c.seq)
)


@dataclass(frozen=True, slots=True)
class Once:
    """A sender who states nothing about a subject that somebody else has stated since `now` less a moment."""

    sender: Sender
    subject: str
    now: datetime

    @property
    def by(self) -> str | None:
        """The account of the sender."""
        return self.sender.by

    @property
    def origin(self) -> Origin:
        """The account of the sender, and the door."""
        return self.sender.origin

    @property
    def signing(self) -> Signing | None:
        """Signs as the sender does."""
        return self.sender.signing

    def asks(self, *, lock: bool) -> Sequence[Question]:
        """The sender's own questions, and one for the events stated just now."""
        since = instant_text(self.now - MOMENT)
        return [*self.sender.asks(lock=lock), (_STATED, {"about": self.subject, "since": since})]

    def standing(self, found: Sequence[Sequence[Row]]) -> Standing:
        """The sender's own rights, and the events stated just now."""
        *rights, lines = found
        stated = tuple(read_line(line["subject"], line["seq"], line["body"]) for line in lines)
        return _Standing(self.sender.standing(rights), stated)


@dataclass(frozen=True, slots=True)
class _Standing:
    rights: Standing
    stated: Collection[Event]

    def barred(self, event: Event, target: Event | None, site: str | None) -> ItpError | None:
        return self.rights.barred(event, target, site) or self._stated_already(event)

    def _stated_already(self, event: Event) -> Refused | None:
        voided = {_target(each.data) for each in self.stated if isinstance(each.data, Voided)}
        for each in self.stated:
            same = each.type == event.type and _content(each) == _content(event)
            if same and each.key != event.key and each.key not in voided and each.data.by != event.data.by:
                said = f"{each.data.by} has stated the same a moment ago; it counts once"
                return Refused("recorded-once", said)
        return None


def _target(void: Voided) -> tuple[str, str]:
    return void.event.source, void.event.id


def _content(event: Event) -> Mapping[str, Any]:
    data: Mapping[str, Any] = event.to_json()["data"]
    return {name: value for name, value in data.items() if name != "by"}
