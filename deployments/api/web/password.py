"""The page on which somebody chooses their own password: at the first sign-in, and whenever they like."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from anyio import to_thread
from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from deployments.api.http.auth import address_of
from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.http.problems import Problem
from deployments.api.web import session
from deployments.api.web.proving import same_person
from deployments.api.web.rendering import keep_session, own_words, page_router, show, to
from deployments.api.web.viewer import Present, Viewer, check_form
from tasks.accounts.account import Account
from tasks.accounts.changing import By
from tasks.accounts.passwords import LONGEST, SHORTEST, hashed, is_for_once, set_password
from tasks.accounts.proof import Proof
from tasks.accounts.sessions import open_session
from tasks.accounts.tokens import digest

router = page_router()


@router.get("/password")
def ask(request: Request, api: Dependencies, viewer: Present) -> HTMLResponse:
    """Show the form of a new password."""
    return _form(request, api, viewer)


@router.post("/password")
async def choose(request: Request, api: Dependencies, viewer: Present) -> Response:
    """Set the password, and go on in a new session; every other one ends."""
    given = await read_form(request)
    check_form(request, api, viewer, given)
    # One at a time, as signing in.
    return await to_thread.run_sync(partial(_choose, request, api, viewer, given), limiter=api.sign_ins)


def _choose(request: Request, api: ApiContext, viewer: Viewer, given: dict[str, str]) -> Response:
    account, new = viewer.caller.account, given.get("new", "")
    if account is None or viewer.session.kind != "session":
        return _form(request, api, viewer, _say(api, viewer, "password.only"))
    if wrong := _wrong(new, given):
        return _form(request, api, viewer, _say(api, viewer, wrong))
    try:
        same_person(request, api, viewer, given.get("token", ""))
    except Problem as error:
        return _form(request, api, viewer, own_words(api, viewer).refusal(str(error)))
    answer = to("/")
    keep_session(answer, api, _renew(request, api, account, hashed(new)))
    return answer


def _wrong(new: str, given: dict[str, str]) -> str | None:
    if not SHORTEST <= len(new) <= LONGEST:
        return "password.length"
    if new != given.get("again"):
        return "password.differ"
    return "password.same" if new == given.get("token") else None


def _renew(request: Request, api: ApiContext, account: Account, kept: str) -> session.Session:
    now = api.study.wall()
    by = By(account.code, "page", now)
    api.study.store.write(lambda connection: set_password(connection, account, kept, by))
    cookie = open_session(api.study.store, account, address_of(request), now, "signed-in")
    return session.begin(account.code, Proof("session", digest(cookie)), now)


def _say(api: ApiContext, viewer: Viewer, key: str) -> str:
    return own_words(api, viewer).say(key)


def _form(request: Request, api: ApiContext, viewer: Viewer, refused: str = "") -> HTMLResponse:
    with api.study.store.reading() as connection:
        once = is_for_once(connection, viewer.code)
    return show(
        request,
        api,
        "password",
        _say(api, viewer, "password.title"),
        status=HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK,
        viewer=viewer,
        refused=refused,
        once=once,
    )
