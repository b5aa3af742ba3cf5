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

import h11
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

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


class Connection(H11Protocol):
    """uvicorn's connection, within limits of number and time."""

    _timer: asyncio.TimerHandle | None = None
    _part: Part | None = None
    _since = 0.0
    _silent = True
    _served = False
    _unread: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether the server waits for the client: for a request, the rest of one, or to read an answer."""
        return self.conn.our_state is h11.IDLE or self._part is not None or self.flow.write_paused

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
        self._silent = False
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the next request, a part of which may have arrived already."""
        self._served = True
        self._since = self.loop.time()
        super().on_response_complete()
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

    def send_400_response(self, msg: str) -> None:
        """Answer a message that is not HTTP with problem details."""
        self._refuse(HTTPStatus.BAD_REQUEST, "not-http", "this is no HTTP request")

    def _look(self) -> None:
        """Set the time by which the rest of a begun request must have arrived."""
        theirs = self.conn.their_state
        if self.transport.is_closing():
            self._expect(None)
        elif theirs is h11.SEND_BODY:
            self._expect("body")
        elif theirs is h11.IDLE and self.conn.trailing_data[0]:
            self._expect("head")
        else:
            self._expect(None)

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

    def _refuse(self, status: HTTPStatus, rule: RuleName, said: str) -> None:
        """Answer the request if it has no answer yet, and close; the application's answer is dropped."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            refusal = answer(document(status, rule, said), {"Connection": "close"})
            for event in _events(refusal):
                self.transport.write(self.conn.send(event) or b"")
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
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
        return open_now < places() // 2 and H11Protocol._should_upgrade(self)

    def _look(self) -> None:
        """Expect nothing more of a request that has become a websocket."""
        if self.transport.get_protocol() is self:
            super()._look()
        else:
            self._expect(None)


def _events(response: Response) -> list[h11.Event]:
    head = h11.Response(
        status_code=response.status_code,
        headers=response.raw_headers,
        reason=HTTPStatus(response.status_code).phrase.encode(),
    )
    return [head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()]
