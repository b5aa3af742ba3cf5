"""Bounds the connections of a server in number and time, so that silent clients cannot block the others.

A connection costs a file descriptor, and the senders and the database need descriptors too. A client that is
silent or too slow loses its connection after some seconds. When all places are taken, the client that has
been silent longest loses its place to the next one.
"""

from __future__ import annotations

import asyncio
import resource
from http import HTTPStatus
from typing import Literal

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from deployments.http.problem_details import answer, document
from itp_events.errors import RuleName

# The most connections at once: enough for a site's people and programs. A browser opens about six.
MOST = 512
BACKLOG = 128
# From the first byte of a request, or from the connection, to the end of its head.
HEAD_SECONDS = 8.0
# 2 MiB in a minute is 280 kbit/s.
BODY_SECONDS = 60.0
# Between two parts of a body, and for a client that does not read its answer.
PAUSE_SECONDS = 8.0
UNREAD_SECONDS = 30.0
# Longer than clients and proxies keep an idle connection, so that they close it. A request that arrives while
# the server closes is lost.
KEPT_SECONDS = 75

# What a request may hold besides its body: the parser itself has no limit. A body in chunks of one byte takes
# six bytes for each.
HEAD_BYTES = 64 * 1024
BYTES_FOR_EACH = 8
# Requests that a client sends without waiting for the answers, on one connection.
MOST_AHEAD = 32

Part = Literal["head", "body"]
LIMITS: dict[Part, float] = {"head": HEAD_SECONDS, "body": BODY_SECONDS}


# More than all parts together ever need.
DESCRIPTORS = 65_536


def raise_descriptor_limit() -> None:
    """Raise this process's limit of open files to its hard limit, to 65,536 at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def places() -> int:
    """The most connections: half of the descriptors, as the senders and the database need the others."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else min(MOST, soft // 2)


def backlog() -> int:
    """The most clients in the queue: all are accepted at once, and take a descriptor before they count."""
    return min(BACKLOG, places())


