"""Each request as a span, where the process records its spans; elsewhere the application does without it."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.bootstrap.telemetry import arriving
from tasks.spans import span

# Probes and scrapes come every few seconds, and tell nothing.
UNTRACED = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})


class Traced:
    """Opens a span for every request, within the sender's own trace where it names one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with span("door", above=arriving(headers)) as door:
            door.note(method=scope["method"], route="none")

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    # The route's own form: a path may hold a subject's code.
                    door.note(status=message["status"], route=_route(scope))
                await send(message)

            await self._app(scope, receive, sending)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "none"))
