"""Silent, slow and too many connections: they lose their places, and nobody else loses an answer."""

import json
import logging
import re
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket

from deployments.api.http import body
from deployments.http import connection
from deployments.http.connection import WithWebsockets, raise_descriptor_limit
from tasks.limits import WATCHERS
from tests.support.api import Door, enrolment, served
from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-08")

HEAD = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all times be short, but for the one that a test sets itself."""
    monkeypatch.setitem(connection.LIMITS, "head", 0.3)
    monkeypatch.setitem(connection.LIMITS, "body", 0.6)
    monkeypatch.setattr(connection, "PAUSE_SECONDS", 0.3)
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0.3)


def connect(door: Door, said: bytes = b"") -> socket.socket:
    """A connection on which something has been said."""
    made = socket.create_connection(("127.0.0.1", door.settings.api_port), timeout=20)
    made.sendall(said)
    return made


def everything(client: socket.socket) -> bytes:
    """What comes until the connection is closed."""
    found = b""
    with suppress(ConnectionResetError):
        while part := client.recv(65536):
            found += part
    return found


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("said", [HEAD, HEAD[:3], BODY])
def test_who_does_not_finish_a_request_is_told_and_loses_the_connection(door: Door, said: bytes) -> None:
    with connect(door, said) as client:
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "urn:itp:problem:too-slow"


@pytest.mark.usefixtures("impatient")
def test_who_says_nothing_loses_the_connection(door: Door) -> None:
    with connect(door) as client:
        assert everything(client) == b""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("said", [HEAD, BODY])
def test_who_drips_a_request_does_not_keep_the_connection_by_it(door: Door, said: bytes) -> None:
    with connect(door, said) as client, suppress(ConnectionError):
        client.settimeout(0.05)
        for _ in range(200):
            with suppress(TimeoutError):
                assert client.recv(12) == b"HTTP/1.1 408"
                return
            client.sendall(b"x")
    pytest.fail("a drip a twentieth of a second kept the connection for ten seconds")


@pytest.mark.usefixtures("impatient")
def test_a_kept_connection_waits_longer_than_a_request_may_take(door: Door) -> None:
    with connect(door, HEAD + b"\r\n") as kept, connect(door, HEAD + b"\r\n") as begun:
        for client in (kept, begun):
            one_answer(client)
        begun.sendall(HEAD)
        assert everything(begun).startswith(b"HTTP/1.1 408 ")
        kept.sendall(HEAD + b"\r\n")
        assert one_answer(kept) == 200


def one_answer(client: socket.socket) -> int:
    """The status of one answer, which is read to its end."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += client.recv(65536)
    head, _, body = found.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    return int(head.split()[1])


def test_a_connection_is_kept_longer_than_clients_and_proxies_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[uvicorn.Config] = []
    real = uvicorn.Config

    def noted(*given: Any, **named: Any) -> uvicorn.Config:
        made.append(real(*given, **named))
        return made[-1]

    monkeypatch.setattr(uvicorn, "Config", noted)
    with served(tmp_path):
        assert [config.timeout_keep_alive > 60 for config in made] == [True]


@pytest.mark.usefixtures("impatient")
def test_who_does_not_read_the_answers_loses_the_connection(door: Door) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", door.settings.api_port))

        def ask() -> bool:
            with suppress(TimeoutError):
                client.sendall((HEAD + b"\r\n") * 20)
            return False

        client.settimeout(0.2)
        with pytest.raises(ConnectionError):
            wait_until(ask, "the connection to be closed", timeout=20)


