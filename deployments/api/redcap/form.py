"""What a form that was saved in REDCap states: fetched, mapped and recorded; what is left of it is kept.

The form's event has an id made of the form's name and a count, so that the same content counts once. A form
that was changed voids what it stated before (of another subject, when the code was wrong) and states it anew.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import count
from typing import Any

from deployments.api.events import take_in
from deployments.api.parts import Parts
from deployments.api.redcap.client import RedcapSilent, Trigger
from deployments.api.redcap.mapping import Mapping, read_data, unmapped
from deployments.api.redcap.project import Project
from itp_events.errors import BadInput
from itp_events.events import Event, parse_event
from itp_events.subject import standing
from tasks.leftovers import keep
from tasks.queries import history, recorded

DOOR = "redcap"
COMPLETE = "2"

# A form that is saved twice in a moment is fetched and recorded once after the other, so that the newer look
# at it counts. Forms that share a lock only wait for each other.
_TURNS = tuple(threading.Lock() for _ in range(32))


def take_form(parts: Parts, project: Project, said: Trigger) -> dict[str, Any]:
    """Fetch a form and record what it states; what cannot be mapped or recorded is kept and shown."""
    with _TURNS[hash(said) % len(_TURNS)]:
        results, left = _taken(parts, project, said)
        keep(parts.study.store, DOOR, str(said), left, parts.study.clock.now())
    return {"form": str(said), "results": results, "left": [problem for problem, _ in left]}


_Taken = tuple[list[dict[str, Any]], list[tuple[str, Any]]]


def _taken(parts: Parts, project: Project, said: Trigger) -> _Taken:
    mapping = project.mapping
    try:
        record = project.redcap.export(said, mapping.record_id, mapping.subject)
    except RedcapSilent as error:
        return [], [(str(error), vars(said))]
    if said.instrument not in mapping.instruments:
        return [], [("the mapping does not know this instrument", record)]
    if not _is_complete(mapping, said, record):
        return [], []
    left = [
        (f"{field}: no place in the mapping", {field: value})
        for field, value in unmapped(mapping, said.instrument, record).items()
    ]
    try:
        results = _record(parts, mapping, said, record)
    except BadInput as error:
        return [], [*left, (str(error), record)]
    return results, left + [(result["detail"], record) for result in results if "detail" in result]


def _is_complete(mapping: Mapping, said: Trigger, record: dict[str, str]) -> bool:
    wanted = mapping.instruments[said.instrument].when_complete
    return not wanted or str(record.get(f"{said.instrument}_complete", COMPLETE)) == COMPLETE


def _record(parts: Parts, mapping: Mapping, said: Trigger, record: dict[str, str]) -> list[dict[str, Any]]:
    instrument = mapping.instruments[said.instrument]
    mine = _stated_before(parts, mapping.source, said)
    stated = {
        "specversion": "1.0",
        "id": f"{said}#{len(mine) + 1}",
        "source": mapping.source,
        "type": instrument.event,
        "subject": str(record.get(mapping.subject) or "").strip(),
        "time": parts.study.clock.now().isoformat(),
        "data": read_data(instrument, record, said.event),
    }
    event = parse_event(stated)
    before = _standing(parts, mine)
    if before and (before[-1].subject, before[-1].data) == (event.subject, event.data):
        return take_in(parts, [before[-1].to_json()], "recorder")
    return take_in(parts, [*(_void(each, stated) for each in before), stated], "recorder")


def _stated_before(parts: Parts, source: str, said: Trigger) -> list[Event]:
    """What the form stated so far, of whichever subject, in order."""
    found: list[Event] = []
    for number in count(1):
        event = recorded(parts.study.store, (source, f"{said}#{number}"))
        if event is None:
            break
        found.append(event)
    return found


def _standing(parts: Parts, mine: Sequence[Event]) -> list[Event]:
    logs = {event.subject: history(parts.study.store, event.subject) for event in mine}
    valid = {event.key for facts in logs.values() for event in standing(facts)}
    return [event for event in mine if event.key in valid]


def _void(event: Event, stated: dict[str, Any]) -> dict[str, Any]:
    data = {"by": stated["data"]["by"], "event": {"source": event.source, "id": event.id}}
    reason = {"reason": "the form was changed in REDCap"}
    named = {"id": f"{event.id}~void", "type": "itp.event.voided", "subject": event.subject}
    return stated | named | {"data": data | reason}
