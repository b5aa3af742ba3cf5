"""POST /events: records one CloudEvent or an array of them, each by itself.

How an event is read, judged and recorded is in deployments/api/recording.py. Of all routes this one is asked
most: it is a route of Starlette's alone, so that FastAPI's layers take no time of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Route
from starlette.types import Scope

from deployments.api.http.auth import asks, needs
from deployments.api.http.body import read_json_text
from deployments.api.http.cloudevents import binary_attributes
from deployments.api.http.dependencies import ApiContext
from deployments.api.http.problems import Problem
from deployments.api.recording import take_in
from deployments.http.problem_details import answer
from deployments.strict_json import parse
from flows.study.roles import Sender
from itp_events.errors import BadEvent

MAX_EVENTS = 1000

_permitted = needs("state")


async def record_events(request: Request) -> JSONResponse:
    """Record the event or events of a request's body; `deployments.api.http.schemas` describes it.

    Raises:
        Problem: the request is refused as a whole.
        BadEvent: the body cannot be read as JSON, or is an empty array.
    """
    api: ApiContext = request.app.state.api
    caller = await _permitted(request, await asks(request, api))
    body, attributes = await read_json_text(request), binary_attributes(request)
    sender = caller.sender(api, "api")
    return await api.in_door(partial(answer_to, attributes=attributes), api, body, sender)


class _Named(Route):
    """A route that the request knows, as it knows one of FastAPI's: traces and refusals are noted by it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it is the route of a request, and what the request knows then."""
        match, known = super().matches(scope)
        return match, {**known, "route": self}


ROUTE = _Named("/events", record_events, methods=["POST"])


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
