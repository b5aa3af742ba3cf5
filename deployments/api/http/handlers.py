"""Answers every error of the application: problem details, and for a person's browser a page.

An unexpected error is the gate's: see gate.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from deployments.api.http.dependencies import ApiContext
from deployments.api.http.problems import of_error
from deployments.api.http.refused import note_refusal
from deployments.http.problem_details import answer, document
from itp_events.errors import BadInput, ItpError
from tasks.database.store import NO_ANSWER, first_line

ErrorPage = Callable[[Request, ApiContext, HTTPStatus], Response]

_WAYS = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address; /openapi.json describes what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address is not asked in this way; see /openapi.json",
}

log = logging.getLogger(__name__)


def answer_errors(app: FastAPI, page: ErrorPage) -> None:
    """Let every error of the app be answered; `page` makes the page where nothing answers."""

    @app.exception_handler(ItpError)
    async def _itp(request: Request, error: ItpError) -> JSONResponse:
        await note_refusal(request, error, "api")
        return answer(of_error(error), getattr(error, "headers", None))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        if status in _WAYS and _is_a_browser(request):
            api: ApiContext = app.state.api
            return await api.in_door(page, request, api, status)
        headers = dict(error.headers) if error.headers else None
        said = _WAYS.get(status, str(error.detail))
        return answer(document(status, status.name.lower().replace("_", "-"), said), headers)

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["loc"][0] == "path":
            return answer(document(HTTPStatus.NOT_FOUND, "subject", "no subject can have this code"))
        field = ".".join(str(part) for part in first["loc"])
        return answer(of_error(BadInput(first["msg"], field)))

    async def _no_database(request: Request, error: Exception) -> JSONResponse:
        log.error(
            "%s %s: the database does not answer: %s", request.method, request.url.path, first_line(error)
        )
        said = "the study's database does not answer; nothing of this request is lost if it is sent again"
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return answer(document(status, "unavailable", said), {"Retry-After": "10"})

    for silence in NO_ANSWER:
        app.add_exception_handler(silence, _no_database)


def _is_a_browser(request: Request) -> bool:
    """Whether a person reads the answer: of all programs only browsers ask for HTML first."""
    return request.headers.get("accept", "").startswith("text/html")
