"""The page of an investigator's decision. It asks for their token, and shows nothing of the subject."""

from __future__ import annotations

import uuid
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from deployments.api.http.auth import Caller, investigator, same_origin
from deployments.api.http.dependencies import ApiContext, Code, Dependencies
from deployments.api.http.problems import Problem
from deployments.api.pages.render import page, read_form, refusal
from deployments.api.pages.words import DECIDE
from deployments.api.recording import take_in
from itp_events.errors import ItpError, Refused
from itp_events.events import Decode, EventKey, WithdrawalDecided
from itp_events.marks import MARK
from itp_events.protocol.model import Site
from itp_events.rules.withdrawal import COMPLETED
from tasks.database.queries import recorded, subject
from tasks.text.wording import filters

SOURCE = "decision-page"
_ID_REUSED = "urn:itp:problem:id-reused"
_ENTERED = ("criterion", "decision", "decode", "on", "reason", "by")

router = APIRouter(include_in_schema=False)


@router.get("/decide/{code}", response_class=HTMLResponse)
def ask(code: Code, api: Dependencies, criterion: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    """Show the form of a decision."""
    site = _site(api, code)
    title, facts = DECIDE[site.language]["title"], _facts(api, site, code, {"criterion": criterion})
    return _ours(page("decide", title, language=site.language, refused=False, **facts))


@router.post("/decide/{code}", response_class=HTMLResponse)
async def decide(code: Code, request: Request, api: Dependencies) -> HTMLResponse:
    """Record the decision of a form that carries an investigator's token; sent twice it counts once.

    A refusal shows the form again with the entered values, except for the token.
    """
    site = await run_in_threadpool(_site, api, code)
    try:
        same_origin(request, api)
    except Problem as error:
        # No form here: another site would have filled it in.
        return refusal(error, DECIDE[site.language]["refused"], site.language)
    form: dict[str, str] = {}
    try:
        form = await read_form(request)
        token = form.pop("token", "")
        caller = await api.in_door(investigator, request, api, token)
        return await api.in_door(_decide, api, code, form, caller)
    except ItpError as error:
        return _again(api, site, code, form, error)


def _again(api: ApiContext, site: Site, code: str, form: dict[str, str], error: ItpError) -> HTMLResponse:
    words, rule = DECIDE[site.language], getattr(error, "rule", None)
    # The same id, so that the form counts once after refusals too; a new one where it names another event.
    facts = _facts(api, site, code, form if rule != "form" else form | {"id": ""})
    said = words.get(f"refused-{rule}")
    return _ours(refusal(error, words["refused"], site.language, said, "decide", **facts))


def _facts(api: ApiContext, site: Site, code: str, entered: dict[str, str]) -> dict[str, Any]:
    """The form's contents: the protocol's rules and the entered values, nothing of the subject."""
    protocol = api.study.protocol
    criteria = {
        each.criterion: each.decode for each in protocol.withdrawal if each.effect in ("flag", "by-decision")
    }
    usual = list(dict.fromkeys(criteria.values()))
    rare = [each for each in get_args(Decode) if each not in (*usual, COMPLETED)]
    return {
        "w": DECIDE[site.language],
        "subject": code,
        "id": entered.get("id") or uuid.uuid4().hex,
        "criteria": criteria,
        "marks": {each.criterion: MARK * (each.source == "assumption") for each in protocol.withdrawal},
        "decodes": {"usual": usual, "rare": rare},
        "last": protocol.visits[-1].code,
        "today": site.date_of(api.study.clock.now()),
        "entered": dict.fromkeys(_ENTERED, "") | entered,
        "in_words": filters(site.language, site.zone),
    }


def _ours(answer: HTMLResponse) -> HTMLResponse:
    """The page, whose form tells its origin: under `no-referrer` a browser sends `null` instead."""
    answer.headers["Referrer-Policy"] = "same-origin"
    return answer


def _decide(api: ApiContext, code: str, form: dict[str, str], caller: Caller) -> HTMLResponse:
    language = _site(api, code).language
    words, event = DECIDE[language], _event(code, api.study.clock.now(), form)
    result = take_in(api, [event], caller.sender(api, "page"))[0]
    known = result["status"] == HTTPStatus.OK or result.get("type") == _ID_REUSED
    if result["status"] >= HTTPStatus.BAD_REQUEST and not known:
        raise Problem(HTTPStatus(result["status"]), "decision", result["detail"])
    # A form that was sent before changes nothing, also with other contents, and the page says so.
    title, word = ("known", "again") if known else ("done", "said")
    decision = _decision(api, code, (event["source"], event["id"]))
    said = words[word].format(subject=code, decision=decision)
    return page("said", words[title], language=language, said=said, refused=False)


def _decision(api: ApiContext, code: str, key: EventKey) -> str:
    """The decision about the subject that is recorded under a source and id."""
    stated = recorded(api.study.store, key)
    if stated and isinstance(stated.data, WithdrawalDecided) and stated.subject.lower() == code.lower():
        return stated.data.decision
    raise Refused("form", "this form's id belongs to another event; it has a new one now, send it again")


def _site(api: ApiContext, code: str) -> Site:
    row = subject(api.study.store, code)
    return api.study.protocol.site(row.site if row else "default")


def _event(code: str, now: datetime, form: dict[str, str]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": form.get("id") or uuid.uuid4().hex,
        "source": SOURCE,
        "type": WithdrawalDecided.type,
        "subject": code,
        "time": now.isoformat(),
        "data": {name: value for name, value in form.items() if name != "id"},
    }
