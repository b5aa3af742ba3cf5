"""POST /redcap: what REDCap's Data Entry Trigger calls when somebody saves a form.

The trigger itself states nothing that is believed: it only says which form to fetch, from the REDCap that the
settings name. The form's event has an id made of the form's name and a count, so that the same content counts
once, and a form that was changed voids what it stated before and states it anew.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from deployments.api.auth import is_local, refuse, same_origin
from deployments.api.events import take_in
from deployments.api.pages import read_form
from deployments.api.parts import Given, Parts
from deployments.api.problems import Problem
from deployments.api.redcap.client import RedcapSilent, Trigger
from deployments.api.redcap.mapping import Mapping, read_data, unmapped
from deployments.api.redcap.project import Project
from itp_events.errors import BadInput
from itp_events.events import Event, parse_event
from itp_events.subject import standing
from tasks.leftovers import keep
from tasks.queries import history

DOOR = "redcap"
COMPLETE = "2"

router = APIRouter(include_in_schema=False)


@router.post("/redcap")
async def trigger(
    request: Request, parts: Given, key: Annotated[str, Query(max_length=500)] = ""
) -> JSONResponse:
    """Fetch the form that was saved, and record what it states."""
    project = parts.redcap
    if project is None:
        raise Problem(HTTPStatus.NOT_FOUND, "redcap", "no REDCap is configured; set ITP_REDCAP_URL")
    same_origin(request, parts)
    _permit(request, parts, project, key)
    said = _trigger(await read_form(request))
    return JSONResponse(await run_in_threadpool(take_form, parts, project, said))


def _permit(request: Request, parts: Parts, project: Project, key: str) -> None:
    if project.key and hmac.compare_digest(key.encode(), project.key.encode()):
        return
    if project.key or not is_local(request, parts):
        said = "the trigger's address must carry ?key= with the value of ITP_REDCAP_KEY"
        raise refuse(request, HTTPStatus.UNAUTHORIZED, "token", said)


def _trigger(form: dict[str, str]) -> Trigger:
    missing = [name for name in ("project_id", "record", "instrument") if not form.get(name)]
    if missing:
        raise BadInput("this is no Data Entry Trigger of REDCap: a field is missing", missing[0])
    return Trigger(
        form["project_id"],
        form["record"],
        form["instrument"],
        form.get("redcap_event_name", ""),
        form.get("redcap_repeat_instance", ""),
    )


def take_form(parts: Parts, project: Project, said: Trigger) -> dict[str, Any]:
    """Fetch a form and record what it states; what cannot be mapped or recorded is kept and shown."""
    try:
        record = project.redcap.export(said, project.mapping.record_id, project.mapping.subject)
    except RedcapSilent as error:
        return _answer(parts, said, [], [(str(error), vars(said))])
    if said.instrument not in project.mapping.instruments:
        return _answer(parts, said, [], [("the mapping does not know this instrument", record)])
    if not _is_complete(project.mapping, said, record):
        return _answer(parts, said, [], [])
    left = [
        (f"{field}: no place in the mapping", {field: value})
        for field, value in unmapped(project.mapping, said.instrument, record).items()
    ]
    try:
        results = _record(parts, project.mapping, said, record)
    except BadInput as error:
        return _answer(parts, said, [], [*left, (str(error), record)])
    left += [(result["detail"], record) for result in results if "detail" in result]
    return _answer(parts, said, results, left)


def _is_complete(mapping: Mapping, said: Trigger, record: dict[str, str]) -> bool:
    wanted = mapping.instruments[said.instrument].when_complete
    return not wanted or str(record.get(f"{said.instrument}_complete", COMPLETE)) == COMPLETE


def _answer(
    parts: Parts, said: Trigger, results: list[dict[str, Any]], left: list[tuple[str, Any]]
) -> dict[str, Any]:
    keep(parts.study.store, DOOR, str(said), left, parts.study.clock.now())
    return {"form": str(said), "results": results, "left": [problem for problem, _ in left]}


def _record(parts: Parts, mapping: Mapping, said: Trigger, record: dict[str, str]) -> list[dict[str, Any]]:
    instrument = mapping.instruments[said.instrument]
    subject = str(record.get(mapping.subject) or "").strip()
    facts = [event for event in history(parts.study.store, subject) if not event.own] if subject else []
    mine = [event for event in facts if event.source == mapping.source and event.id.startswith(f"{said}#")]
    stated = {
        "specversion": "1.0",
        "id": f"{said}#{len(mine) + 1}",
        "source": mapping.source,
        "type": instrument.event,
        "subject": subject,
        "time": parts.study.clock.now().isoformat(),
        "data": read_data(instrument, record, said.event),
    }
    event = parse_event(stated)
    before = [each for each in standing(facts) if each in mine]
    if before and before[-1].data == event.data:
        return take_in(parts, [before[-1].to_json()], "recorder")
    return take_in(parts, [*(_void(each, stated) for each in before), stated], "recorder")


def _void(event: Event, stated: dict[str, Any]) -> dict[str, Any]:
    data = {"by": stated["data"]["by"], "event": {"source": event.source, "id": event.id}}
    reason = {"reason": "the form was changed in REDCap"}
    return stated | {"id": f"{event.id}~void", "type": "itp.event.voided", "data": data | reason}
