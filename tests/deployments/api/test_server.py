"""The socket that the API listens on."""

import socket

import pytest

from deployments.api.http.listening import listen

pytestmark = pytest.mark.requirement("RUN-08")


def test_a_connection_names_its_protocol_so_that_asyncio_sends_an_answer_at_once() -> None:
    with listen("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()) as client:
            served, _ = listener.accept()
            with served, client:
                assert served.proto == socket.IPPROTO_TCP
