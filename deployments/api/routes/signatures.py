"""POST /signatures and /reviews: sign what is recorded, and reviews of the record, by the password."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.api.http.auth import Caller, address_of, asks
from deployments.api.http.body import read_body
from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.schemas import ASKING, problem
from deployments.auditing import GIVEN, GivenInstant, given_instant, seen_by, until_now
from deployments.auditing import review as content_of
from deployments.strict_json import parse
from flows.study.signing import sign_a_review, sign_line
from itp_events.errors import BadInput, Forbidden
from tasks.accounts.account import Account
from tasks.accounts.sessions import Attempt, prove
from tasks.audit.entries import Wanted
from tasks.audit.reading import audit
from tasks.signatures.signing import REVIEW

router = APIRouter(tags=["signing"])
Asking = Annotated[Caller, Depends(asks)]
_Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Name = Annotated[str, Field(max_length=64)]


class Secrets(BaseModel):
    """The password of the account whose token is sent, and the code of its second factor if it has one."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, Field(max_length=256)]
    second_factor: Annotated[str, Field(max_length=10)] = ""


class LineToSign(Secrets):
    """A line of a subject's log, by its `seq` in `itp show --json`."""

    subject: _Code
    seq: Annotated[int, Field(ge=1, le=1_000_000_000)]


class ReviewToSign(Secrets):
    """A review of what GET /audit lists with the same filters."""

    since: Annotated[GivenInstant | None, Field(description=GIVEN)] = None
    until: Annotated[GivenInstant | None, Field(description=f"{GIVEN}; not included; by default now")] = None
    subject: _Name | None = None
    site: _Name | None = None
    late_days: Annotated[int, Field(ge=0, le=3650)] = 3


class Signed(BaseModel):
    """A signature: by whom, when, and on which event or review."""

    account: str
    name: str
    at: datetime
    source: str
    id: str


_LONGEST = 8192
_RESPONSES = ASKING | {
    409: problem("What is to be signed is not there, was taken back, or is signed already."),
    413: problem("The body is longer than 8192 bytes."),
}


def _body(of: type[BaseModel]) -> dict[str, Any]:
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": of.model_json_schema()}}}
    }


_Asked = TypeVar("_Asked", bound=Secrets)


def _read(of: type[_Asked], body: bytes) -> _Asked:
    """Read the body of a request as what it asks for; raises BadInput, which repeats no value."""
    try:
        return of.model_validate(parse(body))
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        raise BadInput(first["msg"], ".".join(map(str, first["loc"]))) from None


@router.post(
    "/signatures",
    summary="Sign what is recorded",
    openapi_extra=_body(LineToSign),
    responses=_RESPONSES,
    status_code=HTTPStatus.CREATED,
)
async def sign(request: Request, api: Dependencies, caller: Asking) -> Signed:
    """An account signs what it might state itself, by its password. 403 for a wrong one, and for others."""
    line = _read(LineToSign, await read_body(request, _LONGEST))
    return await _one_at_a_time(api, partial(_sign, request, api, caller, line))


@router.post(
    "/reviews",
    summary="Sign a review of the record",
    openapi_extra=_body(ReviewToSign),
    responses=_RESPONSES,
    status_code=HTTPStatus.CREATED,
)
async def review(request: Request, api: Dependencies, caller: Asking) -> Signed:
    """A monitor or an investigator signs; kept are the filters, the number of entries and their hash."""
    asked = _read(ReviewToSign, await read_body(request, _LONGEST))
    return await _one_at_a_time(api, partial(_review, request, api, caller, asked))


async def _one_at_a_time(api: ApiContext, step: partial[Signed]) -> Signed:
    return await to_thread.run_sync(step, limiter=api.sign_ins)


def _sign(request: Request, api: ApiContext, caller: Caller, line: LineToSign) -> Signed:
    account, now = _proven(request, api, caller, line), api.study.clock.now()
    source, identity = sign_line(api.study.store, account, line.subject, line.seq, now)
    return Signed(account=account.code, name=account.name, at=now, source=source, id=identity)


def _review(request: Request, api: ApiContext, caller: Caller, asked: ReviewToSign) -> Signed:
    account, now = _proven(request, api, caller, asked), api.study.clock.now()
    at = api.study.protocol.site(asked.site or "01")
    since, until = given_instant(asked.since, at, "since"), given_instant(asked.until, at, "until")
    wanted = Wanted(since, until, asked.subject, asked.site, None, (), asked.late_days)
    wanted = until_now(wanted, now)
    content: dict[str, Any] = content_of(
        seen_by(account, audit(api.study.store, api.study.protocol, wanted)), wanted
    )
    identity = sign_a_review(api.study.store, account, content, now)
    return Signed(account=account.code, name=account.name, at=now, source=REVIEW, id=identity)


def _proven(request: Request, api: ApiContext, caller: Caller, secrets: Secrets) -> Account:
    if caller.account is None:
        raise Forbidden("account", "nobody is signed in, so nobody signs: add an account first")
    code, address, now = caller.account.code, address_of(request), api.study.wall()
    return prove(api.study.store, Attempt(code, secrets.password, secrets.second_factor, address, now))
