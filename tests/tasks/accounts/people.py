"""Accounts for tests, each with a token."""

from datetime import datetime

from flows.study.roles import SignedIn
from tasks.accounts import changing, tokens
from tasks.accounts.account import Account, Role
from tasks.accounts.changing import By
from tasks.accounts.proof import Proof
from tests.tasks.desk import ENROLLED_AT, Desk

BY = By("os:root", "cli", ENROLLED_AT)


def person(
    desk: Desk, role: Role, code: str = "", *, sites: tuple[str, ...] | None = None, for_others: bool = False
) -> SignedIn:
    """A new account of a role, signed in by a token; its code is the role unless it is given."""
    account = Account(code or role, "Somebody", role, sites, speaks_for_others=for_others)
    return sender(desk, account)


def sender(desk: Desk, account: Account, at: datetime = ENROLLED_AT) -> SignedIn:
    """Add an account, with a token that it sends."""
    hashed = tokens.digest(tokens.make())
    with desk.store.writing() as connection:
        changing.add(connection, account, BY)
        tokens.add(connection, account, hashed, "test", BY)
    return SignedIn(account, Proof("token", hashed), "api", at)
