"""Sessions of the pages: a signed cookie that says who is signed in, and the token of its forms.

The cookie holds the code that was given, the proof of the account (the SHA-256 of a token, or of a session
that the database keeps), and when it ends. It is renewed with every page, and ends after half an hour without
one. Revoking the token, signing out or disabling the account ends it at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from tasks.accounts.proof import IDLE, Proof

COOKIE = "itp_session"
# Each use of the key has a signature of its own: none can be made of another's.
_SESSION, _FORM = b"session\n", b"form\n"
_PARTS = 5


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person: `kind` and `digest` are the proof of their account, empty where none is asked for.

    `name` is random and tells sessions apart. `until` is an instant of the world's clock, in seconds.
    """

    code: str
    kind: str
    digest: str
    name: str
    until: int


def begin(code: str, proof: Proof | None, now: datetime) -> Session:
    """A new session of a person, from the instant `now` (UTC) on; without accounts there is no proof."""
    kind, digest = (proof.kind, proof.digest) if proof else ("", "")
    return Session(code, kind, digest, secrets.token_hex(16), _end(now))


def renewed(session: Session, now: datetime) -> Session:
    """The session, which goes on from the instant `now` (UTC)."""
    return replace(session, until=_end(now))


def _end(now: datetime) -> int:
    return int((now + IDLE).timestamp())


def seal(session: Session, key: bytes) -> str:
    """The value of the session's cookie."""
    said = json.dumps([session.code, session.kind, session.digest, session.name, session.until]).encode()
    body = base64.urlsafe_b64encode(said).decode()
    return f"{body}.{hmac.new(key, _SESSION + said, hashlib.sha256).hexdigest()}"


def unseal(value: str, key: bytes, now: datetime) -> Session | None:
    """The session of a cookie; None for one that was not made here, was changed, or has ended."""
    body, _, signature = value.partition(".")
    try:
        said = base64.urlsafe_b64decode(body)
    except ValueError:
        return None
    # As bytes: of texts it compares ASCII alone, and a browser may send any letter.
    expected = hmac.new(key, _SESSION + said, hashlib.sha256).hexdigest().encode()
    if not hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass")):
        return None
    kept = json.loads(said)
    # An earlier version wrote one part less.
    session = Session(*kept) if len(kept) == _PARTS else None
    return session if session and session.until > now.timestamp() else None


def form_token(session: str, key: bytes) -> str:
    """The token that a form of a session carries: another site can neither read nor guess it."""
    return hmac.new(key, _FORM + session.encode(), hashlib.sha256).hexdigest()
