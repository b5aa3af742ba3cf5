"""The proof by which an account is known, a token or a session; read in the transaction that relies on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from tasks.accounts.account import COLUMNS, Account, stored_account
from tasks.database.compiled import Compiled, Question, Row
from tasks.database.schema import accounts, instant_text, sessions, tokens

# Without any request for so long, a session ends.
IDLE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Proof:
    """The SHA-256 of a token or of a session's cookie."""

    kind: Literal["token", "session"]
    digest: str


@dataclass(frozen=True, slots=True)
class Proven:
    """The account that a proof stands for; `in_file`: the token counts only where its file holds it."""

    account: Account
    in_file: bool = False


# As stored, so that instants are compared as texts.
_DIGEST = sa.bindparam("digest", type_=sa.Text)
_AT = sa.bindparam("at", type_=sa.Text)
_SINCE = sa.bindparam("since", type_=sa.Text)
_BY_TOKEN = (
    sa.select(*COLUMNS, tokens.c.in_file)
    .select_from(tokens.join(accounts))
    .where(
        tokens.c.digest == _DIGEST,
        tokens.c.revoked_at.is_(None),
        sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > _AT),
        accounts.c.active,
    )
)
_BY_SESSION = (
    sa.select(*COLUMNS, sa.false().label("in_file"))
    .select_from(sessions.join(accounts))
    .where(
        sessions.c.digest == _DIGEST,
        sessions.c.ended_at.is_(None),
        sessions.c.seen_at > _SINCE,
        accounts.c.active,
    )
)
_QUERIES = {
    ("token", False): Compiled(_BY_TOKEN),
    ("token", True): Compiled(_BY_TOKEN.with_for_update(read=True, of=[accounts, tokens])),
    ("session", False): Compiled(_BY_SESSION),
    ("session", True): Compiled(_BY_SESSION.with_for_update(read=True, of=[accounts, sessions])),
}


def proven(connection: sa.Connection, proof: Proof, at: datetime, *, lock: bool = False) -> Proven | None:
    """The account of a proof at an instant (UTC, the machine's); None when it proves nothing.

    With `lock` nobody changes the account, or takes the proof away, until the transaction ends.
    """
    statement, values = asking(proof, at, lock=lock)
    return proven_by(statement.ask(connection, values))


def asking(proof: Proof, at: datetime, *, lock: bool = False) -> Question:
    """The question for the account of a proof, as in `proven`."""
    until = {"at": at} if proof.kind == "token" else {"since": at - IDLE}
    return _QUERIES[proof.kind, lock], {"digest": proof.digest} | {
        name: instant_text(instant) for name, instant in until.items()
    }


def proven_by(found: Sequence[Row]) -> Proven | None:
    """The account that the rows of the question hold; None when the proof proves nothing."""
    return Proven(stored_account(found[0]), bool(found[0]["in_file"])) if found else None
