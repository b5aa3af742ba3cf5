"""Signing in and out, and choosing the language."""

from __future__ import annotations

import re
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from anyio import to_thread
from fastapi import Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from deployments.api.http.auth import Caller, address_of, by_token, is_local, refuse, same_origin
from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.web import session
from deployments.api.web.rendering import keep_session, page_router, set_cookie, show, to, words_for
from deployments.api.web.rendering import to as lead_to
from deployments.api.web.viewer import LANGUAGE_COOKIE, Present, Viewer, check_form, language_of
from deployments.api.web.words import LANGUAGES
from tasks.accounts import changing
from tasks.accounts.proof import Proof
from tasks.accounts.sessions import Attempt, end, note, open_session, verify, wait_until
from tasks.accounts.tokens import digest

# Letters, digits and what codes of accounts hold; a name with blanks is none.
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_YEAR = 365 * 24 * 3600

router = page_router()


@router.get("/sign-in")
def ask(request: Request, api: Dependencies, to: Annotated[str, Query(max_length=500)] = "") -> Response:
    """Show the form for signing in; whom the hospital's own sign-on names is signed in at once."""
    if named := api.sign_on.named(request) if api.sign_on else None:
        answer = lead_to(_own_path(to))
        keep_session(answer, api, _of_proxy(request, api, named))
        return answer
    return _form(request, api, to)


@router.post("/sign-in")
async def sign_in(request: Request, api: Dependencies) -> Response:
    """Begin a session, and lead on to the page that was asked for."""
    same_origin(request, api)
    form = await read_form(request)
    code, target = form.get("code", "").strip(), form.get("to", "")
    if not _CODE.fullmatch(code):
        return await run_in_threadpool(_form, request, api, target, "sign-in.no-code", code)
    # One at a time: hashing takes memory, and nobody may guess side by side.
    kept = await to_thread.run_sync(partial(_begin, request, api, code, form), limiter=api.sign_ins)
    if isinstance(kept, str):
        refuse(request, HTTPStatus.UNAUTHORIZED, "token", "no known token or password was given")
        return await run_in_threadpool(_form, request, api, target, kept, code)
    answer = to(_own_path(target))
    keep_session(answer, api, kept)
    return answer


def _begin(request: Request, api: ApiContext, code: str, form: dict[str, str]) -> session.Session | str:
    """The session of somebody who proves to be who they say; else the key of a sentence."""
    now, secret = api.study.wall(), form.get("token", "").strip()
    if is_local(request, api):
        return session.begin(code, None, now)
    attempt = Attempt(code, secret, form.get("second", ""), address_of(request), now)
    if wait_until(api.study.store, code, attempt.address, now):
        return "sign-in.slow"
    if caller := by_token(api, secret):
        return _by_token(api, caller, attempt)
    account = verify(api.study.store, attempt)
    if account is None:
        return "sign-in.unknown"
    cookie = open_session(api.study.store, account, attempt.address, now, "signed-in")
    return session.begin(account.code, Proof("session", digest(cookie)), now)


def _of_proxy(request: Request, api: ApiContext, code: str) -> session.Session:
    """The session of somebody whom the hospital's own sign-on names.

    Raises:
        Problem: 403 for an unknown account, and for one that is switched off.
    """
    store, address, now = api.study.store, address_of(request), api.study.wall()
    with store.reading() as connection:
        account = changing.find(connection, code)
    if account is None or not account.active:
        note(store, account.code if account else None, address, "refused", now)
        said = "your sign-on names no account that counts here: ask whoever administers the accounts"
        raise refuse(request, HTTPStatus.FORBIDDEN, "account", said)
    cookie = open_session(store, account, address, now, "proxy")
    return session.begin(account.code, Proof("session", digest(cookie)), now)


def _by_token(api: ApiContext, caller: Caller, attempt: Attempt) -> session.Session | str:
    """The session of a token: in the name of its account, or of others when that speaks for them."""
    account = caller.account
    assert account is not None, "a token stands for an account"
    if attempt.code.lower() != account.code.lower() and not account.speaks_for_others:
        return "sign-in.unknown"
    note(api.study.store, account.code, attempt.address, "signed-in", attempt.at)
    code = attempt.code if account.speaks_for_others else account.code
    return session.begin(code, caller.proof, attempt.at)


@router.post("/sign-out")
async def sign_out(request: Request, api: Dependencies, viewer: Present) -> Response:
    """End the session."""
    check_form(request, api, viewer, await read_form(request))
    await run_in_threadpool(_end, request, api, viewer)
    answer = to("/sign-in?to=")
    answer.delete_cookie(session.COOKIE, path="/")
    # What the device kept for the time without network is removed too.
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


def _end(request: Request, api: ApiContext, viewer: Viewer) -> None:
    if account := viewer.caller.account:
        end(api.study.store, viewer.session.digest, account, address_of(request), api.study.wall())


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
    return target if own else "/"


def _form(
    request: Request, api: ApiContext, target: str, wrong: str | None = None, code: str = ""
) -> HTMLResponse:
    words = words_for(language_of(request, api), api.study.protocol.site("default"))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    facts: dict[str, Any] = {"to": target, "wrong": wrong, "code": code, "local": is_local(request, api)}
    facts["study"] = words.say("sign-in.study", study=api.study.protocol.id)
    return show(request, api, "sign-in", words.say("sign-in.title"), status=status, **facts)
