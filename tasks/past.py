"""What a decision about a subject is taken from, read at once: a statement costs more than what it reads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from itp_events.events import Event, EventKey
from tasks import log
from tasks.schema import events, notices


@dataclass(frozen=True, slots=True)
class Past:
    """A subject's whole log in sequence order, and the keys of its notices whose hand-over has begun.

    `elsewhere`: those of the events asked about that stand in the log of another subject.
    """

    history: list[Event]
    handed: frozenset[str]
    elsewhere: frozenset[EventKey]


_NONE = sa.null()
_CODE = sa.bindparam("code", type_=sa.Text)
_LOG = sa.select(events.c.seq, events.c.body, _NONE.label("source"), _NONE.label("id")).where(
    events.c.subject == _CODE
)
_HANDED = sa.select(_NONE, _NONE, _NONE, notices.c.key).where(
    notices.c.subject == _CODE, notices.c.handed_at.is_not(None)
)
# The sources and the ids apart, so that both databases use their index: what it finds besides is left out.
_ELSEWHERE = sa.select(_NONE, _NONE, events.c.source, events.c.id).where(
    events.c.source.in_(sa.bindparam("sources", expanding=True)),
    events.c.id.in_(sa.bindparam("ids", expanding=True)),
    events.c.subject != _CODE,
)
_PAST = sa.union_all(_LOG, _HANDED).order_by("seq")
_PAST_AND_ELSEWHERE = sa.union_all(_LOG, _HANDED, _ELSEWHERE).order_by("seq")


def read(connection: sa.Connection, code: str, stated: Collection[EventKey] = ()) -> Past:
    """What is known about a subject, enrolled or not, and about events that are `stated` of it."""
    asked = {"code": code}
    if stated:
        sources, ids = ({key[part] for key in stated} for part in (0, 1))
        found = connection.execute(
            _PAST_AND_ELSEWHERE, asked | {"sources": list(sources), "ids": list(ids)}
        ).all()
    else:
        found = connection.execute(_PAST, asked).all()
    return Past(
        history=[log.read(row.body) for row in found if row.body is not None],
        handed=frozenset(row.id for row in found if row.body is None and row.source is None),
        elsewhere=frozenset(
            (row.source, row.id) for row in found if row.source is not None and (row.source, row.id) in stated
        ),
    )
