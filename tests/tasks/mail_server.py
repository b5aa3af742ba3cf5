"""A mail server on this machine that fails at the step a test chooses."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

OK = b"250 OK\r\n"


class _Talk(socketserver.StreamRequestHandler):
    fails_at: ClassVar[bytes] = b""
    mails: ClassVar[list[bytes]] = []
    replies: ClassVar[dict[bytes, bytes]] = {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if self.fails_at == verb:
                self.wfile.write(b"550 no\r\n")
                continue
            self.wfile.write(self.replies.get(verb, OK))
            if verb == b"DATA":
                self._body()
                if self.fails_at == b"DOT":
                    return
                self.wfile.write(OK)

    def _body(self) -> None:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.mails.append(b"".join(lines))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def mail_server(fails_at: bytes = b"", mails: list[bytes] | None = None) -> Iterator[int]:
    """Its port; `fails_at` is the SMTP verb that it refuses, or DOT: it hangs up on the message's end.

    `mails` takes the messages as they arrive.
    """
    talk = type("Talk", (_Talk,), {"fails_at": fails_at, "mails": [] if mails is None else mails})
    with _Server(("127.0.0.1", 0), talk) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()
