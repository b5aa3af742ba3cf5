"""A real HTTP receiver on this machine, for what Apprise's json:// plugin posts."""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.waiting import PATIENCE, wait_until


@dataclass(frozen=True)
class Request:
    """One request as it arrived. `at` is the instant, in UTC, at which its body had been read."""

    path: str
    headers: dict[str, str]
    body: Any
    at: datetime


class _Manner(Enum):
    """How the receiver treats a request, once it has been recorded."""

    ANSWER = "answer"
    HANG = "hang"
    DIE = "die"


@dataclass
class Receiver:
    """Records every POST, then answers it, or fails, hangs or dies as it is told.

    A request that is failed, hung or died upon has been recorded all the same: the provider
    got it, the sender cannot know. Use as a context manager, or through the fixture `receiver`.
    """

    requests: list[Request] = field(default_factory=list)
    # Paths at which it answers 503, whatever it does elsewhere.
    out_of_order: set[str] = field(default_factory=set)
    _status: int = 200
    _manner: _Manner = _Manner.ANSWER
    _released: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port of 127.0.0.1 on which it listens."""
        return self._server.server_port

    def apprise_url(self, path: str = "") -> str:
        """The Apprise URL that posts to this receiver; path tells audiences apart."""
        return f"json://127.0.0.1:{self.port}/{path}"

    def succeed(self) -> None:
        """Answer 200 from now on, and let go of the requests that hang."""
        self._behave(_Manner.ANSWER, 200)

    def fail(self, status: int = 503) -> None:
        """Answer with this HTTP status from now on."""
        self._behave(_Manner.ANSWER, status)

    def hang(self) -> None:
        """Record what comes from now on and leave it without an answer, until told otherwise."""
        self._behave(_Manner.HANG)
        self._released = threading.Event()

    def die(self) -> None:
        """Record what comes from now on and close the connection without an answer."""
        self._behave(_Manner.DIE)

    def at(self, path: str) -> list[Request]:
        """What arrived at this path so far, oldest first."""
        return [request for request in list(self.requests) if request.path.strip("/") == path.strip("/")]

    def wait_for(self, count: int, path: str | None = None, *, timeout: float = PATIENCE) -> list[Request]:
        """Wait until at least count requests arrived (at path, when given), and return them all."""

        def arrived() -> list[Request]:
            return list(self.requests) if path is None else self.at(path)

        wait_until(
            lambda: len(arrived()) >= count, f"{count} requests at {path or 'any path'}", timeout=timeout
        )
        return arrived()

    def _behave(self, manner: _Manner, status: int = 200) -> None:
        self._manner, self._status = manner, status
        self._released.set()

    def _take(self, request: Request) -> int | None:
        """Record the request; the status to answer with, None for no answer at all."""
        manner, status, released = self._manner, self._status, self._released
        self.requests.append(request)
        if manner is _Manner.HANG:
            released.wait()
        if request.path in self.out_of_order:
            return 503
        return None if manner is _Manner.DIE else status


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    receiver: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed, or gave up waiting, is part of the tests: nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = Request(self.path, dict(self.headers.items()), json.loads(raw), datetime.now(UTC))
        status = self.server.receiver._take(request)
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/moved")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """Answer what a client makes of a redirect: a page, which has taken no message."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Say nothing: the test reads `requests`."""
