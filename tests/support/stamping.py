"""A time-stamping authority on this machine: OpenSSL's, behind an HTTP server on 127.0.0.1."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_CONFIG = """
[ tsa ]
default_tsa = it
[ it ]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
[ ext ]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
"""


@dataclass
class StampingAuthority:
    """The authority: its address, the file with its root, and how it answers."""

    folder: Path
    url: str = ""
    answers: bool = True
    # What it answers in place of a stamp.
    instead: bytes | None = None
    redirect: str = ""
    # More certificates that it sends with a stamp, as PEM, in this order.
    chain: str = ""

    @property
    def roots(self) -> Path:
        """The PEM file with the root's certificate."""
        return self.folder / "root.pem"

    def stamp(self, query: bytes) -> bytes:
        """The answer to a query, both in DER."""
        (self.folder / "query").write_bytes(query)
        (self.folder / "chain.pem").write_text(self.chain, encoding="utf-8")
        more = ("-chain", "chain.pem") if self.chain else ()
        asked = ("-config", "config", "-queryfile", "query", "-out", "answer", *more)
        _openssl(self.folder, "ts", "-reply", *asked)
        return (self.folder / "answer").read_bytes()


@contextmanager
def stamping_authority(folder: Path) -> Iterator[StampingAuthority]:
    """An authority with keys of its own, in a folder."""
    _make_keys(folder)
    authority = StampingAuthority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            if authority.redirect:
                self.send_response(307)
                self.send_header("Location", authority.redirect)
                self.end_headers()
                return
            said = authority.instead if authority.instead is not None else authority.stamp(query)
            self.send_response(200 if authority.answers else 503)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    authority.url = f"http://127.0.0.1:{server.server_port}/tsa"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _make_keys(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config").write_text(_CONFIG.format(folder=folder), encoding="utf-8")
    (folder / "serial").write_text("01\n", encoding="utf-8")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    mine = ("-x509", "-days", "2", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root")
    theirs = ("-new", "-keyout", "signer.key", "-out", "signer.csr", "-subj", "/CN=stamps")
    _openssl(folder, "req", *key, *mine)
    _openssl(folder, "req", *key, *theirs)
    signed_by = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "2")
    extensions = ("-extfile", "config", "-extensions", "ext")
    _openssl(folder, "x509", "-req", "-in", "signer.csr", *signed_by, *extensions, "-out", "signer.pem")


def _openssl(folder: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
