"""A hospital's own sign-on: a trusted proxy names the account of the person at the pages, in a header.

The header counts only from the proxy's own address. That is the address of the connection: a header such as
X-Forwarded-For, which anybody can send, changes what the log shows and not this.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from deployments.api.http.problems import Problem

_PEER = "itp.peer"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignOn:
    """The header that names an account, and the networks of the proxies that are believed."""

    header: str
    networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]

    def named(self, request: Request) -> str | None:
        """The code that the proxy names; None where it names nobody.

        Raises:
            Problem: 403 when somebody else sends the header, or it is sent twice.
        """
        given = request.headers.getlist(self.header)
        if not any(given):
            return None
        peer = str(request.scope.get(_PEER, ""))
        if not self._is_proxy(peer):
            log.warning("403 %s from %s: it is no proxy of ITP_PROXY_ADDRESSES", request.url.path, peer)
            said = "an account is named in a header by the hospital's proxy alone, and this is another sender"
            raise Problem(HTTPStatus.FORBIDDEN, "account", said)
        if len(given) > 1:
            log.warning("403 %s from %s: the header names two accounts", request.url.path, peer)
            said = "two accounts are named: the proxy must take out what a browser sends in its header"
            raise Problem(HTTPStatus.FORBIDDEN, "account", said)
        return given[0].strip()

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self.networks)


class Peers:
    """Keeps the address of each connection, and shows in its place the client that a proxy names.

    uvicorn does the second by itself, and with it the first is lost.
    """

    def __init__(self, app: ASGIApp, sign_on: SignOn | None) -> None:
        believed = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1").split(",")
        believed += [str(each) for each in sign_on.networks] if sign_on else []
        self._app = ProxyHeadersMiddleware(app, believed)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        client = scope.get("client")
        scope[_PEER] = client[0] if client else ""
        await self._app(scope, receive, send)  # type: ignore[arg-type]
