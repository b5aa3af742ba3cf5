"""What people stated of subjects, read without what the service decided: that is most of every log.

Windows, flags and outcomes follow from these facts alone (`itp_events.rules.state`). The service's own events
matter only to what it decides next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from itp_events.events import OWN_SOURCE, Event
from itp_events.protocol.model import Protocol
from itp_events.rules.subject import Subject, fold
from tasks.database import event_log
from tasks.database.schema import events, subjects
from tasks.database.store import Store
from tasks.database.unreadable import naming

# Two spans instead of an inequality: for these SQLite uses the index of sources and ids, and PostgreSQL may
# where it expects few of them. The same rows: a source is never null.
BY_PEOPLE = sa.or_(events.c.source < OWN_SOURCE, events.c.source > OWN_SOURCE)


@dataclass(frozen=True)
class Stated:
    """What people stated of a subject, in sequence order, and where the subject stood when it was read."""

    code: str
    seq: int
    protocol_version: str
    advanced_at: datetime
    lines: Sequence[tuple[int, str]]

    @cached_property
    def facts(self) -> list[Event]:
        """The events; raises Unreadable, so that who reads many subjects can go on with the others."""
        return [event_log.read_line(self.code, seq, body) for seq, body in self.lines]

    def folded(self, protocol: Protocol) -> Subject:
        """The subject that the facts give, without the service's ledger; raises Unreadable."""
        # The version to which an enrolment pins is the service's own event: the subject's row repeats it.
        with naming(self.code):
            return fold(protocol.of_version(self.protocol_version), self.facts)


# In one statement, so that the rows and the facts are of the same moment.
_STATED = (
    sa.select(
        subjects.c.code,
        subjects.c.seq,
        subjects.c.protocol_version,
        subjects.c.advanced_at,
        events.c.seq.label("line"),
        events.c.body,
    )
    .select_from(subjects.join(events, events.c.subject == subjects.c.code))
    .where(BY_PEOPLE)
    .order_by(subjects.c.code, events.c.seq)
)


def stated_of(store: Store, code: str) -> list[Stated]:
    """What people stated of one subject; empty when nobody of that code is enrolled."""
    return _read(store, _STATED.where(subjects.c.code == code))


def stated_lately(store: Store, since: datetime) -> list[Stated]:
    """What people stated of each subject who goes on or was decided about after `since`, in order of code."""
    return _read(store, _STATED.where(sa.or_(~subjects.c.exited, subjects.c.advanced_at > since)))


def _read(store: Store, query: sa.Select[Any]) -> list[Stated]:
    with store.reading(long=True) as connection:
        lines = connection.execute(query)
        return [_stated(list(of_one)) for _, of_one in groupby(lines, attrgetter("code"))]


def _stated(lines: Sequence[sa.Row[Any]]) -> Stated:
    first = lines[0]
    stored = [(line.line, line.body) for line in lines]
    return Stated(first.code, first.seq, first.protocol_version, first.advanced_at, stored)
