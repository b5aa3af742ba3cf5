"""The socket on which the API's server takes connections, in one process or shared by several."""

from __future__ import annotations

import socket

from itp_events.errors import ItpError


class PortTaken(ItpError):
    """Another program listens on the API's port."""


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
