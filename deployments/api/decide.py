"""The page on which an investigator decides: it shows nothing of the subject, and asks for their token."""

from __future__ import annotations

import uuid
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from deployments.api.auth import investigator
from deployments.api.events import take_in
from deployments.api.pages import page, read_form, refusal
from deployments.api.parts import Given, Parts
from deployments.api.subjects import Code
from deployments.api.words import DECIDE
from itp_events.errors import ItpError, Refused
from itp_events.events import Decode, EventKey, WithdrawalDecided
from itp_events.protocol import Site
from tasks.queries import history, subject

SOURCE = "decision-page"

router = APIRouter(include_in_schema=False)


@router.api_route("/decide/{code}", methods=["GET", "HEAD"], response_class=HTMLResponse)
def ask(code: Code, parts: Given, criterion: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    """Ask for the decision."""
    site = _site(parts, code)
    words = DECIDE[site.language]
    return page(
        "decide",
        words["title"],
        language=site.language,
        w=words,
        subject=code,
        id=uuid.uuid4().hex,
        criteria=list(parts.study.protocol.criteria),
        criterion=criterion,
        decodes=get_args(Decode),
        today=site.date_of(parts.study.clock.now()),
    )


@router.post("/decide/{code}", response_class=HTMLResponse)
async def decide(code: Code, request: Request, parts: Given) -> HTMLResponse:
    """Record the decision of whoever gives an investigator's token; sent twice it counts once."""
    language = (await run_in_threadpool(_site, parts, code)).language
    try:
        form = await read_form(request)
        investigator(request, parts, form.pop("token", ""))
        return await run_in_threadpool(_decide, parts, code, form)
    except ItpError as error:
        return refusal(error, DECIDE[language]["refused"], language)


def _decide(parts: Parts, code: str, form: dict[str, str]) -> HTMLResponse:
    language = _site(parts, code).language
    words, event = DECIDE[language], _event(code, parts.study.clock.now(), form)
    result = take_in(parts, [event], "investigator")[0]
    if result["status"] >= HTTPStatus.BAD_REQUEST:
        status = HTTPStatus(result["status"])
        return page("said", words["refused"], status, language, said=result["detail"], refused=True)
    # A form that was sent before, perhaps with something else in it, changes nothing, and says so.
    title, word = ("done", "said") if result["status"] == HTTPStatus.CREATED else ("known", "again")
    decision = _decision(parts, code, (event["source"], event["id"]))
    said = words[word].format(subject=code, decision=decision)
    return page("said", words[title], language=language, said=said, refused=False)


def _decision(parts: Parts, code: str, key: EventKey) -> str:
    """The decision that stands in the subject's log under a source and id."""
    for each in history(parts.study.store, code):
        if each.key == key and isinstance(each.data, WithdrawalDecided):
            return each.data.decision
    raise Refused("form", "this form's id belongs to another event; open the link in the message again")


def _site(parts: Parts, code: str) -> Site:
    row = subject(parts.study.store, code)
    return parts.study.protocol.site(row.site if row else "default")


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
