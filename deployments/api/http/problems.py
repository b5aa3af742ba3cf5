"""The API's error answers: problem details for HTTP APIs, RFC 9457.

`type` names the broken rule and never changes; `detail` is the same sentence that every other door gives.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from deployments.http.problem_details import document
from itp_events.errors import BadInput, Forbidden, ItpError, NotEligible, Refused, RuleName
from tasks.database.custody import Moved
from tasks.database.unreadable import Unreadable


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