def test_silent_connections_make_room_for_those_who_ask(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST", 8)
    door.enrol()
    with ExitStack() as all_of_them:
        for _ in range(40):
            all_of_them.enter_context(connect(door, HEAD))
        # Over the connection that was there before, and over new ones.
        assert door.get("/subjects").status_code == 200
        with connect(door, HEAD + b"\r\n") as another:
            assert one_answer(another) == 200


@dataclass
class SlowDoor:
    """A door whose /subjects answers once `goes_on` is set."""

    door: Door
    goes_on: threading.Event = field(default_factory=threading.Event)
    asked: list[socket.socket] = field(default_factory=list)
    begun: int = 0

    def subjects(self, _: object) -> list[object]:
        """No subjects, late."""
        self.begun += 1
        assert self.goes_on.wait(20)
        return []

    def ask(self, count: int, behind: bytes = b"") -> None:
        """Ask so many times, with `behind` each request, and return when each is being answered."""
        said = b"GET /subjects HTTP/1.1\r\nHost: localhost\r\n\r\n" + behind
        self.asked = [connect(self.door, said) for _ in range(count)]
        wait_until(lambda: self.begun == count, "the requests to be read")

    def answers(self) -> list[int]:
        """The statuses of the answers, which are let go."""
        self.goes_on.set()
        return [one_answer(client) for client in self.asked]


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDoor]:
    with served(tmp_path) as door:
        slow = SlowDoor(door)
        monkeypatch.setattr("deployments.api.routes.subjects.all_subjects", slow.subjects)
        yield slow
        slow.goes_on.set()
        for client in slow.asked:
            client.close()


@pytest.mark.parametrize("behind", [b"", HEAD])
def test_a_request_that_is_being_answered_is_never_cut_off(
    slow: SlowDoor, monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    slow.ask(4, behind)
    monkeypatch.setattr(connection, "MOST", 6)
    with ExitStack() as idle:
        for _ in range(30):
            idle.enter_context(connect(slow.door))
        with connect(slow.door, HEAD + b"\r\n") as another:
            assert one_answer(another) == 200
        assert slow.answers() == [200] * 4


def test_those_who_only_read_cannot_take_all_threads(slow: SlowDoor) -> None:
    slow.ask(40)
    assert slow.door.post(enrolment("ITP-001", slow.door.now)).status_code == 201
    assert slow.door.get("/healthz").json()["database"]["status"] == "ok"
    assert slow.answers() == [200] * 40


def test_those_who_ask_how_the_service_is_cannot_take_all_threads(
    slow: SlowDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.api.routes.health.is_ready", lambda api: slow.subjects(api) == [])
    with ExitStack() as asking:
        for _ in range(50):
            asking.enter_context(connect(slow.door, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        wait_until(lambda: slow.begun == WATCHERS, "the first to be looked at")
        assert slow.door.get("/subjects/ITP-001").status_code == 404
        slow.goes_on.set()


def test_bodies_that_are_never_finished_fill_no_memory_and_stop_no_event(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "ROOM", room := body.Room(300_000))
    large = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 250000\r\n\r\n" + b" " * 200_000
    with connect(door, large) as unfinished:
        wait_until(lambda: room.free <= 100_000, "the large body to be taken in")
        refused = door.client.post("/events", content=b" " * 200_000)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:itp:problem:busy")
        assert refused.headers["Retry-After"]
        assert door.post(enrolment("ITP-001", door.now)).status_code == 201
        unfinished.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: room.free == 300_000, "its room to be free again")
    assert door.client.post("/events", content=b" " * 200_000).status_code == 422


def test_when_every_place_has_a_request_the_next_is_told_to_come_again(
    slow: SlowDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow.ask(3)
    slow.door.client.close()
    monkeypatch.setattr(connection, "MOST", 3)
    with connect(slow.door) as another:
        assert everything(another).startswith(b"HTTP/1.1 503 ")
    assert slow.answers() == [200] * 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_in_whatever_pieces_requests_come_each_is_answered_in_its_turn(
    door: Door, data: st.DataObject
) -> None:
    kinds = {
        HEAD + b"\r\n": 200,
        b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n": 404,
        b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}": 422,
        b"POST /events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\n[\r\n1\r\n]\r\n0\r\n\r\n": 422,
    }
    asked = data.draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=5))
    whole = b"".join(asked)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=12)))
    with connect(door) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begins, ends in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            client.sendall(whole[begins:ends])
        assert statuses(client, len(asked)) == [kinds[each] for each in asked]


def statuses(client: socket.socket, count: int) -> list[int]:
    """The statuses of so many answers, one behind the other."""
    found: list[int] = []
    rest = b""
    while len(found) < count:
        head, complete, body = rest.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if complete and len(body) >= length:
            found.append(int(head.split()[1]))
            rest = body[length:]
        else:
            rest += client.recv(65536)
    return found


