"""Runs what an administrator states on a page, in the transaction that checks that they still are one."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import sqlalchemy as sa

from deployments.api.http.dependencies import ApiContext
from deployments.api.http.problems import Problem
from deployments.api.web.viewer import Viewer
from tasks.accounts.changing import By
from tasks.accounts.proof import proven

Result = TypeVar("Result")


def as_administrator(api: ApiContext, viewer: Viewer, step: Callable[[sa.Connection, By], Result]) -> Result:
    """Run `step` in a transaction, with the author of its changes; returns its result.

    Raises:
        Problem: 403 for somebody who is no administrator any more.
    """

    def checked(connection: sa.Connection) -> Result:
        now, proof = api.study.wall(), viewer.caller.proof
        found = proven(connection, proof, now, lock=True) if proof else None
        if found is None or not found.account.may("administer"):
            said = f"this needs a token of role admin; yours is of role {viewer.role}"
            raise Problem(HTTPStatus.FORBIDDEN, "role", said)
        return step(connection, By(found.account.code, "page", now))

    return api.study.store.write(checked)
