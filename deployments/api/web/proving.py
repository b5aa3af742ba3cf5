"""Proving once more who decides: with the password, or with an investigator's token."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from fastapi import Request

from deployments.api.http.auth import Caller, address_of, deciding, investigator, refuse
from deployments.api.http.dependencies import ApiContext
from deployments.api.web.viewer import Viewer
from tasks.accounts.passwords import is_password, secrets_of
from tasks.accounts.sessions import note, wait_until


def prove_again(request: Request, api: ApiContext, viewer: Viewer, secret: str) -> Caller:
    """The investigator who gave their password again, or a token; hashing takes a tenth of a second.

    Raises:
        Problem: 401 for a wrong one, 403 for somebody who is no investigator, 429 after too many wrong ones.
    """
    account = viewer.caller.account
    if viewer.session.kind != "session" or account is None:
        return investigator(request, api, secret)
    store, address, now = api.study.store, address_of(request), api.study.wall()
    if wait_until(store, account.code, address, now):
        said = "too many wrong passwords: wait some minutes"
        raise refuse(request, HTTPStatus.TOO_MANY_REQUESTS, "token", said)
    with store.reading() as connection:
        kept = secrets_of(connection, account.code).password
    if not is_password(kept, secret):
        note(store, account.code, address, "refused", now)
        raise refuse(request, HTTPStatus.UNAUTHORIZED, "token", "this password is wrong")
    note(store, account.code, address, "signed", now)
    return replace(deciding(request, viewer.caller), signs=True)
