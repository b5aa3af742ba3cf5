"""The gate that every request passes before its route: HEAD, unexpected errors."""

from __future__ import annotations

import logging
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.problem_details import answer, document

log = logging.getLogger(__name__)


class Gate:
    """Answers HEAD as GET, and an unexpected error with one 500.

    It raises no error that it has answered: the server would log the traceback a second time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The server itself sends no body in answer to HEAD.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        answered = False

        async def sending(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(asked, receive, sending)
        except ClientDisconnect:
            log.info("%s %s: the client left before it had sent everything", scope["method"], scope["path"])
        except Exception as error:
            log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
            if answered:
                raise
            said = "the service failed; what was recorded before stays, and its log says more"
            failure = answer(document(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", said))
            await failure(scope, receive, send)
