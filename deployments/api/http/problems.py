"""The API's error answers: problem details for HTTP APIs, RFC 9457.

`type` names the broken rule and never changes; `detail` is the same sentence that every other door gives.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from deployments.http.problem_details import answer, document
from itp_events.errors import BadInput, Forbidden, ItpError, NotEligible, Refused, RuleName
from tasks.database.custody import Moved
from tasks.database.store import NO_ANSWER, first_line
from tasks.database.unreadable import Unreadable

_WAYS = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address; /openapi.json describes what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address is not asked in this way; see /openapi.json",
}

log = logging.getLogger(__name__)


class Problem(ItpError):
    """A request that is answered with a status of its own; `rule` is the rule's short name."""

    def __init__(
        self, status: HTTPStatus, rule: RuleName, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        self.status = status
        self.rule: RuleName = rule
        self.headers = headers
        super().__init__(detail)


def of_error(error: ItpError) -> dict[str, Any]:
    """The problem details of a refusal (409; 403 to this sender), of malformed input (422), or a Problem."""
    if isinstance(error, Problem):
        return document(error.status, error.rule, str(error))
    if isinstance(error, NotEligible):
        return document(HTTPStatus.CONFLICT, error.rule, str(error), unmet=list(error.unmet))
    if isinstance(error, Refused):
        status = HTTPStatus.FORBIDDEN if isinstance(error, Forbidden) else HTTPStatus.CONFLICT
        return document(status, error.rule, str(error))
    if isinstance(error, Unreadable):
        said = f"{error}; nothing of this request is lost if it is sent again once that is mended"
        return document(HTTPStatus.SERVICE_UNAVAILABLE, error.rule, said)
    if isinstance(error, Moved):
        return document(HTTPStatus.SERVICE_UNAVAILABLE, "failed", str(error))
    if isinstance(error, BadInput):
        field = {"field": error.field} if error.field else {}
        return document(HTTPStatus.UNPROCESSABLE_ENTITY, "malformed", str(error), **field)
    return document(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", str(error))


def handle_problems(app: FastAPI) -> None:
    """Let every error of the app be answered with problem details."""

    @app.exception_handler(ItpError)
    async def _itp(_: Request, error: ItpError) -> JSONResponse:
        return answer(of_error(error), getattr(error, "headers", None))

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
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