MUTATED = (
    HEAD + b"\r\n",
    BODY[:-1].replace(b"100", b"2") + b"{}",
    b"POST /events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
)
PIECES = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b":",
    b" ",
    b"\xff",
    b"0",
    b"9" * 30,
    b"HTTP/1.1",
    b"Content-Length: 1\r\n",
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_bytes_come_nothing_fails_and_the_next_client_is_served(
    door: Door, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    said = bytearray().join(data.draw(st.lists(st.sampled_from(MUTATED), min_size=1, max_size=2)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(said)))
        said[at : at + data.draw(st.integers(0, 8))] = data.draw(
            st.sampled_from(PIECES) | st.binary(max_size=9)
        )
    with caplog.at_level(logging.WARNING), suppress(ConnectionError), connect(door, bytes(said)) as client:
        client.settimeout(0.1)
        answered = b""
        with suppress(TimeoutError):
            while part := client.recv(65536):
                answered += part
        assert not re.search(rb"^HTTP/1.1 5", answered, re.MULTILINE)
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR] == []
    assert door.get("/openapi.json").status_code == 200


UNREADABLE = {
    "two hosts": HEAD + b"Host: elsewhere.example\r\n\r\n",
    "no host": b"GET /openapi.json HTTP/1.1\r\n\r\n",
    "a length that is none": BODY[:-1].replace(b"100", b"+2") + b"{}",
    "two lengths": BODY[:-1].replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n{}"),
    "a chunk that is none": CHUNKED + b"x\r\n",
    "a tunnel": b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
    "a header over two lines": HEAD + b"X: a\r\n b\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no request": b"\x16\x03\x01\x02\r\n\r\n",
}


def test_what_is_no_http_is_answered_with_a_problem(door: Door) -> None:
    for said in (b"\x16\x03\x01\x02\r\n\r\n", BODY[:-1].replace(b"100", b"+2"), HEAD + b"X: a\x00b\r\n\r\n"):
        with connect(door, said) as client:
            answer = everything(client)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "urn:itp:problem:not-http"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 5), wrong=st.sampled_from(sorted(UNREADABLE)), cut=st.integers(0, 12))
