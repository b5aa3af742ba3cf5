"""POST /events: records one CloudEvent or an array of them, each by itself.

How an event is read, judged and recorded is in deployments/api/recording.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from deployments.api.http.auth import Recorder
from deployments.api.http.body import read_json_text
from deployments.api.http.cloudevents import binary_attributes
from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.problems import Problem
from deployments.api.http.schemas import EVENTS_BODY, EVENTS_RESPONSES
from deployments.api.recording import take_in
from deployments.http.problem_details import answer
from deployments.strict_json import parse
from flows.study.roles import Sender
from itp_events.errors import BadEvent

MAX_EVENTS = 1000

router = APIRouter()


@router.post(
    "/events",
    tags=["events"],
    summary="Record one event, or several at once",
    openapi_extra={"requestBody": EVENTS_BODY},
    responses=EVENTS_RESPONSES,
    status_code=HTTPStatus.CREATED,
)
async def record_events(request: Request, api: Dependencies, caller: Recorder) -> JSONResponse:
    """Each event is checked against the study's rules and answered by itself.

    `source` and `id` identify an event: posting the same event again changes nothing and answers 200. An
    array is answered by an array in the same order, with the status that all its events share, else 207. When
    an array voids an event and states it anew, both are recorded or neither. An event may also come in the
    binary mode of CloudEvents: its data as the body, its attributes in headers `ce-...`.
    """
    body, attributes = await read_json_text(request), binary_attributes(request)
    sender = caller.sender(api, "api")
    return await api.in_door(partial(answer_to, attributes=attributes), api, body, sender)


def answer_to(
    api: ApiContext,
    body: bytes,
    sender: Sender,
    attributes: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Record one event or an array of them, given as JSON; the response with their results.

    With `attributes` the body is the data of one event
    that has these.

    Raises:
        BadEvent: the body cannot be read as JSON, or is an empty array.
        Problem: 413 for more than 1000 events.
    """
    stated = parse(body)
    if attributes is not None:
        stated = {**attributes, "data": stated}
    if not isinstance(stated, list):
        return _one(take_in(api, [stated], sender)[0])
    return _several(take_in(api, _bounded(stated), sender))


def _bounded(stated: list[Any]) -> list[Any]:
    if not stated:
        raise BadEvent("an array of events must hold at least one")
    if len(stated) > MAX_EVENTS:
        said = f"at most {MAX_EVENTS} events at a time, not {len(stated)}"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many", said)
    return stated


def _one(result: dict[str, Any]) -> JSONResponse:
    return answer(result) if "type" in result else JSONResponse(result, result["status"])


def _several(results: list[dict[str, Any]]) -> JSONResponse:
    statuses = {result["status"] for result in results}
    return JSONResponse(results, statuses.pop() if len(statuses) == 1 else HTTPStatus.MULTI_STATUS)
