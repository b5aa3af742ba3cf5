"""People with accounts of their own at the pages, in a study that a test serves."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from tasks.accounts import changing, passwords, tokens
from tasks.accounts.account import Account, Role
from tasks.accounts.changing import By
from tests.support.api import Door
from tests.support.pages import Person, visitor


def with_tokens(door: Door, people: Sequence[tuple[str, Role]]) -> dict[str, Person]:
    """Accounts of all sites, each signed in by a token of its own."""
    made = {}
    with door.study.store.writing() as connection:
        by = By(None, "cli", door.now)
        for code, role in people:
            account = Account(code, f"Name of {code}", role)
            changing.add(connection, account, by)
            token = tokens.make()
            tokens.add(connection, account, tokens.digest(token), "", by)
            made[code] = Person(visitor(door), code, token)
    for each in made.values():
        each.sign_in()
    return made


def with_password(door: Door, code: str, role: Role, password: str) -> Person:
    """A new account of all sites, signed in by a password."""
    by, account = By(None, "cli", door.now), Account(code, f"Name of {code}", role)
    kept = passwords.hashed(password)
    with door.study.store.writing() as connection:
        changing.add(connection, account, by)
        passwords.set_password(connection, account, kept, by)
    made = Person(visitor(door), code, password)
    answer = made.sign_in()
    assert answer.status_code == httpx.codes.SEE_OTHER
    return made
