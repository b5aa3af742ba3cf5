"""Signing later: what was stated without a signature, at the machine or by a form of Prefect, is signed here.

It keeps the same signature as `itp sign event` and POST /signatures.
"""

from __future__ import annotations

from http import HTTPStatus

from anyio import to_thread
from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from deployments.api.http.dependencies import ApiContext, Code, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.http.problems import Problem
from deployments.api.http.refused import note_refusal_in_thread
from deployments.api.web.proving import same_person
from deployments.api.web.rendering import page_router, show, status_of, to, words_for
from deployments.api.web.subject import seen_story, signatures_on
from deployments.api.web.viewer import Looking, Viewer, check_form
from flows.study.signing import sign_line
from itp_events.errors import Refused
from tasks.board.story import Story
from tasks.database.queries import LogLine
from tasks.signatures.meaning import meaning

router = page_router()


@router.get("/s/{code}/sign/{seq}")
def ask(request: Request, api: Dependencies, viewer: Looking, code: Code, seq: int) -> HTMLResponse:
    """Show what was stated, the sentence that is signed, and the signatures that are there."""
    told = seen_story(api, viewer, code)
    return _page(request, api, viewer, told, _line(told, seq))


@router.post("/s/{code}/sign/{seq}")
async def sign(request: Request, api: Dependencies, viewer: Looking, code: Code, seq: int) -> Response:
    """Sign what was stated, by somebody who gives the password again."""
    given = await read_form(request)
    check_form(request, api, viewer, given)
    # One at a time, as signing in.
    secret = given.get("token", "")
    return await to_thread.run_sync(_sign, request, api, viewer, code, seq, secret, limiter=api.sign_ins)


def _sign(request: Request, api: ApiContext, viewer: Viewer, code: str, seq: int, secret: str) -> Response:
    told = seen_story(api, viewer, code)
    line, account = _line(told, seq), viewer.caller.account
    words = words_for(viewer.language, told.subject_state.subject.site)
    if account is None:
        raise Problem(HTTPStatus.FORBIDDEN, "account", words.say("sign.nobody"))
    try:
        same_person(request, api, viewer, secret, "signed")
        sign_line(api.study.store, account, told.code, seq, api.study.clock.now())
    except (Problem, Refused) as error:
        note_refusal_in_thread(request, error, "page")
        return _page(request, api, viewer, told, line, words.refusal(str(error)), status_of(error))
    return to(f"/s/{told.code}?said=signed&id={seq}")


def _line(told: Story, seq: int) -> LogLine:
    """A line of what was stated about the subject; raises Problem where there is none of that number."""
    line = next((each for each in told.record.log if each.seq == seq and not each.event.own), None)
    if line is None:
        raise Problem(HTTPStatus.NOT_FOUND, "subject", "there is no such form")
    return line


def _page(
    request: Request,
    api: ApiContext,
    viewer: Viewer,
    told: Story,
    line: LogLine,
    refused: str = "",
    status: HTTPStatus = HTTPStatus.OK,
) -> HTMLResponse:
    site = told.subject_state.subject.site
    words = words_for(viewer.language, site)
    return show(
        request,
        api,
        "sign",
        f"{words.say('sign.title')}: {told.code}",
        status=status,
        viewer=viewer,
        site=site,
        code=told.code,
        seq=line.seq,
        refused=refused,
        sentence=words.sentence(line.event),
        by=words.author(line.event.data.by, line.origin),
        at=words.short_instant(line.event.time),
        signed=signatures_on(api, words, told).get(line.event.key, ()),
        meaning=meaning(line.event, viewer.language),
        may_sign=viewer.caller.account is not None,
    )
