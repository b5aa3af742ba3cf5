"""The door inside Prefect: a form in its UI, and events posted to its events API.

Post an event named like the CloudEvent's type, with the CloudEvent as its payload:

    POST /api/events
    [{"occurred": "2026-01-05T01:30:00Z", "event": "itp.subject.enrolled", "id": "<uuid>",
      "resource": {"prefect.resource.id": "itp.subject.ITP-007"}, "payload": {"specversion": "1.0", ...}}]

The run repeats the event until it has an answer. While the event cannot be recorded, the run waits to be
executed again; the service takes up a run whose process died. The event's id and its other content are the
same at every execution, so it counts once.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any

from prefect import State, flow
from prefect.client.schemas.objects import StateType
from prefect.states import Completed

from flows.durable_wait import asked_for_at, wait_until
from flows.prefect_api.flow_runs import RECORD_EVENT
from flows.study.recording import show
from flows.study.roles import Speaker
from flows.study.runtime import Clock, current
from itp_events.errors import ItpError
from itp_events.events import Event, parse_event
from tasks.database.queries import recorded as recorded_as
from tasks.database.store import NO_ANSWER, first_line
from tasks.database.unreadable import Unreadable

_SAID = "Prefect cannot tell who asks: use the link in the message, or an investigator's token"
FORM = Speaker(said=_SAID, door="prefect-form")
POSTED = Speaker(said=_SAID, door="prefect-event")
# The service begins no run while the database does not answer, so a short wait costs nothing.
SOON = timedelta(seconds=3)
# After a fault of the program the wait is as long as the event has waited already, within these bounds.
FIRST, LONGEST = timedelta(seconds=5), timedelta(minutes=10)
GIVE_UP = timedelta(days=1)

log = logging.getLogger(__name__)


@flow(name=RECORD_EVENT, persist_result=False, retries=0)
async def record_event(event: dict[str, Any]) -> State:
    """Record one event of a subject: a CloudEvent as JSON."""
    return await let_in(event)


async def let_in(event: dict[str, Any], *, of_this_run: bool = False) -> State:
    """Record a CloudEvent given as JSON, and return the state in which its run shows the answer.

    With `of_this_run` no other run brings the event: when it is recorded already, this run has recorded it.

    Raises:
        Pause: the event could not be recorded now; the run is executed again.
    """
    try:
        return await asyncio.to_thread(recorded, event, of_this_run=of_this_run)
    except NO_ANSWER as problem:
        await wait_until(
            _world() + SOON, "Waiting for the database", f"not recorded yet: {first_line(problem)}"
        )
    except Exception as problem:
        if isinstance(problem, Unreadable):
            log.error("The event %s could not be recorded: %s", event.get("id"), problem)
        else:
            log.exception("The event %s of %s could not be recorded.", event.get("id"), event.get("subject"))
        waited = _world() - (asked_for_at() or _world())
        said = f"not recorded: {type(problem).__name__}: {first_line(problem)}"
        if waited > GIVE_UP:
            return State(type=StateType.FAILED, name="Not recorded", message=f"{said}; state it again")
        await wait_until(_world() + min(max(waited, FIRST), LONGEST), "Trying again", said)


def stated_at(clock: Clock) -> datetime:
    """The instant (UTC, the study's time) at which this run's form was filled in: the same at every
    execution.
    """
    asked = asked_for_at()
    return clock.now() if asked is None else min(clock.shows_at(asked), clock.now())


def recorded(event: dict[str, Any], *, of_this_run: bool = False) -> State:
    """Record a CloudEvent given as JSON, and return the state in which a run shows the answer."""
    study = current()
    try:
        stated = parse_event(event)
    except ItpError as error:
        study.refusals.unread(event.get("type"), error)
        return refused(error)
    [answer] = study.record([stated], study.clock.now(), sender=FORM if of_this_run else POSTED)
    if answer.advanced is not None:
        # The service begins to hand over within a second, so that no run waits for a provider.
        show(study, [answer.advanced])
    if of_this_run and answer.advanced is None and (known := recorded_as(study.store, stated.key)):
        return _accepted(stated, "recorded") if _says(known) == _says(stated) else refused(_OTHER)
    if answer.error is not None:
        return refused(answer.error)
    return _accepted(stated, answer.status)


_OTHER = ItpError("something else was recorded of this form when it was executed first: see itp show")


def _accepted(stated: Event, status: str) -> State:
    return Completed(name=status.capitalize(), message=f"{stated.type} of {stated.subject}")


def _says(event: Event) -> tuple[object, ...]:
    """The content of an event without its time: clocks may be set between two executions."""
    return event.type, event.subject, event.data


def _world() -> datetime:
    clock = current().clock
    return clock.wall(clock.now())


def refused(error: ItpError) -> State:
    """The state of a run whose event the study refuses.

    Its type is FAILED, so that nobody takes the event for recorded. Its name is Refused, so that nobody takes
    it for a failure of the software: the name of that is Failed.
    """
    return State(type=StateType.FAILED, name="Refused", message=str(error))
