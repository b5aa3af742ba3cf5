"""POST /webhooks/{name}: events that another system sends under its signature.

The sender signs `timestamp.body` with HMAC-SHA256 under a secret of its own, and sends the timestamp (seconds
since 1970) and `sha256=` and the signature in hexadecimal as headers. A request is good for five minutes; a
repetition within them changes nothing, since `source` and `id` identify an event. A sender may state only
events whose source is its own name, and no decisions.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from deployments.api.http.body import read_body
from deployments.api.http.cloudevents import refuse_binary
from deployments.api.http.dependencies import Dependencies
from deployments.api.http.problems import Problem
from deployments.api.routes.events import answer_to
from flows.study.roles import Speaker
from itp_events.errors import BadInput

TIMESTAMP, SIGNATURE = "X-ITP-Timestamp", "X-ITP-Signature"
WINDOW_SECONDS = 300
SETTING = "ITP_WEBHOOK_SECRETS"
SHORTEST = 16

router = APIRouter(include_in_schema=False)
log = logging.getLogger(__name__)


def read_secrets(setting: str) -> dict[str, str]:
    """The secret of each sender, from `name:secret` entries with commas between.

    Raises:
        BadInput: an entry that is none, by its number; no secret is repeated.
    """
    by_name: dict[str, str] = {}
    for number, entry in enumerate(filter(None, (each.strip() for each in setting.split(","))), 1):
        name, _, secret = entry.partition(":")
        if not name or len(secret) < SHORTEST:
            raise BadInput(
                f"entry {number} must be name:secret, the secret of {SHORTEST} characters or more", SETTING
            )
        by_name[name] = secret
    return by_name


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a body at a timestamp."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


@router.post("/webhooks/{name}")
async def receive(name: str, request: Request, api: Dependencies) -> JSONResponse:
    """Record the events of a signed request. The answer is that of POST /events."""
    body = await read_body(request)
    secret = api.webhook_secrets.get(name)
    clock = api.study.clock
    said = _wrong(secret, request, body, clock.wall(clock.now()))
    if said:
        log.warning("401 POST /webhooks/%s: %s", name[:100], said)
        raise Problem(HTTPStatus.UNAUTHORIZED, "signature", said)
    refuse_binary(request)
    return await api.in_door(answer_to, api, body, sender(name))


def sender(name: str) -> Speaker:
    """The sender of that name, as far as a webhook knows it."""
    return Speaker(source=name, said="this request has the role recorder", door=f"webhook:{name}")


def _wrong(secret: str | None, request: Request, body: bytes, now: datetime) -> str | None:
    timestamp = request.headers.get(TIMESTAMP, "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return f"the header {TIMESTAMP} must carry the seconds since 1970"
    if abs(now.timestamp() - int(timestamp)) > WINDOW_SECONDS:
        return f"{TIMESTAMP} is more than {WINDOW_SECONDS} s away from the service's clock"
    expected = signature(secret or "", timestamp, body)
    given = request.headers.get(SIGNATURE, "")
    if secret is None or not hmac.compare_digest(expected.encode(), given.encode()):
        return f"{SIGNATURE} does not fit"
    return None