class _Unserved(httptools.HttpParserError):
    """A request that the parser can read, and that is refused; the message says why."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection, within limits of number, time and size.

    A message that is refused is answered after the requests before it, and the connection is closed.
    """

    # The part of the newest request that is arriving, its bytes so far, and those of its body.
    _begun: Part | None = None
    _taken = _of_body = 0
    # Requests whose heads are whole, and that have no whole answer yet.
    _owed = 0
    # Whether the head that was just read offers another protocol, which is declined.
    _declined = False
    _refusal: bytes | None = None
    _timer: asyncio.TimerHandle | None = None
    _part: Part | None = None
    _since = 0.0
    _silent = True
    _served = False
    _unread: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether the server waits for the client: for a request, the rest of one, or to read an answer.

        One that has begun to send a request behind others waits for their answers itself.
        """
        its_body = self._begun == "body" and self._owed == 1
        return not self._owed or its_body or self.flow.write_paused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the client; without a free place a waiting connection is closed, or the answer is 503."""
        super().connection_made(transport)
        self._since = self.loop.time()
        if len(self.connections) > places() and not self._make_room():
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many requests at once; try again soon")
            return
        self._expect("head")

    def data_received(self, data: bytes) -> None:
        """Take a part of a request, and set the time for the rest."""
        if self._refusal is not None:
            return
        self._silent = False
        before = self._begun
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            self._refuse_unread(error)
        if before and not (self._begun or self._owed):
            # The rest of a body whose request was answered before.
            self._keep()
        else:
            self._look()

    def _parse(self, data: bytes) -> None:
        rest = data
        while rest:
            try:
                self.parser.feed_data(rest)
                rest = b""
            except httptools.HttpParserUpgrade as offer:
                if not self._declined:
                    self.handle_websocket_upgrade()
                    return
                # The parser takes what follows for the other protocol, a body too.
                self._declined = False
                rest = self._without_offer() + rest[offer.args[0] :]
                # Behind the last request of a connection this one would pass over everything.
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._taken += len(data)
        if self._begun and self._taken > HEAD_BYTES + BYTES_FOR_EACH * self._of_body:
            raise _Unserved(f"a request holds at most {HEAD_BYTES} bytes besides its body")

    def _without_offer(self) -> bytes:
        """The head that has just been read, without its offer of another protocol."""
        version = b"HTTP/" + self.parser.get_http_version().encode()
        first = b" ".join((self.parser.get_method(), self.url, version))
        kept = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([first, *kept, b"", b""])

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._begun, self._taken, self._of_body = "head", 0, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer, if the head names one host and few requests wait for their answers.

        Raises:
            _Unserved: it does not, or asks for a tunnel.
        """
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise _Unserved("a request names one Host")
        if len(self.pipeline) >= MOST_AHEAD:
            raise _Unserved(f"at most {MOST_AHEAD} requests are sent ahead of their answers")
        if self.parser.should_upgrade() and not self._should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise _Unserved("this is no proxy")
            self._declined = True
            return
        before = self.cycle
        super().on_headers_complete()
        self._owed += self.cycle is not before
        self._begun = "body"

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those behind a body are of no use, and are dropped."""
        if self._begun == "head":
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._of_body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is whole."""
        if not self._declined:
            self._begun = None
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, a part of which may have arrived already."""
        self._owed -= 1
        self._served = True
        self._since = self.loop.time()
        super().on_response_complete()
        if self._refusal is not None and not self._owed:
            self._close_with(self._refusal)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._expect(None)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give a client that does not read its answer some time to do so."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it reads."""
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def _should_upgrade(self) -> bool:
        """Never: there are no websockets here."""
        return False

    def _keep(self) -> None:
        self._expect(None)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _look(self) -> None:
        """Set the time by which the rest of a begun request must have arrived."""
        if self.transport.is_closing() or self._refusal is not None:
            self._expect(None)
        elif self._begun:
            self._expect(self._begun)
        elif self._owed or self.timeout_keep_alive_task is not None:
            self._expect(None)
        else:
            # Blank lines have come, as they may before a request.
            self._expect("head")

    def _expect(self, part: Part | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if part is None:
            self._part = None
            return
        now = self.loop.time()
        if part != self._part:
            self._part, self._since = part, now
        ends = self._since + LIMITS[part]
        self._timer = self.loop.call_at(
            min(ends, now + PAUSE_SECONDS) if part == "body" else ends, self._too_slow
        )

    def _too_slow(self) -> None:
        if self.flow.read_paused:
            # The rest may be there: this side has not taken it yet.
            self._timer = self.loop.call_later(PAUSE_SECONDS, self._too_slow)
        elif self._silent:
            self.transport.close()
        else:
            said = f"the {self._part} of the request did not come in time"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too-slow", said)

    def _refuse_unread(self, error: httptools.HttpParserError) -> None:
        """Refuse a message that the parser cannot read, or reads in two ways."""
        if "can't be present with" in str(error):
            # A proxy may see this body's end elsewhere, and take the rest for a request of another client.
            said = "a request has either a Content-Length or a Transfer-Encoding, not both"
            self._refuse(HTTPStatus.BAD_REQUEST, "framing", said)
        else:
            # The parser raises an error of its own over one of this module.
            why = next((each for each in (error, error.__context__) if isinstance(each, _Unserved)), None)
            self._refuse(HTTPStatus.BAD_REQUEST, "not-http", str(why or "this is no HTTP request"))

    def _refuse(self, status: HTTPStatus, rule: RuleName, said: str) -> None:
        """Answer the newest request if it has no answer yet, after those before it, and close; the
        application's answer to it is dropped.
        """
        refusal = _written(status, rule, said)
        if self._begun == "body":
            if self.pipeline:
                self.pipeline.popleft()
                self._owed -= 1
                self._refusal = refusal
            else:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
                self._close_with(b"" if self.cycle.response_started else refusal)
        elif self._owed:
            self._refusal = refusal
        else:
            self._close_with(refusal)

    def _close_with(self, refusal: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(refusal)
            self.transport.close()

    def _make_room(self) -> bool:
        """Close the connection that has waited longest, those without a request first; False without any."""
        waiting = [
            each
            for each in self.connections
            if isinstance(each, Connection) and each is not self and each.waits
        ]
        if not waiting:
            return False
        longest = min(waiting, key=lambda each: (each._served, each._since))
        # At once: to end it politely would need the client's part.
        longest.transport.abort()
        self.connections.discard(longest)
        return True


class WithWebsockets(Connection):
    """The same limits for a server with websockets, which take half of the places at most.

    A websocket is silent as a rule, so that it never loses its place.
    """

    def _should_upgrade(self) -> bool:
        """Whether this becomes a websocket; when too many are open it is answered as any other request."""
        open_now = sum(not isinstance(each, Connection) for each in self.connections)
        return open_now < places() // 2 and HttpToolsProtocol._should_upgrade(self)

    def _look(self) -> None:
        """Expect nothing more of a request that has become a websocket."""
        if self.transport.get_protocol() is self:
            super()._look()
        else:
            self._expect(None)


def _written(status: HTTPStatus, rule: RuleName, said: str) -> bytes:
    """A refusal as it is sent."""
    refusal = answer(document(status, rule, said), {"Connection": "close"})
    headers = [name + b": " + value for name, value in refusal.raw_headers]
    return b"\r\n".join([STATUS_LINE[status].rstrip(), *headers, b"", bytes(refusal.body)])
