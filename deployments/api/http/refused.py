"""Keeps in the audit trail what an account asked for without the right to it.

Events that are refused have their line already, from the transaction that judged them.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Literal

from fastapi import Request

from deployments.api.http.auth import Caller
from deployments.api.http.dependencies import ApiContext
from deployments.api.http.problems import Problem
from itp_events.errors import Forbidden, ItpError
from tasks.accounts.account import Account
from tasks.database import service_log
from tasks.database.event_log import Origin
from tasks.database.store import NO_ANSWER, first_line

Door = Literal["api", "page"]
# The rules by which an account may not do something. A wrong password is in the log of sign-ins.
_RIGHTS = ("role", "site")

log = logging.getLogger(__name__)


async def note_refusal(request: Request, error: ItpError, door: Door) -> None:
    """Append a line when a signed-in account lacks a right. It raises nothing."""
    if _lacks_a_right(request, error):
        api: ApiContext = request.app.state.api
        await api.in_door(_note, request, error, door)


def note_refusal_in_thread(request: Request, error: ItpError, door: Door) -> None:
    """`note_refusal`, from a thread that may wait for the database."""
    if _lacks_a_right(request, error):
        _note(request, error, door)


def _lacks_a_right(request: Request, error: ItpError) -> bool:
    is_refused = isinstance(error, Forbidden) or (
        isinstance(error, Problem) and error.status == HTTPStatus.FORBIDDEN
    )
    return is_refused and getattr(error, "rule", "") in _RIGHTS and _account_of(request) is not None


def _account_of(request: Request) -> Account | None:
    caller: Caller | None = getattr(request.state, "caller", None)
    return caller.account if caller else None


def _asked(request: Request) -> str:
    """The method and the route. Its path stands without what was put into it: that may be anything."""
    route = request.scope.get("route")
    return f"{request.method} {getattr(route, 'path', '')}"


def _note(request: Request, error: ItpError, door: Door) -> None:
    api: ApiContext = request.app.state.api
    account = _account_of(request)
    assert account is not None, "only who is signed in lacks a right"
    asked, origin = _asked(request), Origin(account.code, door)
    try:
        with api.study.store.writing() as connection:
            service_log.note_barred(connection, asked, origin, api.study.wall(), str(error))
    except (ItpError, *NO_ANSWER) as problem:
        # The refusal stands all the same; the service's own log has it beside this line.
        log.warning(
            "the refusal of %s to %s is not in the audit trail: %s", asked, origin.actor, first_line(problem)
        )
