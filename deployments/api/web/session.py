"""Sessions of the pages: a signed cookie that says who is signed in, and the token of its forms.

The cookie holds the account's code, the SHA-256 of the token that was given, and when it ends. It is renewed
with every page, and ends after half an hour without one. Taking the token away ends it at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

COOKIE = "itp_session"
IDLE = timedelta(minutes=30)
# Each use of the key has a signature of its own: none can be made of another's.
_SESSION, _FORM = b"session\n", b"form\n"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person: `digest` is the SHA-256 of their token, empty where no token is asked for.

    `name` is random and tells sessions apart. `until` is an instant of the world's clock, in seconds.
    """

    code: str
    digest: str
    name: str
    until: int


def begin(code: str, digest: str, now: datetime) -> Session:
    """A new session of an account, from the instant `now` (UTC) on."""
    return Session(code, digest, secrets.token_hex(16), _end(now))


def renewed(session: Session, now: datetime) -> Session:
    """The session, which goes on from the instant `now` (UTC)."""
    return replace(session, until=_end(now))


def _end(now: datetime) -> int:
    return int((now + IDLE).timestamp())


def seal(session: Session, key: bytes) -> str:
    """The value of the session's cookie."""
    said = json.dumps([session.code, session.digest, session.name, session.until]).encode()
    body = base64.urlsafe_b64encode(said).decode()
    return f"{body}.{hmac.new(key, _SESSION + said, hashlib.sha256).hexdigest()}"


def unseal(value: str, key: bytes, now: datetime) -> Session | None:
    """The session of a cookie; None for one that was not made here, was changed, or has ended."""
    body, _, signature = value.partition(".")
    try:
        said = base64.urlsafe_b64decode(body)
    except ValueError:
        return None
    if not hmac.compare_digest(hmac.new(key, _SESSION + said, hashlib.sha256).hexdigest(), signature):
        return None
    session = Session(*json.loads(said))
    return session if session.until > now.timestamp() else None


def form_token(session: str, key: bytes) -> str:
    """The token that a form of a session carries: another site can neither read nor guess it."""
    return hmac.new(key, _FORM + session.encode(), hashlib.sha256).hexdigest()
