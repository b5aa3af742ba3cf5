"""Tokens of accounts. Only the SHA-256 of one is kept: it has 256 random bits, so no salt is needed."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from itp_events.errors import BadInput
from tasks.accounts import changing
from tasks.accounts.account import Account, Role
from tasks.accounts.changing import By
from tasks.database.registered_values import note_values
from tasks.database.schema import tokens

_PREFIX = "itp_"
# So many letters of a digest tell tokens apart in a list.
SHORT = 12


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as it is kept; it counts unless it expired or was revoked."""

    digest: str
    account: str
    note: str
    in_file: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def make() -> str:
    """A fresh token."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """The SHA-256 of a token, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def add(
    connection: sa.Connection,
    account: Account,
    digest: str,
    note: str,
    by: By,
    *,
    expires_at: datetime | None = None,
    in_file: bool = False,
) -> None:
    """Keep a token's digest for an account, and log it."""
    row: dict[str, object] = {"digest": digest, "account": account.code, "note": note, "in_file": in_file}
    row |= {"created_at": by.at, "expires_at": expires_at}
    connection.execute(tokens.insert(), row)
    note_values(connection, tokens, row, by.at)
    details = {"token": digest[:SHORT], "note": note}
    details |= {"expires_at": f"{expires_at:%Y-%m-%dT%H:%M:%SZ}"} if expires_at else {}
    changing.note(connection, account.code, "token", by, details)


def every_token(connection: sa.Connection) -> list[TokenRow]:
    """All tokens, the revoked ones too, by account and age."""
    query = sa.select(tokens).order_by(tokens.c.account, tokens.c.created_at, tokens.c.digest)
    return [TokenRow(**row._mapping) for row in connection.execute(query)]


def revoke(connection: sa.Connection, beginning: str, by: By) -> TokenRow:
    """Let a token count no more; it is named by the beginning of its digest, as a list shows it.

    Raises:
        BadInput: none begins so, or several do, or it is revoked already.
    """
    found = [row for row in every_token(connection) if row.digest.startswith(beginning.lower())]
    if len(beginning) < 6 or len(found) != 1:
        said = "several tokens begin so" if len(found) > 1 else "no token begins so"
        raise BadInput(f"{said}: give 6 letters or more of its digest; itp token list shows all", "TOKEN")
    [row] = found
    if row.revoked_at is not None:
        raise BadInput("it is revoked already", "TOKEN")
    connection.execute(tokens.update().where(tokens.c.digest == row.digest).values(revoked_at=by.at))
    note_values(connection, tokens, {"digest": row.digest, "revoked_at": by.at}, by.at)
    changing.note(
        connection, row.account, "token-revoked", by, {"token": row.digest[:SHORT], "note": row.note}
    )
    return row


@dataclass(frozen=True, slots=True)
class RoleToken:
    """A token that is known by a role alone, as earlier versions kept them; `note` says whose it is."""

    role: Role
    digest: str
    note: str


def take_over(connection: sa.Connection, found: Sequence[RoleToken], by: By) -> list[Account]:
    """Give each token without an account one that is named after its note; returns these accounts.

    Such an account speaks for others, since its token stated events by anybody until now.
    """
    wanted = {each.digest: each for each in found}
    known = set(connection.scalars(sa.select(tokens.c.digest).where(tokens.c.digest.in_(wanted))))
    taken = []
    for each in wanted.values():
        if each.digest not in known:
            account = for_role(connection, each.role, each.note, each.digest, by, "taken-over")
            add(connection, account, each.digest, each.note, by, in_file=True)
            taken.append(account)
    return taken


def for_role(
    connection: sa.Connection, role: Role, note: str, digest: str, by: By, what: changing.What = "added"
) -> Account:
    """The account for a token of a role that is named after its note; it is added when there is none."""
    name = re.sub(r"^\d{4}-\d{2}-\d{2}\s*", "", note).strip()
    code = _code(name) or f"token-{digest[:8]}"
    for number in range(1, 10_000):
        free = code if number == 1 else f"{code}-{number}"
        there = changing.find(connection, free)
        if there is None:
            account = Account(free, name or free, role, speaks_for_others=True)
            changing.add(connection, account, by, what)
            return account
        if there.role == role:
            return there
    raise BadInput(f"too many accounts are named {code}", "--note")


def _code(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name)
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain, flags=re.ASCII).strip("-._")[:56]
