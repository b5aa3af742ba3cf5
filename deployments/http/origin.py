"""Tells requests that a page of another site makes a browser send from the others, and refuses them."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_REFUSAL = (
    b"a page of another site may not ask this server, nor may it be asked by a name of another machine\n"
)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def names_this_machine(host: str) -> bool:
    """Whether a Host header names this machine; another name that resolves to it is an attack."""
    return is_loopback(split_address(f"//{host}").hostname or "")


def is_foreign(origin: str, host: str) -> bool:
    """Whether an Origin header names another site than the Host header."""
    theirs, ours = split_address(origin), split_address(f"//{host}")
    if theirs.netloc == host:
        return False
    local = is_loopback(theirs.hostname or "") and is_loopback(ours.hostname or "")
    return not (local and _port(theirs) == _port(ours))


def split_address(address: str) -> SplitResult:
    """The parts of an address from a request; all are empty when it is malformed."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port or 80
    except ValueError:
        return None


class Guard:
    """Passes requests to Prefect's server unless a page of another site has sent them, websockets included.

    Prefect itself answers every origin. With `asks_who` it asks for a password, which protects it, so that it
    may be reached by other names than this machine's.
    """

    def __init__(self, app: App, *, asks_who: bool) -> None:
        self._app = app
        self._asks_who = asks_who

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] not in ("http", "websocket") or self._may(scope["headers"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSAL})
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    def _may(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether every Host and Origin header may ask: a client may send two that differ."""
        hosts = _values(headers, b"host") or [""]
        known = self._asks_who or all(names_this_machine(host) for host in hosts)
        origins = filter(None, _values(headers, b"origin"))
        return known and not any(is_foreign(origin, host) for origin in origins for host in hosts)


def _values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for given, value in headers if given == name]