def test_what_cannot_be_read_is_answered_after_the_requests_before_it(
    door: Door, count: int, wrong: str, cut: int
) -> None:
    good = (HEAD + b"\r\n") * count
    # What would come after the end of the connection could lose the answers.
    first, rest = good[: -cut or None], good[-cut:] if cut else b""
    with connect(door) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(first)
        client.sendall(rest + UNREADABLE[wrong])
        answers = everything(client)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200"] * count + [b"400"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("two hosts", "a request names one Host"),
        ("no host", "a request names one Host"),
        ("a tunnel", "this is no proxy"),
        ("no request", "this is no HTTP request"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_the_request(door: Door, wrong: str, said: str) -> None:
    with connect(door, UNREADABLE[wrong]) as client:
        assert json.loads(everything(client).partition(b"\r\n\r\n")[2])["detail"] == said


def test_requests_that_run_far_ahead_of_their_answers_are_answered_and_the_connection_ends(
    slow: SlowDoor,
) -> None:
    ahead = 5 * connection.MOST_AHEAD
    with connect(slow.door, b"GET /subjects HTTP/1.1\r\nHost: localhost\r\n\r\n" * ahead) as client:
        wait_until(lambda: slow.begun == 1, "the first to be looked at")
        slow.goes_on.set()
        found = re.findall(rb"HTTP/1.1 (\d+)", everything(client))
    assert found[-1] == b"400"
    assert set(found[:-1]) == {b"200"}
    assert len(found) < ahead


@pytest.mark.parametrize("said", ["head", "trailers"])
def test_a_head_or_a_tail_that_never_ends_is_refused(door: Door, said: str) -> None:
    chunked = CHUNKED + b"2\r\n[]\r\n0\r\n"
    with connect(door, HEAD if said == "head" else chunked) as client:
        with suppress(ConnectionError):
            for _ in range(1000):
                client.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")
        # What has come too late to be read lets the connection be reset, and the answer be lost.
        assert everything(client)[:13] in (b"HTTP/1.1 400 ", b"")


def test_a_body_in_the_smallest_chunks_is_taken(door: Door) -> None:
    text = json.dumps(enrolment("ITP-001", door.now)) + " " * 20_000
    answer = door.client.post("/events", content=(each.encode() for each in text))
    assert answer.status_code == 201


def test_after_a_body_that_was_refused_early_the_connection_is_kept_for_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.api.http.server.KEPT_SECONDS", 1)
    with served(tmp_path) as door, connect(door, BODY.replace(b"100", b"3000000")) as client:
        client.sendall(b" " * 2_500_000)
        assert one_answer(client) == 413
        client.sendall(b" " * 499_999 + HEAD + b"\r\n")
        assert one_answer(client) == 200
        assert everything(client) == b""
    with served(tmp_path) as door, connect(door, BODY.replace(b"100", b"3000000")) as client:
        client.sendall(b" " * 2_500_000)
        assert one_answer(client) == 413
        client.sendall(b" " * 499_999)
        assert everything(client) == b""


def test_an_offer_of_another_protocol_is_passed_over_and_the_connection_goes_on(door: Door) -> None:
    """As Java's client offers HTTP/2 with its first request."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    post = b"POST /events HTTP/1.1\r\nHost: localhost\r\n" + offer + b"Content-Length: 2\r\n\r\n{}"
    with connect(door, (HEAD + offer + b"\r\n" + post) * 2) as client:
        assert statuses(client, 4) == [200, 422, 200, 422]


@pytest.mark.parametrize(
    "said",
    [
        b"GET /openapi.json HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        HEAD + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n",
    ],
)
def test_an_offer_in_the_last_request_of_a_connection_is_passed_over(door: Door, said: bytes) -> None:
    with connect(door, said) as client:
        assert everything(client).startswith(b"HTTP/1.1 200 ")


def test_a_request_for_a_websocket_is_answered_as_any_other(door: Door) -> None:
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    with connect(door, HEAD + upgrade + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n") as client:
        assert one_answer(client) == 200


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Say back what comes over a websocket; answer any other request with 200."""
    if scope["type"] != "websocket":
        await PlainTextResponse("asked")(scope, receive, send)
        return
    websocket = WebSocket(scope, receive, send)
    await websocket.accept()
    async for said in websocket.iter_text():
        await websocket.send_text(said)


@pytest.fixture
def echoing() -> Iterator[int]:
    """The port of a server that has websockets too."""
    config = uvicorn.Config(echo, port=free_port(), http=WithWebsockets, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the server to listen")
    yield config.port
    server.should_exit = True
    thread.join(20)


@pytest.mark.usefixtures("impatient")
def test_a_websocket_stays_open_however_long_it_is_silent(echoing: int) -> None:
    with websocket(f"ws://127.0.0.1:{echoing}") as client:
        with socket.create_connection(("127.0.0.1", echoing)) as silent:
            # It began later, and has lost its place.
            assert everything(silent) == b""
        client.send("still there")
        assert client.recv(20) == "still there"


def test_websockets_take_half_of_the_places_at_most(echoing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST", 6)
    with ExitStack() as all_of_them:
        for _ in range(3):
            all_of_them.enter_context(websocket(f"ws://127.0.0.1:{echoing}"))
        with pytest.raises(InvalidStatus, match="200"):
            websocket(f"ws://127.0.0.1:{echoing}")
        with socket.create_connection(("127.0.0.1", echoing), timeout=20) as another:
            another.sendall(HEAD + b"\r\n")
            assert one_answer(another) == 200


def test_half_of_the_descriptors_are_left_to_senders_and_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, places in ((96, 48), (1024, 512), (65_536, 512), (resource.RLIM_INFINITY, 512)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert connection.places() == places


def test_the_limit_of_descriptors_is_raised_and_never_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited = resource.RLIM_INFINITY
    cases = {
        (1024, 4096): 4096,
        (1024, 1_000_000): connection.DESCRIPTORS,
        (1024, unlimited): connection.DESCRIPTORS,
        (500_000, 1_000_000): None,
        (unlimited, unlimited): None,
        (1024, 1024): None,
    }
    for limits, expected in cases.items():
        made: list[int] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        monkeypatch.setattr(resource, "setrlimit", lambda _, wanted, made=made: made.append(wanted[0]))
        raise_descriptor_limit()
        assert made == ([] if expected is None else [expected])
