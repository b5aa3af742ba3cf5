"""The API's server: a thread of the service's own process, or alone with `itp api`."""

from __future__ import annotations

import logging
import socket
import threading

import uvicorn
from fastapi import FastAPI

from deployments.http.connection import KEPT_SECONDS, Connection, backlog
from itp_events.errors import ItpError

DRAIN_SECONDS = 5

log = logging.getLogger(__name__)


class PortTaken(ItpError):
    """Another program listens on the API's port."""


class ApiServer(threading.Thread):
    """Serves the app until `stop`; takes no signals, which are the main thread's."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        super().__init__(name="api", daemon=True)
        self._socket = listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
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


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to an address, and does not take connections yet.

    Raises:
        PortTaken: the port is not free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named asyncio sends at once; without, an answer waits 40 ms for its client to confirm
    # the head before the body leaves.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"the API cannot listen on {host}:{port} ({error.strerror}): set ITP_API_PORT to a free port"
        ) from error
    return listener
