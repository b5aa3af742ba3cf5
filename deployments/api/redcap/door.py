"""POST /redcap: the address of REDCap's Data Entry Trigger, which calls it when a form is saved.

A trigger is not believed: it only names the form to fetch, from the REDCap that the settings name.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from deployments.api.http.auth import is_local, refuse, same_origin
from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.http.problems import Problem
from deployments.api.redcap.form import receive
from deployments.api.redcap.project import GivenProject, Project
from deployments.api.redcap.rows import SavedForm
from itp_events.errors import BadInput

_FIELDS = ("project_id", "record", "instrument", "redcap_event_name", "redcap_repeat_instance")
# REDCap's own limit of a record's name.
LONGEST = 100

router = APIRouter(include_in_schema=False)


@router.post("/redcap")
async def trigger(
    request: Request,
    api: Dependencies,
    project: GivenProject,
    key: Annotated[str, Query(max_length=500)] = "",
) -> JSONResponse:
    """Fetch the saved form, and record the event that it states."""
    if project is None:
        raise Problem(HTTPStatus.NOT_FOUND, "redcap", "no REDCap is configured; set ITP_REDCAP_URL")
    same_origin(request, api)
    await _permit(request, api, project, key)
    said = _trigger(await read_form(request))
    taken = await api.in_door(receive, api, project, said)
    return JSONResponse(taken.shown(said))


async def _permit(request: Request, api: ApiContext, project: Project, key: str) -> None:
    if project.key and hmac.compare_digest(key.encode(), project.key.encode()):
        return
    if project.key or not await run_in_threadpool(is_local, request, api):
        said = "the trigger's address must carry ?key= with the value of ITP_REDCAP_KEY"
        raise refuse(request, HTTPStatus.UNAUTHORIZED, "token", said)


def _trigger(form: dict[str, str]) -> SavedForm:
    missing = [name for name in ("project_id", "record", "instrument") if not form.get(name)]
    if missing:
        raise BadInput("this is no Data Entry Trigger of REDCap: a field is missing", missing[0])
    for name in _FIELDS:
        value = form.get(name, "")
        if len(value) > LONGEST or not value.isprintable():
            raise BadInput("this is no Data Entry Trigger of REDCap: no name there is like this", name)
    return SavedForm(
        form["project_id"],
        form["record"],
        form["instrument"],
        form.get("redcap_event_name", ""),
        form.get("redcap_repeat_instance", ""),
    )
