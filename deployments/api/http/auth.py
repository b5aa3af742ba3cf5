"""Authentication and roles: a bearer token gives its owner a role.

Without any token configured the API serves this machine alone, in the role of a recorder. Programs on one
machine cannot be told apart, so a decision needs an investigator's token also then. Requests that a web page
of another origin could make a browser send are refused. How tokens are kept is in tokens.py.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.problems import Problem
from deployments.api.http.tokens import Role, includes
from deployments.http.origin import is_loopback, names_this_machine, split_address
from itp_events.errors import BadInput, RuleName

LOCAL_ROLE: Role = "recorder"

log = logging.getLogger(__name__)


# Asynchronous: it never waits, and a thread for each request would cost more than the check itself.
async def asks(request: Request, api: Dependencies) -> Role:
    """The role that a request is made in.

    Raises:
        Problem: 401 without a known token, 403 for what no token would permit, 500 when no token can be read.
    """
    same_origin(request, api)
    with _reading_tokens():
        if not api.tokens.configured:
            return _local(request)
        role = api.tokens.role_of(_bearer(request) or _password(request) or "")
    if role is None:
        raise refuse(
            request, HTTPStatus.UNAUTHORIZED, "token", "send a known token: Authorization: Bearer ..."
        )
    return role


def needs(needed: Role) -> Callable[[Request, Role], Awaitable[Role]]:
    """A dependency that requires at least the role `needed`; it returns the role that the request has."""

    async def check(request: Request, role: Annotated[Role, Depends(asks)]) -> Role:
        if not includes(role, needed):
            said = f"this needs a token of role {needed}; yours is of role {role}"
            raise refuse(request, HTTPStatus.FORBIDDEN, "role", said)
        return role

    return check


def investigator(request: Request, api: ApiContext, token: str) -> None:
    """Require that a page's form carries the token of an investigator.

    Raises:
        Problem: 401 for an unknown token, 403 for one of another role, 500 when no token can be read.
    """
    with _reading_tokens():
        role = api.tokens.role_of(token.strip())
    if role is None:
        raise refuse(request, HTTPStatus.UNAUTHORIZED, "token", "this token is not known")
    if not includes(role, "investigator"):
        said = f"only an investigator decides; this token is of role {role}"
        raise refuse(request, HTTPStatus.FORBIDDEN, "role", said)


@contextmanager
def _reading_tokens() -> Iterator[None]:
    """Refuse the request while the tokens cannot be read; the reason goes to the log alone."""
    try:
        yield
    except (BadInput, OSError) as error:
        log.error("nobody is let in: the tokens cannot be read: %s", error)
        said = "the tokens cannot be read; the service's log says more"
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "tokens", said) from error


def is_local(request: Request, api: ApiContext) -> bool:
    """Whether a request comes from this machine, and no token is configured.

    Raises:
        Problem: 500 when no token can be read.
    """
    with _reading_tokens():
        return not api.tokens.configured and _from_here(request)


def _from_here(request: Request) -> bool:
    client = request.client.host if request.client else ""
    return is_loopback(client) and names_this_machine(request.headers.get("host", ""))


def _local(request: Request) -> Role:
    if not _from_here(request):
        said = "no token is configured, so only this machine is served; make one with itp token new"
        raise refuse(request, HTTPStatus.FORBIDDEN, "loopback", said)
    return LOCAL_ROLE


def same_origin(request: Request, api: ApiContext) -> None:
    """Require that no page of another site has made a browser send the request.

    Raises:
        Problem: 403 for a request of another origin.
    """
    origin = request.headers.get("origin")
    ours = {request.headers.get("host"), split_address(api.links.base).netloc} - {""}
    if origin and split_address(origin).netloc not in ours:
        said = "a page of another site may not ask this service"
        raise refuse(request, HTTPStatus.FORBIDDEN, "origin", said)


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _password(request: Request) -> str | None:
    """The password of basic authentication: calendar programs know no other way."""
    scheme, _, pair = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(pair).decode().partition(":")[2]
    except ValueError:
        # Not base64, not ASCII, or not UTF-8 underneath: no password in any case.
        return None


def refuse(request: Request, status: HTTPStatus, rule: RuleName, said: str) -> Problem:
    """Log a refusal with the caller's address, without the request's content; returns the problem."""
    client = request.client.host if request.client else "unknown"
    log.warning("%d %s %s from %s: %s", status, request.method, request.url.path, client, said)
    headers = {"WWW-Authenticate": _challenge(request)} if status == HTTPStatus.UNAUTHORIZED else None
    return Problem(status, rule, said, headers)


def _challenge(request: Request) -> str:
    """The WWW-Authenticate header: most calendar programs send a password only when asked for one."""
    basic = request.url.path.endswith(".ics")
    return 'Bearer realm="itp", Basic realm="itp"' if basic else 'Bearer realm="itp"'


Reader = Depends(needs("reader"))
Recorder = Annotated[Role, Depends(needs("recorder"))]
