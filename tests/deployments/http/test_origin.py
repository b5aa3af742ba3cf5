"""Prefect's server is asked by its own pages and by programs, never by a page of another site."""

import asyncio
from typing import Any

import pytest

from deployments.http.origin import Guard, Message
from deployments.prefect.server_process import server_environment

pytestmark = pytest.mark.requirement("SEC-03")

PORT = 4200


def asked(kind: str, headers: dict[str, str], *twice: tuple[str, str], asks_who: bool = False) -> list[Any]:
    """What the server behind the guard, or the guard itself, answers; some headers may be sent `twice`."""
    sent: list[Any] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send("served")

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    named = [(name.encode(), value.encode("latin-1")) for name, value in (*twice, *headers.items())]
    asyncio.run(Guard(app, asks_who=asks_who)({"type": kind, "headers": named}, receive, send))
    return sent


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:4200"},
        {"host": "localhost:4200", "origin": "http://localhost:4200"},
        {"host": "127.0.0.1:4200", "origin": "http://localhost:4200"},
        {"host": "[::1]:4200", "origin": "http://127.0.0.1:4200"},
    ],
)
def test_its_own_pages_and_programs_ask(kind: str, headers: dict[str, str]) -> None:
    assert asked(kind, headers) == ["served"]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "rebound.example:4200"},
        {"host": "rebound.example:4200", "origin": "http://rebound.example:4200"},
        {"host": "127.0.0.1:4200", "origin": "https://elsewhere.example"},
        {"host": "127.0.0.1:4200", "origin": "http://127.0.0.1:8000"},
        {"host": "127.0.0.1:4200", "origin": "http://127.0.0.1:x"},
        {"host": "127.0.0.1:4200", "origin": "http://[127"},
        {"host": "127.0.0.1:4200", "origin": "null"},
    ],
)
def test_a_page_of_another_site_does_not(kind: str, headers: dict[str, str]) -> None:
    (first, *_) = asked(kind, headers)
    assert (first.get("status"), first.get("code")) in [(403, None), (None, 1008)]


@pytest.mark.parametrize("first", [("origin", "https://elsewhere.example"), ("host", "rebound.example:4200")])
def test_of_two_headers_of_a_name_neither_may_be_another_site_s(first: tuple[str, str]) -> None:
    own = {"host": "127.0.0.1:4200", "origin": "http://127.0.0.1:4200"}
    assert asked("http", own) == ["served"]
    assert asked("http", own, first) != ["served"]


def test_a_server_that_asks_who_may_have_another_name() -> None:
    public = {"host": "prefect.example.org", "origin": "https://prefect.example.org"}
    assert asked("http", public, asks_who=True) == ["served"]
    foreign = public | {"origin": "https://elsewhere.example"}
    assert asked("http", foreign, asks_who=True) != ["served"]


def test_the_address_under_which_its_pages_ask_may_be_a_public_one(tmp_path: Any) -> None:
    public = {"PREFECT_UI_API_URL": "https://prefect.example.org/api"}
    assert server_environment(tmp_path, PORT, public)["PREFECT_UI_API_URL"] == public["PREFECT_UI_API_URL"]
    assert server_environment(tmp_path, PORT, {})["PREFECT_UI_API_URL"] == "http://127.0.0.1:4200/api"
