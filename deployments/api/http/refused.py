"""Keeps in the audit trail what an account asked for without the right to it.

Events that are refused have their line already, from the transaction that judged them.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import Request

from deployments.api.http.auth import Caller
from deployments.api.http.dependencies import ApiContext
from deployments.api.http.problems import Problem
from itp_events.errors import ItpError
from tasks.database import service_log
from tasks.database.event_log import Origin
from tasks.database.store import NO_ANSWER, first_line

log = logging.getLogger(__name__)


async def note_refusal(request: Request, error: ItpError, door: str) -> None:
    """Append a line when a signed-in account lacks a right; `door`: `api` or `page`. It raises nothing."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None or caller.account is None or not _lacks_a_right(error):
        return
    api: ApiContext = request.app.state.api
    await api.in_door(_note, api, _asked(request), Origin(caller.account.code, door), str(error))


def _lacks_a_right(error: ItpError) -> bool:
    return isinstance(error, Problem) and error.status == HTTPStatus.FORBIDDEN and error.rule == "role"


def _asked(request: Request) -> str:
    """The method and the route. Its path stands without what was put into it: that may be anything."""
    route = request.scope.get("route")
    return f"{request.method} {getattr(route, 'path', '')}"


def _note(api: ApiContext, asked: str, origin: Origin, said: str) -> None:
    try:
        with api.study.store.writing() as connection:
            service_log.note_barred(connection, asked, origin, api.study.wall(), said)
    except NO_ANSWER as problem:
        # The refusal stands all the same; the service's own log has it beside this line.
        log.warning(
            "the refusal of %s to %s is not in the audit trail: %s", asked, origin.actor, first_line(problem)
        )
