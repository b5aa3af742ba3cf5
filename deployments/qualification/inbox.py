"""Receives what Apprise sends, on 127.0.0.1: the recipients of a qualification."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args

from itp_events.protocol.model import Audience


@dataclass(frozen=True, slots=True)
class Message:
    """A message that arrived, and the audience to whose address it came."""

    audience: str
    title: str
    body: str

    @property
    def text(self) -> tuple[str, str, str]:
        """Audience, title and body: what makes two messages the same."""
        return self.audience, self.title, self.body


@dataclass
class Inbox:
    """All messages that arrived, in their order."""

    port: int = 0
    messages: list[Message] = field(default_factory=list)

    def about(self, code: str, audience: str) -> list[Message]:
        """The messages to an audience whose title names a subject."""
        return [each for each in list(self.messages) if each.audience == audience and code in each.title]

    def write_configuration(self, path: Path) -> None:
        """Write an Apprise configuration that sends each audience's notices here."""
        path.write_text(
            "".join(f"{name}=json://127.0.0.1:{self.port}/{name}\n" for name in get_args(Audience)),
            encoding="utf-8",
        )


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """Listen on a free port of 127.0.0.1 until the end of the block."""
    inbox = Inbox()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.inbox = inbox
    inbox.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    inbox: Inbox


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Keep the message, and say that it was taken."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        audience = self.path.strip("/").partition("?")[0]
        self.server.inbox.messages.append(Message(audience, body["title"], body["message"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Say nothing: the qualification reads `messages`."""
