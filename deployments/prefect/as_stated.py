"""Refuses changes of a waiting form's values through Prefect's API."""

from __future__ import annotations

import json
from collections.abc import Sequence

from deployments.http.origin import App, Message, Receive, Send

RUNS = "/api/flow_runs/"
# A request about a run holds little more than its parameters, of half a megabyte at most.
LONGEST = 1_000_000

_REFUSAL = (
    b'{"detail": "the parameters of a run are what somebody has stated: they cannot be changed; '
    b'cancel the run, and start another"}'
)


class AsStated:
    """Passes all requests to Prefect's server except a change of a run's parameters.

    Prefect's API allows that to every client, and nothing in the service needs it.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "PATCH" or not scope["path"].startswith(RUNS):
            await self._app(scope, receive, send)
            return
        messages = await _whole(receive)
        if _changes_parameters(b"".join(message.get("body", b"") for message in messages)):
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSAL})
        else:
            await self._app(scope, _replay(messages, receive), send)


async def _whole(receive: Receive) -> list[Message]:
    """The messages of a request's body, to its end or until it is too long."""
    messages, length = [await receive()], 0
    while messages[-1].get("more_body") and length <= LONGEST:
        length += len(messages[-1].get("body", b""))
        messages.append(await receive())
    return messages


def _changes_parameters(body: bytes) -> bool:
    """Whether a body changes parameters; so counts one that is too long to read, or no JSON."""
    if len(body) > LONGEST:
        return True
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return b"parameters" in body
    return isinstance(asked, dict) and "parameters" in asked


def _replay(messages: Sequence[Message], receive: Receive) -> Receive:
    left = list(messages)

    async def again() -> Message:
        return left.pop(0) if left else await receive()

    return again
