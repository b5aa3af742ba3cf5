"""The proof by which an account is known, a token or a session; read in the transaction that relies on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from tasks.accounts.account import COLUMNS, Account, account_of
from tasks.database.schema import accounts, sessions, tokens

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


_DIGEST = sa.bindparam("digest", type_=sa.Text)
_AT = sa.bindparam("at", type_=tokens.c.expires_at.type)
_SINCE = sa.bindparam("since", type_=sessions.c.seen_at.type)
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
    ("token", False): _BY_TOKEN,
    ("token", True): _BY_TOKEN.with_for_update(read=True, of=[accounts, tokens]),
    ("session", False): _BY_SESSION,
    ("session", True): _BY_SESSION.with_for_update(read=True, of=[accounts, sessions]),
}


def proven(connection: sa.Connection, proof: Proof, at: datetime, *, lock: bool = False) -> Proven | None:
    """The account of a proof at an instant (UTC, the machine's); None when it proves nothing.

    With `lock` nobody changes the account, or takes the proof away, until the transaction ends.
    """
    asked: dict[str, object] = {"digest": proof.digest}
    asked |= {"at": at} if proof.kind == "token" else {"since": at - IDLE}
    row = connection.execute(_QUERIES[proof.kind, lock], asked).one_or_none()
    return Proven(account_of(row), bool(row.in_file)) if row else None
