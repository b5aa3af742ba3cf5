"""Signing in and out, and choosing the language."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import HTMLResponse, Response

from deployments.api.http.auth import is_local, refuse, same_origin
from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.tokens import digest
from deployments.api.pages.render import read_form
from deployments.api.web import session
from deployments.api.web.rendering import keep_session, page_router, set_cookie, show, to, words_for
from deployments.api.web.viewer import LANGUAGE_COOKIE, Looking, check_form, language_of
from deployments.api.web.words import LANGUAGES

# Letters, digits and what codes of accounts hold; a name with blanks is none.
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_YEAR = 365 * 24 * 3600

router = page_router()


@router.get("/sign-in")
def ask(request: Request, api: Dependencies, to: Annotated[str, Query(max_length=500)] = "") -> HTMLResponse:
    """Show the form for signing in."""
    return _form(request, api, to)


@router.post("/sign-in")
async def sign_in(request: Request, api: Dependencies) -> Response:
    """Begin a session, and lead on to the page that was asked for."""
    same_origin(request, api)
    form = await read_form(request)
    code, token, target = form.get("code", "").strip(), form.get("token", "").strip(), form.get("to", "")
    if not _CODE.fullmatch(code):
        return _form(request, api, target, wrong="sign-in.no-code", code=code)
    local = is_local(request, api)
    if not local and api.tokens.role_of(token) is None:
        refuse(request, HTTPStatus.UNAUTHORIZED, "token", "this token is not known")
        return _form(request, api, target, wrong="sign-in.unknown", code=code)
    answer = to(_own_path(target))
    kept = session.begin(code, "" if local else digest(token), api.study.wall())
    keep_session(answer, api, kept)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, api: Dependencies, viewer: Looking) -> Response:
    """End the session on this device."""
    check_form(request, api, viewer, await read_form(request))
    answer = to("/sign-in?to=")
    answer.delete_cookie(session.COOKIE, path="/")
    # What the device kept for the time without network is removed too.
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


@router.post("/language")
async def language(request: Request, api: Dependencies) -> Response:
    """Choose the language of the pages on this device."""
    same_origin(request, api)
    form = await read_form(request)
    answer = to(_own_path(form.get("to", "")))
    if form.get("language") in LANGUAGES:
        set_cookie(answer, api, LANGUAGE_COOKIE, form["language"], _YEAR)
    return answer


def _own_path(target: str) -> str:
    """A path of this service; anything that would lead elsewhere is not followed."""
    own = re.fullmatch(r"/(?![/\\])[\x21-\x7e]*", target)
    return target if own else "/today"


def _form(
    request: Request, api: ApiContext, target: str, wrong: str | None = None, code: str = ""
) -> HTMLResponse:
    words = words_for(language_of(request, api), api.study.protocol.site("default"))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    facts: dict[str, Any] = {"to": target, "wrong": wrong, "code": code, "local": is_local(request, api)}
    return show(request, api, "sign-in", words.say("sign-in.title"), status=status, **facts)
