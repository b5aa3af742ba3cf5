"""Nobody changes what a waiting form says; everything else reaches Prefect as it was sent."""

import asyncio
import json

import pytest

from deployments.http.origin import Message, Receive, Send
from deployments.prefect.as_stated import LONGEST, AsStated

pytestmark = pytest.mark.requirement("RUN-09")

RUN = "/api/flow_runs/7f0f0f0f-0000-4000-8000-000000000000"


def ask(body: bytes, method: str = "PATCH", path: str = RUN, pieces: int = 1) -> tuple[int, bytes]:
    """Send a request in so many pieces; the status of the answer, and what reached the server behind."""
    size = max(1, -(-len(body) // pieces))
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    asked: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    asked[-1]["more_body"] = False
    reached: list[bytes] = []
    statuses: list[int] = []

    async def server(scope: Message, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            reached.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def receive() -> Message:
        return asked.pop(0)

    async def send(message: Message) -> None:
        if "status" in message:
            statuses.append(message["status"])

    scope = {"type": "http", "method": method, "path": path, "headers": []}
    asyncio.run(AsStated(server)(scope, receive, send))
    return statuses[0], b"".join(reached)


CHANGE = json.dumps({"tags": ["a"], "parameters": {"reached": False}}).encode()


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(
    "body",
    [
        CHANGE,
        CHANGE.decode().encode("utf-16"),
        b'{"\\u0070arameters": {}}',
        b'{"parameters": {}, "tags": [], "tags": []}',
        b'{"tags": ["' + b"a" * LONGEST + b'"]}',
        b'{"parameters": {},}',
    ],
)
def test_a_change_of_what_was_stated_is_refused_however_it_is_written(body: bytes, pieces: int) -> None:
    assert ask(body, pieces=pieces) == (403, b"")


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", RUN, b'{"tags": ["parameters"]}'),
        ("PATCH", RUN, b""),
        ("PATCH", RUN, b"[]"),
        ("POST", f"{RUN}/set_state", CHANGE),
        ("PATCH", "/api/deployments/7f0f0f0f-0000-4000-8000-000000000000", CHANGE),
    ],
)
def test_everything_else_reaches_prefect_as_it_was_sent(
    method: str, path: str, body: bytes, pieces: int
) -> None:
    assert ask(body, method, path, pieces) == (204, body)
