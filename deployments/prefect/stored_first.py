"""Lets Prefect's server answer for the study's events only when they are stored.

By itself it answers first, and keeps an event in memory for up to five seconds: one that is killed meanwhile
forgets what it has answered for. `deployments.service.posted_events` brings each stored event to a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError

from itp_events.events import FACT_TYPES

if TYPE_CHECKING:
    from prefect.server.events.schemas.events import ReceivedEvent
    from sqlalchemy.ext.asyncio import AsyncSession

# An event's type and payload.
_Said = tuple[str, dict[str, Any]]

_OTHER = "another event was posted with the id {}: post this one with an id of its own"
_TOO_LONG = "the event {} is too long for a run: {}"


def store_first(door: Any, persister: Any) -> None:
    """Store the study's events before they are published within Prefect, which has no setting for it.

    `door` and `persister` are Prefect's modules `prefect.server.api.events` and
    `prefect.server.events.services.event_persister`. An event that was posted with the id of another one is
    refused (409), and one that is too long for a run (413); Prefect would drop either in silence.
    """
    within = door.messaging

    async def publish(events: Sequence[ReceivedEvent]) -> None:
        ours = [event for event in events if event.event in FACT_TYPES]
        for event in ours:
            # Prefect throws away by this instant. A visit may be stated weeks later; the payload says when.
            event.occurred = event.received
        await _store(ours)
        await within.publish(events)

    door.messaging = SimpleNamespace(publish=publish, create_event_publisher=within.create_event_publisher)
    persister.write_events = _write_new


async def _store(events: Sequence[ReceivedEvent]) -> None:
    from fastapi import HTTPException
    from prefect.server.database import provide_database_interface
    from prefect.server.events.storage.database import write_events

    if not events:
        return
    _refuse_too_long(events)
    database = provide_database_interface()
    async with database.session_context(begin_transaction=True, with_for_update=True) as session:
        stored = await _stored(session, events)
        for event in events:
            if stored.get(event.id, _said(event)) != _said(event):
                raise HTTPException(409, _OTHER.format(event.id))
        await write_events(session, [event for event in events if event.id not in stored])


def _refuse_too_long(events: Sequence[ReceivedEvent]) -> None:
    from fastapi import HTTPException
    from prefect.server.schemas.actions import DeploymentFlowRunCreate

    for event in events:
        try:
            DeploymentFlowRunCreate(parameters={"event": event.payload})
        except ValidationError as problem:
            raise HTTPException(413, _TOO_LONG.format(event.id, problem.errors()[0]["msg"])) from None


async def _write_new(session: AsyncSession, events: Sequence[ReceivedEvent]) -> None:
    """Write events, those left out that are stored already.

    On SQLite Prefect's own function fails when none of its events is new: its service would try again, and
    then say that it drops them.
    """
    from prefect.server.events.storage.database import write_events

    stored = await _stored(session, events)
    await write_events(session, [event for event in events if event.id not in stored])


async def _stored(session: AsyncSession, events: Sequence[ReceivedEvent]) -> Mapping[UUID, _Said]:
    """Type and payload of the stored events with the ids of the study's events among these."""
    from prefect.server.database import provide_database_interface

    table = provide_database_interface().Event
    asked = [event.id for event in events if event.event in FACT_TYPES]
    if not asked:
        return {}
    query = sa.select(table.id, table.event, table.payload).where(table.id.in_(asked))
    return {row[0]: (row[1], row[2]) for row in await session.execute(query)}


def _said(event: ReceivedEvent) -> _Said:
    return event.event, event.payload
