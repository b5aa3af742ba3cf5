"""The pages of accounts, for administrators: add, change, switch off, reset signing in, tokens.

A secret is shown in one answer, and kept as its hash alone. A password that an administrator hands over is
for once: its person replaces it first, so that nobody else can sign in their name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from deployments.api.http.dependencies import ApiContext, Code, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.web.administering import as_administrator
from deployments.api.web.in_words import InWords
from deployments.api.web.rendering import own_words, page_router, show, to
from deployments.api.web.viewer import Administering, Viewer, check_form
from itp_events.errors import BadInput
from tasks.accounts import changing, passwords, tokens
from tasks.accounts.account import LANGUAGES, ROLES, Account
from tasks.accounts.changing import By

_ALL = ("all", "全部", "所有")
_Act = Annotated[str, Path(pattern="^(change|disable|enable|reset|token|revoke)$")]

router = page_router()


@dataclass(frozen=True, slots=True)
class _Made:
    """A secret that was just made: `kind` is password or token."""

    kind: str
    secret: str


@router.get("/accounts")
def ask(request: Request, api: Dependencies, viewer: Administering) -> HTMLResponse:
    """Show all accounts, and the form that adds one."""
    return _list(request, api, viewer)


@router.post("/accounts")
async def add(request: Request, api: Dependencies, viewer: Administering) -> Response:
    """Add an account, and show its password for once, or its token."""
    given = await read_form(request)
    check_form(request, api, viewer, given)
    return await api.in_door(_add, request, api, viewer, given)


def _add(request: Request, api: ApiContext, viewer: Viewer, given: dict[str, str]) -> Response:
    words = own_words(api, viewer)
    try:
        account = _account(words, given)
        made, keep = _token("") if account.speaks_for_others else _password()

        def step(connection: sa.Connection, by: By) -> None:
            changing.add(connection, account, by)
            keep(connection, account, by)

        as_administrator(api, viewer, step)
    except BadInput as error:
        return _list(request, api, viewer, given, words.refusal(error.problem))
    return _secret(request, api, viewer, account.code, made)


@router.get("/accounts/{code}")
def ask_one(
    request: Request,
    api: Dependencies,
    viewer: Administering,
    code: Code,
    said: Annotated[str, Query(max_length=10)] = "",
) -> HTMLResponse:
    """Show an account, and what can be changed of it."""
    return _one(request, api, viewer, code, said=said)


@router.post("/accounts/{code}/{act}")
async def change(
    request: Request, api: Dependencies, viewer: Administering, code: Code, act: _Act
) -> Response:
    """Change an account."""
    given = await read_form(request)
    check_form(request, api, viewer, given)
    return await api.in_door(_change, request, api, viewer, code, act, given)


def _change(
    request: Request, api: ApiContext, viewer: Viewer, code: str, act: str, given: dict[str, str]
) -> Response:
    words, made = own_words(api, viewer), None
    try:
        if act in ("reset", "token"):
            made, keep = _password() if act == "reset" else _token(given.get("note", ""))
            as_administrator(
                api, viewer, lambda connection, by: keep(connection, changing.get(connection, code), by)
            )
            return _secret(request, api, viewer, code, made)
        _check_own(words, viewer, code, act, given)
        as_administrator(api, viewer, _step(words, code, act, given))
    except BadInput as error:
        return _one(request, api, viewer, code, given, words.refusal(error.problem))
    return to(f"/accounts/{quote(code)}?said=done")


def _step(
    words: InWords, code: str, act: str, given: Mapping[str, str]
) -> Callable[[sa.Connection, By], object]:
    if act == "revoke":
        return lambda connection, by: tokens.revoke(connection, given.get("token", ""), by)
    if act in ("disable", "enable"):
        return lambda connection, by: changing.change(connection, code, by, active=act == "enable")
    new = {name: given.get(name, "").strip() for name in ("name", "role", "language")}
    if not new["name"] or new["role"] not in ROLES or new["language"] not in LANGUAGES:
        raise BadInput(words.say("accounts.missing"))
    sites = _sites(words, given)
    return lambda connection, by: changing.change(connection, code, by, **new, sites=sites)


def _check_own(words: InWords, viewer: Viewer, code: str, act: str, given: Mapping[str, str]) -> None:
    """Refuse what would shut the administrator out who is asking."""
    is_own = viewer.caller.account is not None and viewer.caller.account.code.lower() == code.lower()
    if is_own and (act == "disable" or (act == "change" and given.get("role") != viewer.role)):
        raise BadInput(words.say("accounts.own"))


_Keep = Callable[[sa.Connection, Account, By], None]


def _password() -> tuple[_Made, _Keep]:
    """A password for once, and the step that keeps its hash and takes a second factor away."""
    secret = passwords.new_for_once()
    kept = passwords.hashed(secret)

    def keep(connection: sa.Connection, account: Account, by: By) -> None:
        passwords.set_password(connection, account, kept, by, for_once=True)
        if passwords.secrets_of(connection, account.code).totp is not None:
            passwords.set_up_totp(connection, account, None, by)

    return _Made("password", secret), keep


def _token(note: str) -> tuple[_Made, _Keep]:
    """A token, and the step that keeps its hash."""
    secret = tokens.make()

    def keep(connection: sa.Connection, account: Account, by: By) -> None:
        tokens.add(connection, account, tokens.digest(secret), note.strip(), by)

    return _Made("token", secret), keep


def _account(words: InWords, given: Mapping[str, str]) -> Account:
    code, name = given.get("code", "").strip(), given.get("name", "").strip()
    role = next((each for each in ROLES if each == given.get("role")), None)
    language = next((each for each in LANGUAGES if each == given.get("language")), words.say.language)
    if not code or not name or role is None:
        raise BadInput(words.say("accounts.missing"))
    return Account(code, name, role, _sites(words, given), language, bool(given.get("program")))


def _sites(words: InWords, given: Mapping[str, str]) -> tuple[str, ...] | None:
    """The codes of sites that were entered; None for all of them, which has to be said."""
    said = given.get("sites", "").strip()
    if said.lower() in _ALL:
        return None
    found = tuple(dict.fromkeys(each for each in re.split(r"[,，、\s]+", said) if each))
    if not found:
        raise BadInput(words.say("accounts.sites-missing"))
    return found


def _list(
    request: Request,
    api: ApiContext,
    viewer: Viewer,
    entered: Mapping[str, str] | None = None,
    refused: str = "",
) -> HTMLResponse:
    words = own_words(api, viewer)
    with api.study.store.reading() as connection:
        found = changing.every_account(connection)
    return show(
        request,
        api,
        "accounts",
        words.say("accounts.title"),
        status=HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK,
        viewer=viewer,
        refused=refused,
        entered=entered or {},
        rows=[(each, _line(words, each)) for each in found],
        roles=ROLES,
        languages=LANGUAGES,
    )


def _line(words: InWords, account: Account) -> str:
    sites = words.say("accounts.all") if account.sites is None else ", ".join(account.sites)
    return words.say("accounts.line", name=account.name, role=words.say(f"role.{account.role}"), sites=sites)


def _one(
    request: Request,
    api: ApiContext,
    viewer: Viewer,
    code: str,
    entered: Mapping[str, str] | None = None,
    refused: str = "",
    said: str = "",
) -> HTMLResponse:
    words = own_words(api, viewer)
    with api.study.store.reading() as connection:
        account = changing.get(connection, code)
        log = changing.changes(connection, account.code)
        mine = [each for each in tokens.every_token(connection) if each.account == account.code]
    sites = "all" if account.sites is None else ", ".join(account.sites)
    kept = {"name": account.name, "role": account.role, "language": account.language, "sites": sites}
    return show(
        request,
        api,
        "account",
        words.say("accounts.one", code=account.code),
        status=HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK,
        viewer=viewer,
        said=words.say("accounts.done") if said == "done" else "",
        refused=refused,
        account=account,
        line=_line(words, account),
        entered=kept | dict(entered or {}),
        tokens=[_token_line(words, each) for each in mine],
        log=list(_log(words, log)),
        roles=ROLES,
        languages=LANGUAGES,
    )


def _token_line(words: InWords, row: tokens.TokenRow) -> dict[str, Any]:
    short = row.digest[: tokens.SHORT]
    said = words.say(
        "accounts.token-line", token=short, at=words.short_instant(row.created_at), note=row.note
    )
    return {"token": short, "said": said, "gone": row.revoked_at is not None}


def _log(words: InWords, log: list[changing.Change]) -> Iterator[tuple[str, str]]:
    for each in reversed(log):
        by = words.say(
            "accounts.log-line", at=words.short_instant(each.at), by=each.actor or words.door(each.door)
        )
        yield words.say(f"what.account.{each.what}"), by


def _secret(request: Request, api: ApiContext, viewer: Viewer, code: str, made: _Made) -> HTMLResponse:
    words = own_words(api, viewer)
    facts: dict[str, Any] = {"about": words.say(f"accounts.secret-{made.kind}", code=code), "code": code}
    return show(
        request, api, "secret", words.say("accounts.secret"), viewer=viewer, secret=made.secret, **facts
    )
