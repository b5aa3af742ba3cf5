"""Problem details for HTTP APIs, RFC 9457: the form of every error answer.

`type` names the broken rule and never changes.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


def document(status: HTTPStatus, rule: str, detail: str, **more: Any) -> dict[str, Any]:
    """The problem details of a broken rule; `more` are members beside the standard ones."""
    named = {"type": f"urn:itp:problem:{rule}", "title": status.phrase, "status": int(status)}
    return named | {"detail": detail} | more


def answer(body: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    """The response that carries problem details."""
    return JSONResponse(body, body["status"], headers=headers, media_type=MEDIA_TYPE)
