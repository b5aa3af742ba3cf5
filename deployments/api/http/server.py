"""The API's server: a thread of the service's own process, or alone with `itp api`."""

from __future__ import annotations

import logging
import socket
import threading

import uvicorn
from fastapi import FastAPI

from deployments.api.http.sign_on import Peers, SignOn
from deployments.http.connection import KEPT_SECONDS, Connection, backlog

DRAIN_SECONDS = 5

log = logging.getLogger(__name__)


class ApiServer(threading.Thread):
    """Serves the app until `stop`; takes no signals, which are the main thread's."""

    def __init__(self, app: FastAPI, listener: socket.socket, sign_on: SignOn | None = None) -> None:
        super().__init__(name="api", daemon=True)
        self._socket = listener
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                Peers(app, sign_on),
                # Done by Peers, which keeps the address of the connection.
                proxy_headers=False,
                http=Connection,
                ws="none",
                backlog=backlog(),
                timeout_keep_alive=KEPT_SECONDS,
                access_log=False,
                # uvicorn's lines go where the service's own lines go.
                log_config=None,
                log_level="warning",
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )

    def run(self) -> None:
        """Serve; called by `start`."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Answer the requests that have begun, for 5 s at most, and end."""
        self._server.should_exit = True
        if self.is_alive():
            self.join(DRAIN_SECONDS + 2)
        self._socket.close()
