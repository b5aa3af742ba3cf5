"""The outbox: decisions put notices into it, and take them out of it.

They are sent by `tasks.delivery`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from itp_events.events import (
    Event,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeWithdrawn,
)
from tasks.database import register
from tasks.database.compiled import Question, inserting
from tasks.database.schema import deliveries, new, notices, unindexed

Text = tuple[str, str]
"""The title and the body of a notice."""

OF_THE_SERVICE = notices.c.subject.is_(None)
"""The condition on the service's own notices, which are about no subject: an index finds them among all."""

_NO_TEXTS: Mapping[str, Text] = {}


def queueing(rows: Sequence[Mapping[str, object]]) -> list[Question]:
    """The statements that queue notices, as `new_rows` gives them.

    They raise sqlalchemy.exc.IntegrityError when a notice's key has been queued before.
    """
    return inserting(notices, rows)


def new_rows(
    decided: Iterable[Event], now: datetime, begun: Mapping[str, Text] = _NO_TEXTS
) -> list[Mapping[str, object]]:
    """The notices that decisions issue, as they are stored.

    `begun` are the texts, by key, of those whose hand-over begins in the same transaction.
    """
    return [
        new(notices, row(event.subject, event.data, now) | _said(begun.get(event.data.notice), now))
        for event in decided
        if isinstance(event.data, NoticeIssued)
    ]


def change(connection: sa.Connection, decided: Iterable[Event], now: datetime) -> None:
    """Reopen, withdraw and close the notices of which decisions say so."""
    for event in decided:
        match event.data:
            case NoticeReopened():
                _reopen(connection, event.data.notice)
            case NoticeWithdrawn() | NoticeClosed():
                withdraw(connection, event.data.notice, event.data.reason, now)
            case _:
                pass  # the other decisions send nothing


def _said(text: Text | None, now: datetime) -> dict[str, Any]:
    title, body = text or (None, None)
    return {"title": title, "body": body, "handed_at": now if text else None}


def row(subject: str, issued: NoticeIssued, now: datetime) -> dict[str, Any]:
    """A notice as it is queued at `now`."""
    return {
        "key": issued.notice,
        "subject": subject,
        "kind": issued.kind,
        "visit": issued.visit,
        "step": issued.step,
        "audience": issued.audience,
        "due": issued.due,
        "until": issued.until,
        "facts": issued.facts,
        "queued_at": now,
        "status": "queued",
    }


def _reopen(connection: sa.Connection, key: str) -> None:
    connection.execute(
        notices.update()
        .where(notices.c.key == key, notices.c.status == "withdrawn")
        .values(status="queued", reason=None, settled_at=None)
    )
    tried = sa.select(deliveries.c.id).where(deliveries.c.notice == key)
    register.open_again(connection, deliveries.name, [str(each) for each in connection.scalars(tried)])
    register.open_again(connection, notices.name, [key])


def withdraw(connection: sa.Connection, key: str, reason: str, now: datetime) -> None:
    """Withdraw a queued notice; one that has been delivered stays so, since it cannot be recalled."""
    connection.execute(
        notices.update()
        .where(notices.c.key == key, unindexed(notices.c.status) == "queued")
        .values(status="withdrawn", reason=reason, settled_at=now)
    )


def waiting_after(before: frozenset[str], decided: Iterable[Event]) -> frozenset[str]:
    """The keys of a subject's notices that wait for their hand-over once `decided` is recorded."""
    waiting = set(before)
    for event in decided:
        match event.data:
            case NoticeIssued() | NoticeReopened():
                waiting.add(event.data.notice)
            case NoticeWithdrawn() | NoticeClosed():
                waiting.discard(event.data.notice)
            case _:
                pass  # the other decisions send nothing
    return frozenset(waiting)


def handed(connection: sa.Connection, code: str) -> frozenset[str]:
    """The keys of the subject's notices whose hand-over has begun at least once."""
    query = sa.select(notices.c.key).where(notices.c.subject == code, notices.c.handed_at.is_not(None))
    return frozenset(connection.scalars(query))
