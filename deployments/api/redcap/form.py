"""Fetches a saved form from REDCap, maps it to an event, and records the event.

The event's id is the form's name and a count. A form that was saved again unchanged changes nothing. A form
that was changed voids its earlier event, also of another subject when the code was wrong, and states a new
one. A form that cannot be mapped or recorded is kept as a dead letter.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from itertools import count
from typing import Any

from deployments.api.http.dependencies import ApiContext
from deployments.api.recording import take_in
from deployments.api.redcap.client import RedcapSilent, Trigger
from deployments.api.redcap.mapping import Mapping, read_data, subject_code, unmapped
from deployments.api.redcap.project import Project
from itp_events.errors import BadInput
from itp_events.events import Event, parse_event
from itp_events.rules.subject import not_voided
from tasks.database.dead_letters import keep
from tasks.database.queries import history, recorded
from tasks.database.store import NO_ANSWER

DOOR = "redcap"
_ID_REUSED = "urn:itp:problem:id-reused"
# REDCap calls only once: a trigger is kept under this name until its form has been fetched.
WAITING = "redcap-waiting"
COMPLETE = "2"
# More unmapped fields than this are one dead letter, not one each.
MOST_FIELDS = 50
# An event's id must hold the form's name, a count and a suffix.
LONGEST_NAME = 120

# How often a form is looked at when other processes record it at the same time.
LOOKS = 5

log = logging.getLogger(__name__)


def receive(api: ApiContext, project: Project, said: Trigger) -> dict[str, Any]:
    """Keep a trigger, then take its form; when all fetchers are busy, leave it to another thread.

    Returns the form's name, the results of its events, and the problems that are kept.
    """
    keep(api.study.store, WAITING, str(said), [("waits to be fetched", vars(said))], api.study.clock.now())
    if not project.fetchers.acquire(blocking=False):
        project.waiting.set()
        return {"form": str(said), "results": [], "left": ["waits to be fetched: REDCap is slow at present"]}
    try:
        return take_form(api, project, said)
    finally:
        project.fetchers.release()


def take_form(api: ApiContext, project: Project, said: Trigger) -> dict[str, Any]:
    """Fetch a form and record its event; keep as a dead letter what cannot be mapped or recorded."""
    with project.turns.of(said):
        try:
            results, left = _taken(api, project, said)
        except NO_ANSWER:
            # Nothing can be kept now; a trigger that came through the door is kept already.
            raise
        except Exception:
            log.exception("The form %s could not be taken; it is kept and tried again.", said)
            results, left = [], [("the service failed at this form; its log says more", vars(said))]
        now = api.study.clock.now()
        keep(api.study.store, DOOR, str(said), left, now)
        keep(api.study.store, WAITING, str(said), [], now)
    return {"form": str(said), "results": results, "left": [problem for problem, _ in left]}


_Taken = tuple[list[dict[str, Any]], list[tuple[str, Any]]]


def _taken(api: ApiContext, project: Project, said: Trigger) -> _Taken:
    """Look at the form until no other process records it meanwhile: the newest look counts.

    The number of the form's next event is chosen before the form is fetched. Of two processes that choose the
    same number the database lets one record it; the other looks at the form again.
    """
    for _ in range(LOOKS):
        results, left = _taken_once(api, project, said)
        if not any(result.get("type") == _ID_REUSED for result in results):
            break
        log.info("The form %s was recorded by another process meanwhile; it is fetched again.", said)
    return results, left


def _taken_once(api: ApiContext, project: Project, said: Trigger) -> _Taken:
    mapping = project.mapping
    stated_before = _stated_before(api, mapping.source, said)
    try:
        record = project.redcap.export(said, mapping)
    except RedcapSilent as error:
        return [], [(str(error), vars(said))]
    if said.instrument not in mapping.instruments:
        return [], [("the mapping does not know this instrument", record)]
    if not _is_complete(mapping, said, record):
        return [], []
    left = _without_place(unmapped(mapping, said.instrument, record))
    try:
        results = _record(api, mapping, said, record, stated_before)
    except BadInput as error:
        return [], [*left, (str(error), record)]
    return results, left + [(result["detail"], record) for result in results if "detail" in result]


def _without_place(fields: dict[str, str]) -> list[tuple[str, Any]]:
    if len(fields) > MOST_FIELDS:
        return [(f"{len(fields)} fields: no place in the mapping", fields)]
    return [(f"{field}: no place in the mapping", {field: value}) for field, value in fields.items()]


def _is_complete(mapping: Mapping, said: Trigger, record: dict[str, str]) -> bool:
    wanted = mapping.instruments[said.instrument].when_complete
    return not wanted or str(record.get(f"{said.instrument}_complete", COMPLETE)) == COMPLETE


def _record(
    api: ApiContext,
    mapping: Mapping,
    said: Trigger,
    record: dict[str, str],
    stated_before: Sequence[Event],
) -> list[dict[str, Any]]:
    instrument = mapping.instruments[said.instrument]
    stated = {
        "specversion": "1.0",
        "id": f"{_name(said)}#{len(stated_before) + 1}",
        "source": mapping.source,
        "type": instrument.event,
        "subject": subject_code(mapping, record),
        "time": api.study.clock.now().isoformat(),
        "data": read_data(mapping, said.instrument, record, said.event),
    }
    event = parse_event(stated)
    valid = _valid(api, stated_before)
    if valid and (valid[-1].subject, valid[-1].data) == (event.subject, event.data):
        return take_in(api, [valid[-1].to_json()], "recorder")
    return take_in(api, [*(_void(each, stated) for each in valid), stated], "recorder")


def _name(said: Trigger) -> str:
    """The form's name in the ids of its events; a long one is cut and ends in a hash."""
    name = str(said)
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _stated_before(api: ApiContext, source: str, said: Trigger) -> list[Event]:
    """The events that the form stated so far, of any subject, in order."""
    events: list[Event] = []
    for number in count(1):
        event = recorded(api.study.store, (source, f"{_name(said)}#{number}"))
        if event is None:
            break
        events.append(event)
    return events


def _valid(api: ApiContext, events: Sequence[Event]) -> list[Event]:
    """The events that are not voided."""
    logs = {event.subject: history(api.study.store, event.subject) for event in events}
    valid = {event.key for stated in logs.values() for event in not_voided(stated)}
    return [event for event in events if event.key in valid]


def _void(event: Event, stated: dict[str, Any]) -> dict[str, Any]:
    data = {"by": stated["data"]["by"], "event": {"source": event.source, "id": event.id}}
    reason = {"reason": "the form was changed in REDCap"}
    named = {"id": f"{event.id}~void", "type": "itp.event.voided", "subject": event.subject}
    return stated | named | {"data": data | reason}
