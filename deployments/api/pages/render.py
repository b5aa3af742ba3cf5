"""Renders the pages for participants, which no other site may frame or fill in.

The words of the pages are in words.py.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from itp_events.errors import BadInput, ItpError, Refused, RuleName

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, autoescape=True
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def page(
    name: str, title: str, status: HTTPStatus = HTTPStatus.OK, language: str = "en", **facts: Any
) -> HTMLResponse:
    """One page, from its template."""
    text = _PAGES.get_template(f"{name}.html").render(title=title, language=language, **facts)
    return HTMLResponse(text, status, headers=_HEADERS)


def refusal(
    error: ItpError,
    title: str,
    language: str = "en",
    said: str | None = None,
    name: str = "said",
    **facts: Any,
) -> HTMLResponse:
    """The page that explains a refusal in the sentence that every other door gives, or in `said`.

    `name` is its template.
    """
    status = getattr(error, "status", None) or _status(error)
    answer = page(name, title, status, language, said=said or str(error), refused=True, **facts)
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


def _status(error: ItpError) -> HTTPStatus:
    if isinstance(error, Refused):
        return _RULES.get(error.rule, HTTPStatus.CONFLICT)
    return (
        HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, BadInput) else HTTPStatus.INTERNAL_SERVER_ERROR
    )


_RULES: dict[RuleName, HTTPStatus] = {
    "link": HTTPStatus.FORBIDDEN,
    "link-expired": HTTPStatus.GONE,
    "enrolment": HTTPStatus.NOT_FOUND,
}
