"""Reads the events that people stated, without the service's own decisions: those are most of every log.

Windows, flags and outcomes follow from these events alone (`itp_events.rules.state`). The service's own
events bear only on its next decision, for which `tasks.database.history` reads them all.
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

# Two spans instead of an inequality: SQLite uses the index of sources and ids for these, and so may
# PostgreSQL where it expects few. The rows are the same, since a source is never null.
BY_PEOPLE = sa.or_(events.c.source < OWN_SOURCE, events.c.source > OWN_SOURCE)


@dataclass(frozen=True)
class Stated:
    """The events that people stated of a subject, and the subject's row at the same moment."""

    code: str
    site: str
    seq: int
    protocol_version: str
    advanced_at: datetime
    lines: Sequence[tuple[int, str]]

    @cached_property
    def facts(self) -> list[Event]:
        """The events in sequence order; raises Unreadable, so that readers of many subjects can pass over
        this one.
        """
        return [event_log.read_line(self.code, seq, body) for seq, body in self.lines]

    def folded(self, protocol: Protocol) -> Subject:
        """The subject that these events give, without the decision log; raises Unreadable."""
        # The protocol version of an enrolment is the service's own event; the subject's row repeats it.
        with naming(self.code):
            return fold(protocol.of_version(self.protocol_version), self.facts)


# In one statement, so that the rows and the facts are of the same moment.
_STATED = (
    sa.select(
        subjects.c.code,
        subjects.c.site,
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
    """The events that people stated of one subject; empty when nobody of that code is enrolled."""
    return _read(store, _STATED.where(subjects.c.code == code))


def stated_lately(store: Store, since: datetime) -> list[Stated]:
    """The stated events of each subject who goes on or was decided about after `since`, in order of code."""
    return _read(store, _STATED.where(sa.or_(~subjects.c.exited, subjects.c.advanced_at > since)))


def _read(store: Store, query: sa.Select[Any]) -> list[Stated]:
    with store.reading(long=True) as connection:
        lines = connection.execute(query)
        return [_stated(list(of_one)) for _, of_one in groupby(lines, attrgetter("code"))]


def _stated(lines: Sequence[sa.Row[Any]]) -> Stated:
    first = lines[0]
    stored = [(line.line, line.body) for line in lines]
    return Stated(first.code, first.site, first.seq, first.protocol_version, first.advanced_at, stored)
