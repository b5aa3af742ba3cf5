"""Proving once more who decides: with the password, or with an investigator's token."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from fastapi import Request

from deployments.api.http.auth import Caller, address_of, by_token, deciding, investigator, refuse
from deployments.api.http.dependencies import ApiContext
from deployments.api.web.viewer import Viewer
from tasks.accounts.passwords import is_password, secrets_of
from tasks.accounts.sessions import Outcome, note, wait_until


def prove_again(request: Request, api: ApiContext, viewer: Viewer, secret: str) -> Caller:
    """The investigator who gave their password again, or a token; hashing takes a tenth of a second.

    Raises:
        Problem: 401 for a wrong one, 403 for somebody who is no investigator, 429 after too many wrong ones.
    """
    if viewer.session.kind != "session" or viewer.caller.account is None:
        return investigator(request, api, secret)
    return replace(deciding(request, same_person(request, api, viewer, secret, "signed")), signs=True)


def same_person(
    request: Request, api: ApiContext, viewer: Viewer, secret: str, outcome: Outcome | None = None
) -> Caller:
    """The viewer, who gave the secret again with which they signed in; `outcome` goes to the sign-in log.

    Raises:
        Problem: 401 for a wrong one, 429 after too many wrong ones.
    """
    account = viewer.caller.account
    store, address, now = api.study.store, address_of(request), api.study.wall()
    if account is None or wait_until(store, account.code, address, now):
        said = "too many wrong passwords: wait some minutes"
        raise refuse(request, HTTPStatus.TOO_MANY_REQUESTS, "token", said)
    if not _is_secret(api, viewer, account.code, secret):
        note(store, account.code, address, "refused", now)
        raise refuse(request, HTTPStatus.UNAUTHORIZED, "token", "this password is wrong")
    if outcome:
        note(store, account.code, address, outcome, now)
    return viewer.caller


def _is_secret(api: ApiContext, viewer: Viewer, code: str, secret: str) -> bool:
    if viewer.session.kind != "session":
        found = by_token(api, secret)
        return found is not None and found.account is not None and found.account.code == code
    with api.study.store.reading() as connection:
        kept = secrets_of(connection, code).password
    return is_password(kept, secret)
