"""A pooler before PostgreSQL that lends a connection for a transaction, as PgBouncer does in that mode.

A client's next transaction goes to another connection of the server. What a session keeps there, statements
that were prepared or settings, is another client's when it returns. Startup options are refused.
"""

import contextlib
import os
import queue
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import sqlalchemy as sa

# The number that a client sends instead of a protocol's version to ask for TLS, and for GSSAPI.
_WITHOUT_ENCRYPTION = {80877103, 80877104}
_VERSION = 3 << 16
# What PgBouncer takes in a startup message; it refuses everything else.
_TAKEN = {"user", "database", "application_name", "client_encoding", "datestyle", "timezone"}
# The messages after which a server answers, and is ready again: a simple query, and a Sync.
_ASKS = b"QS"

Message = tuple[bytes, bytes]


class Pooler:
    """Listens on a port of its own; `size` connections to the server serve every client in turn."""

    def __init__(self, url: sa.URL, size: int = 2) -> None:
        self._url = url
        self._free: queue.Queue[_Wire] = queue.Queue()
        self._wires: list[_Wire] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = url.set(host="127.0.0.1", port=self._listener.getsockname()[1])
        self._greeting = b""
        for _ in range(size):
            self._free.put(self._to_server())

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in self._wires:
            wire.end()
        for thread in self._threads:
            thread.join(10)
        for wire in self._wires:
            wire.close()

    def _start(self, work: Callable[..., None], *about: object) -> None:
        thread = threading.Thread(target=work, args=about, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _to_server(self) -> "_Wire":
        wire = _Wire(socket.create_connection((self._url.host, self._url.port or 5432)))
        self._wires.append(wire)
        named = f"user\0{self._url.username}\0database\0{self._url.database}\0client_encoding\0UTF8\0\0"
        startup = struct.pack("!I", _VERSION) + named.encode()
        wire.send(struct.pack("!I", len(startup) + 4) + startup)
        messages = wire.until_ready()
        assert messages[0] == (b"R", b"\0\0\0\0"), f"the server asks for a password: {messages[0]}"
        self._greeting = b"".join(_packed(each) for each in messages if each[0] in b"RS")
        return wire

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = _Wire(self._listener.accept()[0])
                self._wires.append(client)
                self._start(self._serve, client)

    def _serve(self, client: "_Wire") -> None:
        with contextlib.suppress(OSError, EOFError), contextlib.closing(client):
            refused = _TAKEN.symmetric_difference(_TAKEN | client.startup().keys())
            if refused:
                said = f"SFATAL\0C08P01\0Munsupported startup parameter: {refused.pop()}\0\0"
                client.send(_packed((b"E", said.encode())))
                return
            client.send(self._greeting + _packed((b"K", os.urandom(8))) + _packed((b"Z", b"I")))
            while True:
                self._lend(client)

    def _lend(self, client: "_Wire") -> None:
        """Let a client have a connection from its first request until its transaction has ended."""
        asked = client.request()
        server = self._free.get()
        try:
            while True:
                server.send(asked)
                answered = server.until_ready()
                client.send(b"".join(map(_packed, answered)))
                if answered[-1] == (b"Z", b"I"):
                    break
                asked = client.request()
        except (OSError, EOFError):
            # A server's connection whose client left amid a transaction is not lent again.
            server.close()
            server = self._to_server()
            raise
        finally:
            self._free.put(server)


class _Wire:
    """One connection, read by whole messages."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._reader = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def end(self) -> None:
        """Let whoever reads here, or waits, find the end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        self._reader.close()
        self._socket.close()

    def startup(self) -> dict[str, str]:
        """The parameters with which a client begins; it is told that nothing is encrypted here."""
        while True:
            length, version = struct.unpack("!II", self._exactly(8))
            rest = self._exactly(length - 8)
            if version not in _WITHOUT_ENCRYPTION:
                parts = rest.decode().rstrip("\0").split("\0")
                return dict(zip(parts[::2], parts[1::2], strict=True))
            self.send(b"N")

    def request(self) -> bytes:
        """The next messages of a client, up to the one that is answered."""
        messages = [self._message()]
        while messages[-1][0] not in _ASKS:
            messages.append(self._message())
        return b"".join(map(_packed, messages))

    def until_ready(self) -> list[Message]:
        """The messages of a server, up to the one that says whether a transaction is open."""
        messages = [self._message()]
        while messages[-1][0] != b"Z":
            messages.append(self._message())
        return messages

    def _message(self) -> Message:
        kind, length = struct.unpack("!cI", self._exactly(5))
        if kind == b"X":
            raise EOFError
        return kind, self._exactly(length - 4)

    def _exactly(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) < size:
            raise EOFError
        return data


def _packed(message: Message) -> bytes:
    kind, body = message
    return kind + struct.pack("!I", len(body) + 4) + body
