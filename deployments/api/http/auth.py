"""Authentication: a bearer token belongs to an account, whose role and sites say what a request may do.

Without any account the API serves this machine alone, in the role of a recorder. Programs on one machine
cannot be told apart, so a decision needs an investigator's account also then. Requests that a web page of
another origin could make a browser send are refused. Pages have sessions instead: see sessions.py.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.problems import Problem
from deployments.http.origin import is_loopback, names_this_machine, split_address
from flows.study.roles import Sender, SignedIn, Speaker
from itp_events.errors import BadInput, RuleName
from tasks.accounts.account import Account, Right, Role, may
from tasks.accounts.proof import Proof
from tasks.accounts.tokens import digest

LOCAL_ROLE: Role = "recorder"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """The maker of a request: an account with the proof of it, or without any account this machine.

    `signs`: the password was just given again, to sign.
    """

    account: Account | None = None
    proof: Proof | None = None
    signs: bool = False

    @property
    def role(self) -> Role:
        """Its role."""
        return self.account.role if self.account else LOCAL_ROLE

    @property
    def sites(self) -> tuple[str, ...] | None:
        """The sites whose subjects it sees; None: all."""
        return self.account.sites if self.account else None

    def sees(self, site: str) -> bool:
        """Whether it sees the subjects of a site."""
        return self.account is None or self.account.sees(site)

    def sender(self, api: ApiContext, door: str) -> Sender:
        """The caller as a sender of events by a door."""
        if self.account is None or self.proof is None:
            return Speaker(said=f"this request has the role {LOCAL_ROLE}", door=door, alone=True)
        return SignedIn(self.account, self.proof, door, api.doorkeeper.wall(), self.signs)


# Asynchronous: for a door that records it seldom waits, and a thread for each request would cost more.
async def asks(request: Request, api: Dependencies) -> Caller:
    """Find who makes a request.

    Raises:
        Problem: 401 without a known token, 403 for what no token would permit, 500 when no token can be read.
    """
    same_origin(request, api)
    is_read_again = request.method == "POST"
    with _reading_tokens():
        if api.doorkeeper.behind:
            await run_in_threadpool(api.doorkeeper.take_over)
        token = _bearer(request) or _password(request) or ""
        caller = await _caller(api, token, is_read_again=is_read_again)
    if caller is not None:
        request.state.caller = caller
        return caller
    if await _is_any(api, is_read_again=is_read_again):
        raise refuse(
            request, HTTPStatus.UNAUTHORIZED, "token", "send a known token: Authorization: Bearer ..."
        )
    return _local(request)


async def _caller(api: ApiContext, token: str, *, is_read_again: bool) -> Caller | None:
    if not token:
        return None
    proof = Proof("token", digest(token))
    found = api.doorkeeper.find_lately(proof) if is_read_again else None
    if found is None:
        found = await run_in_threadpool(api.doorkeeper.find, proof)
    return Caller(found.account, proof) if found else None


async def _is_any(api: ApiContext, *, is_read_again: bool) -> bool:
    lately = api.doorkeeper.is_any_lately()
    if lately or (lately is False and is_read_again):
        return lately
    return await run_in_threadpool(api.doorkeeper.is_any)


def needs(right: Right) -> Callable[[Request, Caller], Awaitable[Caller]]:
    """A dependency that requires a right; it returns the caller."""

    async def check(request: Request, caller: Annotated[Caller, Depends(asks)]) -> Caller:
        if not may(caller.role, right):
            said = f"this needs a token of role {_NEEDED[right]}; yours is of role {caller.role}"
            raise refuse(request, HTTPStatus.FORBIDDEN, "role", said)
        return caller

    return check


_NEEDED: dict[Right, Role] = {
    "read": "reader",
    "watch": "reader",
    "state": "recorder",
    "decide": "investigator",
    "review": "monitor",
    "administer": "admin",
}


def investigator(request: Request, api: ApiContext, token: str) -> Caller:
    """Require that a page's form carries the token of an investigator; returns the caller.

    Raises:
        Problem: 401 for an unknown token, 403 for one of another role, 500 when no token can be read.
    """
    caller = by_token(api, token)
    if caller is None:
        raise refuse(request, HTTPStatus.UNAUTHORIZED, "token", "this token is not known")
    return deciding(request, caller)


def deciding(request: Request, caller: Caller) -> Caller:
    """The caller, who must be an investigator; raises Problem, 403 for one of another role."""
    if not may(caller.role, "decide"):
        said = f"only an investigator decides; this token is of role {caller.role}"
        raise refuse(request, HTTPStatus.FORBIDDEN, "role", said)
    return caller


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
    """Whether a request comes from this machine, and there is no account. It asks the database.

    Raises:
        Problem: 500 when no token can be read.
    """
    with _reading_tokens():
        if api.doorkeeper.behind:
            api.doorkeeper.take_over()
    return not api.doorkeeper.is_any() and _from_here(request)


def by_token(api: ApiContext, token: str) -> Caller | None:
    """The caller that a token stands for; None for an unknown one. It asks the database.

    Raises:
        Problem: 500 when no token can be read.
    """
    return by_proof(api, Proof("token", digest(token.strip())))


def by_proof(api: ApiContext, proof: Proof) -> Caller | None:
    """The caller that a proof stands for; None for one that counts no more. It asks the database.

    Raises:
        Problem: 500 when no token can be read.
    """
    with _reading_tokens():
        if api.doorkeeper.behind:
            api.doorkeeper.take_over()
        found = api.doorkeeper.find(proof)
    return Caller(found.account, proof) if found else None


def _from_here(request: Request) -> bool:
    client = request.client.host if request.client else ""
    return is_loopback(client) and names_this_machine(request.headers.get("host", ""))


def _local(request: Request) -> Caller:
    if not _from_here(request):
        said = "no token is configured, so only this machine is served; make one with itp token new"
        raise refuse(request, HTTPStatus.FORBIDDEN, "loopback", said)
    return Caller()


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


def address_of(request: Request) -> str:
    """The address that a request comes from, as far as it is known."""
    return request.client.host if request.client else "unknown"


def refuse(request: Request, status: HTTPStatus, rule: RuleName, said: str) -> Problem:
    """Log a refusal with the caller's address, without the request's content; returns the problem."""
    log.warning("%d %s %s from %s: %s", status, request.method, request.url.path, address_of(request), said)
    headers = {"WWW-Authenticate": _challenge(request)} if status == HTTPStatus.UNAUTHORIZED else None
    return Problem(status, rule, said, headers)


def _challenge(request: Request) -> str:
    """The WWW-Authenticate header: most calendar programs send a password only when asked for one."""
    basic = request.url.path.endswith(".ics")
    return 'Bearer realm="itp", Basic realm="itp"' if basic else 'Bearer realm="itp"'


Reader = Annotated[Caller, Depends(needs("read"))]
Recorder = Annotated[Caller, Depends(needs("state"))]
Watcher = Annotated[Caller, Depends(needs("watch"))]
