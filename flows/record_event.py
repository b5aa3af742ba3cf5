"""The door inside Prefect: a form in its UI, and events posted to its events API.

Post an event named like the CloudEvent's type, with the CloudEvent as its payload:

    POST /api/events
    [{"occurred": "2026-01-05T01:30:00Z", "event": "itp.subject.enrolled", "id": "<uuid>",
      "resource": {"prefect.resource.id": "itp.subject.ITP-007"}, "payload": {"specversion": "1.0", ...}}]
"""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import State, flow
from prefect.client.schemas.objects import StateType
from prefect.states import Completed

from flows.authority import Speaker
from flows.door import record_and_show
from flows.flow_runs import RECORD_EVENT
from flows.runtime import current
from itp_events.errors import ItpError
from itp_events.events import parse_event

IN_PREFECT = Speaker(
    said="Prefect cannot tell who asks: use the link in the message, or an investigator's token"
)


@flow(name=RECORD_EVENT, persist_result=False, retries=0)
async def record_event(event: dict[str, Any]) -> State:
    """Record one event of a subject: a CloudEvent as JSON."""
    return await asyncio.to_thread(recorded, event)


def recorded(event: dict[str, Any]) -> State:
    """Record a CloudEvent given as JSON; the state that a run shows of the answer."""
    study = current()
    try:
        stated = parse_event(event)
    except ItpError as error:
        study.refusals.unread(event.get("type"), error)
        return refused(error)
    answer = record_and_show(study, [stated], study.clock.now(), IN_PREFECT)[0]
    if answer.error is not None:
        return refused(answer.error)
    return Completed(name=answer.status.capitalize(), message=f"{stated.type} of {stated.subject}")


def refused(error: ItpError) -> State:
    """The run's state when the door did its work and says no.

    Of type FAILED, so that nobody who filled in the form takes the event for recorded; named Refused, so that
    nobody takes it for a failure of the software, which is named Failed.
    """
    return State(type=StateType.FAILED, name="Refused", message=str(error))
