"""Signing in to the pages: attempts, the wait after failures, and sessions."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from itp_events.errors import Forbidden
from tasks.accounts import changing, passwords
from tasks.accounts.account import Account
from tasks.accounts.proof import IDLE
from tasks.accounts.tokens import digest
from tasks.database.schema import sessions, sign_ins
from tasks.database.store import Store

Outcome = Literal["signed-in", "proxy", "refused", "signed-out", "signed"]
# Failures before the wait begins; it doubles with each further one.
FREE_FAILURES = 5
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)
# Older failures count no more.
REMEMBERED = timedelta(hours=1)
# A session is noted as seen so often at most: each note is a write.
_SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SignIn:
    """One line of the sign-in log."""

    at: datetime
    account: str | None
    address: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """The entries of a person who signs in, from an address, at an instant (UTC)."""

    code: str
    password: str
    second_factor: str
    address: str
    at: datetime


def wait_until(store: Store, code: str, address: str, at: datetime) -> datetime | None:
    """The instant until which an account or an address has to wait after failures; None: it need not."""
    with store.reading() as connection:
        account = changing.find(connection, code)
        waits: list[datetime | None] = [_wait(connection, sign_ins.c.address == address, at)]
        if account is not None:
            waits.append(_wait(connection, sign_ins.c.account == account.code, at))
    return max((each for each in waits if each and each > at), default=None)


def _wait(connection: sa.Connection, whose: sa.ColumnElement[bool], at: datetime) -> datetime | None:
    query = (
        sa.select(sign_ins.c.at, sign_ins.c.outcome)
        .where(
            whose, sign_ins.c.at > at - REMEMBERED, sign_ins.c.outcome.in_(("refused", "signed-in", "signed"))
        )
        .order_by(sign_ins.c.at.desc(), sign_ins.c.id.desc())
        .limit(FREE_FAILURES + 20)
    )
    failed: list[datetime] = []
    for row in connection.execute(query).all():
        if row.outcome != "refused":
            break
        failed.append(row.at)
    if len(failed) < FREE_FAILURES:
        return None
    wait: timedelta = min(FIRST_WAIT * 2 ** (len(failed) - FREE_FAILURES), LONGEST_WAIT)
    return failed[0] + wait


def verify(store: Store, attempt: Attempt) -> Account | None:
    """The account whose password and second factor were entered; None when they are wrong.

    Every attempt is noted in the sign-in log, a failed one before the answer.
    """
    with store.reading() as connection:
        account = changing.find(connection, attempt.code)
        kept = passwords.secrets_of(connection, account.code if account else "")
    is_right = passwords.is_password(kept.password, attempt.password)
    is_right = is_right and account is not None and account.active
    if is_right and account is not None and kept.totp is not None:
        is_right = _is_fresh(store, account, kept.totp, attempt)
    if account is None or not is_right:
        note(store, account.code if account else None, attempt.address, "refused", attempt.at)
        return None
    return account


def _is_fresh(store: Store, account: Account, secret: str, attempt: Attempt) -> bool:
    """Whether a second factor's code counts now, and takes it: each counts once, of two at once for one."""
    step = passwords.step_of(secret, attempt.second_factor, attempt.at)
    if step is None:
        return False
    return store.write(lambda connection: passwords.use_step(connection, account, step, attempt.at))


def prove(store: Store, attempt: Attempt) -> Account:
    """The account of a person who gives code, password and second factor to sign; noted in the sign-in log.

    Raises:
        Forbidden: they are not known together, or too many attempts have failed.
    """
    if wait_until(store, attempt.code, attempt.address, attempt.at):
        raise Forbidden("account", "too many attempts failed: wait some minutes")
    account = verify(store, attempt)
    if account is None:
        raise Forbidden("account", "code, password and second factor are not known together")
    note(store, account.code, attempt.address, "signed", attempt.at)
    return account


def open_session(store: Store, account: Account, address: str, at: datetime, outcome: Outcome) -> str:
    """Sign an account in; returns the value of the cookie, of which only the SHA-256 is kept."""
    cookie = secrets.token_urlsafe(32)
    row = {
        "digest": digest(cookie),
        "account": account.code,
        "opened_at": at,
        "seen_at": at,
        "address": address,
    }

    def step(connection: sa.Connection) -> None:
        connection.execute(sessions.insert(), row)
        connection.execute(sign_ins.insert(), _row(account.code, address, outcome, at))

    store.write(step)
    return cookie


def see(store: Store, session: str, at: datetime) -> None:
    """Note that a session, named by its digest, was used; at most once a minute."""
    old = (
        sessions.c.digest == session,
        sessions.c.ended_at.is_(None),
        sessions.c.seen_at < at - _SEEN_EVERY,
        sessions.c.seen_at > at - IDLE,
    )
    with store.reading() as connection:
        if connection.scalar(sa.select(sa.literal(1)).where(*old)) is None:
            return
    store.write(lambda connection: connection.execute(sessions.update().where(*old).values(seen_at=at)))


def end(store: Store, session: str, account: Account, address: str, at: datetime) -> None:
    """Sign out: the session, named by its digest, counts no more."""

    def step(connection: sa.Connection) -> None:
        live = sessions.c.digest == session, sessions.c.ended_at.is_(None)
        connection.execute(sessions.update().where(*live).values(ended_at=at))
        connection.execute(sign_ins.insert(), _row(account.code, address, "signed-out", at))

    store.write(step)


def attempts(connection: sa.Connection) -> list[SignIn]:
    """The sign-in log, oldest first."""
    columns = (sign_ins.c.at, sign_ins.c.account, sign_ins.c.address, sign_ins.c.outcome)
    return [SignIn(**row._mapping) for row in connection.execute(sa.select(*columns).order_by(sign_ins.c.id))]


def note(store: Store, code: str | None, address: str, outcome: Outcome, at: datetime) -> None:
    """Append a line to the sign-in log, of an account or of nobody known."""
    store.write(lambda connection: connection.execute(sign_ins.insert(), _row(code, address, outcome, at)))


def _row(code: str | None, address: str, outcome: Outcome, at: datetime) -> dict[str, object]:
    return {"at": at, "account": code, "address": address, "outcome": outcome}
