"""The page on which an investigator decides: it shows nothing of the subject, and asks for their token."""

from __future__ import annotations

import uuid
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from deployments.api.auth import investigator
from deployments.api.events import take_in
from deployments.api.pages import page, read_form, refusal
from deployments.api.parts import Given, Parts
from deployments.api.subjects import Code
from itp_events.errors import ItpError
from itp_events.events import WithdrawalDecided
from tasks.queries import subject

SOURCE = "decision-page"
TITLE = "An investigator's decision"

router = APIRouter(include_in_schema=False)


@router.api_route("/decide/{code}", methods=["GET", "HEAD"], response_class=HTMLResponse)
def ask(code: Code, parts: Given, criterion: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    """Ask for the decision."""
    row = subject(parts.study.store, code)
    site = parts.study.protocol.site(row.site if row else "default")
    return page(
        "decide",
        TITLE,
        subject=code,
        id=uuid.uuid4().hex,
        criteria=list(parts.study.protocol.criteria),
        criterion=criterion,
        today=site.date_of(parts.study.clock.now()),
    )


@router.post("/decide/{code}", response_class=HTMLResponse)
async def decide(code: Code, request: Request, parts: Given) -> HTMLResponse:
    """Record the decision of whoever gives an investigator's token; sent twice it counts once."""
    try:
        form = await read_form(request)
        investigator(request, parts, form.pop("token", ""))
        return await run_in_threadpool(_decide, parts, code, form)
    except ItpError as error:
        return refusal(error)


def _decide(parts: Parts, code: str, form: dict[str, str]) -> HTMLResponse:
    event = _event(code, parts.study.clock.now(), form)
    result = take_in(parts, [event], "investigator")[0]
    if result["status"] >= HTTPStatus.BAD_REQUEST:
        return page("said", "Not recorded", HTTPStatus(result["status"]), said=result["detail"], refused=True)
    said = f"Recorded for {code}: {event['data']['decision']}. You may close this page."
    return page("said", "Recorded", said=said, refused=False)


def _event(code: str, now: datetime, form: dict[str, str]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": form.pop("id", "") or uuid.uuid4().hex,
        "source": SOURCE,
        "type": WithdrawalDecided.type,
        "subject": code,
        "time": now.isoformat(),
        "data": form,
    }
