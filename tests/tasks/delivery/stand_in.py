"""A stand-in for any provider on this machine: a proxy that answers for every host, also under TLS.

Apprise's plugins have their providers' addresses built in. `requests` goes through the proxy that the
environment names, so each plugin is tried as it is, down to the bytes that it sends.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Asked:
    """One request: its path with the query, and everything that came with it, as text."""

    path: str
    text: str


@dataclass
class StandIn:
    """Answers every request with what `answer` gives for its path: a status and a body."""

    answer: Callable[[str], tuple[int, str]] = lambda _: (200, "")
    asked: list[Asked] = field(default_factory=list)

    def always(self, body: str, status: int = 200) -> None:
        """Answer every request so from now on."""
        self.answer = lambda _: (status, body)


@contextmanager
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The stand-in, which all of this process's requests reach while it runs."""
    found = StandIn()
    handler = type("Handler", (_Handler,), {"found": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, address)
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield found
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    found: StandIn

    def do_CONNECT(self) -> None:
        """Speak TLS for the host that is asked for, and go on with the requests inside."""
        self.send_response(200)
        self.end_headers()
        self.connection = _tls().wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # A proxy is told the whole address.
        path = "/" + self.path.partition("://")[2].partition("/")[2] if "://" in self.path else self.path
        self.found.asked.append(Asked(path, f"{self.path}\n{self.headers}\n{raw.decode('utf-8', 'replace')}"))
        status, body = self.found.answer(path.partition("?")[0])
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        """As for POST: plugins differ in it."""
        self.do_POST()

    def do_PUT(self) -> None:
        """As for POST: plugins differ in it."""
        self.do_POST()

    def finish(self) -> None:
        """Close the encrypted connection too, which the server does not know of."""
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Say nothing: the test reads `asked`."""


@cache
def _tls() -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a provider")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(file)
    return context
