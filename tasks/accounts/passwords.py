"""Passwords (argon2id) and second factors (TOTP, RFC 6238) of accounts."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import pyotp
import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.dialects import postgresql, sqlite

from itp_events.errors import BadInput
from tasks.accounts import changing
from tasks.accounts.account import Account
from tasks.accounts.changing import By
from tasks.database.registered_values import note_values
from tasks.database.schema import account_log, accounts, second_factors

# NIST SP 800-63B: length counts, and rules of composition do not.
SHORTEST, LONGEST = 12, 256
ISSUER = "ITP visits"
_HASHER = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of an account: a password's hash, and the secret of its second factor; None: not set."""

    password: str | None
    totp: str | None


def secrets_of(connection: sa.Connection, code: str) -> Secrets:
    """The secrets of an account; empty ones for an unknown code."""
    query = sa.select(accounts.c.password, accounts.c.totp).where(accounts.c.code == code)
    row = connection.execute(query).one_or_none()
    return Secrets(row.password, row.totp) if row else Secrets(None, None)


def hashed(password: str) -> str:
    """The hash of a password; raises BadInput for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadInput(f"a password has {SHORTEST} to {LONGEST} characters", "password")
    return _HASHER.hash(password)


def set_password(
    connection: sa.Connection, account: Account, password_hash: str, by: By, *, for_once: bool = False
) -> None:
    """Give an account a password; it is signed out everywhere.

    A password `for_once` was handed over by somebody else: its person replaces it before anything else.
    """
    changing.set_values(connection, account.code, {"password": password_hash}, by)
    changing.end_sessions(connection, account.code, by.at)
    changing.note(connection, account.code, "password", by, {"for_once": True} if for_once else {})


def is_for_once(connection: sa.Connection, code: str) -> bool:
    """Whether the password of an account is one that its person must replace first."""
    newest = (
        sa.select(account_log.c.details)
        .where(account_log.c.account == code, account_log.c.what == "password")
        .order_by(account_log.c.id.desc())
        .limit(1)
    )
    return bool((connection.scalar(newest) or {}).get("for_once"))


def new_for_once() -> str:
    """A fresh password for once: 79 random bits, without letters that look alike."""
    letters = "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(16))
    return "-".join(letters[place : place + 4] for place in range(0, 16, 4))


def set_up_totp(connection: sa.Connection, account: Account, secret: str | None, by: By) -> None:
    """Give an account a second factor, or with None take it away."""
    changing.set_values(connection, account.code, {"totp": secret}, by)
    # The codes of another secret are other codes: each counts from the beginning.
    mine = second_factors.c.account == account.code
    if connection.execute(second_factors.update().where(mine).values(step=0)).rowcount:
        note_values(connection, second_factors, {"account": account.code, "step": 0}, by.at)
    changing.note(connection, account.code, "second-factor", by, {"set_up": secret is not None})


def new_totp() -> str:
    """A fresh secret for a second factor, in base 32."""
    return pyotp.random_base32()


def totp_address(account: Account, secret: str) -> str:
    """The otpauth address that an authenticator reads, from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account.code, issuer_name=ISSUER)


def is_password(kept: str | None, given: str) -> bool:
    """Whether a password is the one whose hash is kept; as slow for an account without one."""
    try:
        _HASHER.verify(kept or _nobodys(), given)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


def step_of(secret: str, given: str, at: datetime) -> int | None:
    """The step of 30 s, at an instant or beside it, whose code was given; None when it is none of these."""
    totp, code = pyotp.TOTP(secret), "".join(given.split()).encode()
    steps = (totp.timecode(at) + beside for beside in (0, -1, 1))
    return next((step for step in steps if hmac.compare_digest(totp.generate_otp(step).encode(), code)), None)


def use_step(connection: sa.Connection, account: Account, step: int, at: datetime) -> bool:
    """Take the code of a step, at the machine's time (UTC).

    False when it, or a later one, was taken already, also by another at once.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    new = insert(second_factors).values(account=account.code, step=step)
    taken = new.on_conflict_do_update(
        index_elements=["account"],
        set_={"step": new.excluded.step},
        where=second_factors.c.step < new.excluded.step,
    )
    if connection.execute(taken.returning(second_factors.c.step)).one_or_none() is None:
        return False
    note_values(connection, second_factors, {"account": account.code, "step": step}, at)
    return True


@cache
def _nobodys() -> str:
    return _HASHER.hash("the password of nobody, so that an unknown account takes as long")
