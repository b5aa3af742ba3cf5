"""Requests that nobody means well, or at all: each is answered with a 4xx and one line of the log at most."""

import contextlib
import json
import logging
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.api.app import create_app
from deployments.bootstrap.logs import OneLine
from deployments.strict_json import parse
from itp_events.errors import BadEvent
from tests.support.api import Door, served
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("API-01")

PATHS = (
    "/subjects",
    "/subjects/ITP-001/plan",
    "/agenda.ics",
    "/metrics",
    "/leftovers",
    "/acknowledge/x.y",
    "/decide/ITP-001",
    "/nowhere",
)
NAMES = ("Authorization", "Origin", "Host", "Content-Type", "X-Forwarded-For", "Cookie", "Accept")
# Values that parsers of addresses, credentials and media types stumble over.
VALUES = (
    b"Basic \xe9\xe9",
    b"Basic ====",
    b"Basic /w==",
    b"Bearer \xff\xfe",
    b"Bearer",
    b"http://[",
    b"http://[::1",
    b"http://x:y:z",
    b"null",
    b"[",
    b";;;=\xe9",
    b"application/json;charset*=utf-8''%ff",
)
ODD = st.sampled_from(VALUES) | st.binary(max_size=60).map(
    lambda raw: re.sub(rb"[\x00-\x08\x0a-\x1f\x7f]", b"?", raw).strip()
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with served(tmp_path_factory.mktemp("odd")) as door:
        door.enrol()
        door.token("reader")
        yield door


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS"]),
    headers=st.dictionaries(st.sampled_from(NAMES), ODD, min_size=1, max_size=3),
)
def test_no_header_makes_the_service_fail(
    guarded: Door, path: str, method: str, headers: dict[str, bytes]
) -> None:
    answer = guarded.client.request(method, path, headers=[(n.encode(), v) for n, v in headers.items()])
    assert answer.status_code < 500 or answer.json()["type"] == "urn:itp:problem:unavailable", answer.text


@pytest.mark.parametrize("value", VALUES)
def test_odd_credentials_are_unknown_ones(guarded: Door, value: bytes) -> None:
    answer = guarded.client.get("/subjects", headers=[(b"Authorization", value)])
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:itp:problem:token")


@pytest.mark.parametrize("value", ["http://[", "null", "x", "//", "http://127.0.0.1:0"])
def test_an_origin_that_is_none_is_another_site(guarded: Door, value: str) -> None:
    for host in ({}, {"Host": ""}):
        answer = guarded.get("/subjects", headers={"Origin": value} | host)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:itp:problem:origin")


def test_the_address_may_hold_anything(tmp_path: Path, database_url: str) -> None:
    with served(tmp_path, database_url=database_url) as door:
        for address in (
            "?after=%00",
            "?after=%ff",
            "?limit=1e3",
            "?limit=-1",
            "/%00",
            "/a%0ab",
            "/" + "a" * 9000,
        ):
            answer = door.get(f"/subjects{address}")
            assert answer.status_code < 500, (address, answer.text)


def served_paths(routes: Iterable[Any]) -> Iterator[tuple[str, set[str]]]:
    """Each path of the application, with its methods."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from served_paths(route.original_router.routes)
        else:
            yield route.path, route.methods


def test_a_head_is_answered_as_a_get_without_its_body(door: Door) -> None:
    door.enrol("ITP-001")
    signed = {"/pictures/{signed}": door.api.links.picture("ITP-001").rpartition("/")[2]}
    paths = {path for path, methods in served_paths(create_app(door.api).routes) if "GET" in methods}
    assert {"/subjects", "/agenda.ics", "/livez", "/readyz", "/pictures/{signed}", "/openapi.json"} <= paths
    for path in sorted(paths):
        given = {"code": "ITP-001", "seq": "1", "signed": signed.get(path, "wrong")}
        parts = re.split(r"{(\w+)[^}]*}", path)
        address = "".join(given.get(part, "wrong") if at % 2 else part for at, part in enumerate(parts))
        head, get = door.client.head(address), door.get(address)
        kept = ("content-type", "www-authenticate", "cache-control")
        assert head.status_code == get.status_code, path
        assert [head.headers.get(name) for name in kept] == [get.headers.get(name) for name in kept], path
        assert head.content == b""


def test_a_slash_too_many_is_no_redirect_to_wherever_the_host_header_says(door: Door) -> None:
    answer = door.get("/subjects/", headers={"Host": "elsewhere.example"})
    assert (answer.status_code, answer.headers.get("location")) == (404, None)


@pytest.mark.parametrize(
    "names", [("Content-Length", "Transfer-Encoding"), ("Transfer-Encoding", "Content-Length")]
)
def test_of_two_ways_to_say_where_a_body_ends_neither_is_believed(door: Door, names: tuple[str, str]) -> None:
    values = {"Content-Length": "5", "Transfer-Encoding": "chunked"}
    framed = "".join(f"{name}: {values[name]}\r\n" for name in names)
    smuggled = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    said = exchange(door, f"POST /events HTTP/1.1\r\nHost: localhost\r\n{framed}\r\n0\r\n\r\n{smuggled}")
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"400"]
    assert b"urn:itp:problem:framing" in said


def exchange(door: Door, said: str) -> bytes:
    """What the API answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", door.settings.api_port), timeout=10) as connection:
        connection.sendall(said.encode())
        with contextlib.suppress(ConnectionResetError):
            return b"".join(iter(lambda: connection.recv(65536), b""))
    return b""


def test_a_client_that_leaves_in_the_middle_leaves_one_line(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    head = "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    with caplog.at_level(logging.INFO, "deployments"):
        with socket.create_connection(("127.0.0.1", door.settings.api_port)) as connection:
            connection.sendall(head.encode())
        wait_until(lambda: "the client left" in caplog.text, "the departure to be logged")
    assert [record.exc_info for record in caplog.records] == [None]


def test_what_no_door_expected_is_answered_once_and_logged_once(
    door: Door, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ArithmeticError("two\nlines" + "x" * 10_000)

    monkeypatch.setattr("deployments.api.routes.subjects.subject", fails)
    answer = door.get("/subjects/ITP-001")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:itp:problem:failed")
    [record] = [each for each in caplog.records if each.exc_info]
    written = OneLine("%(asctime)s %(message)s").format(record)
    assert "ArithmeticError: two" in written
    assert all(line.startswith("  | ") for line in written.splitlines()[1:])
    assert len(written) < 6000


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8))
def test_the_field_that_stands_twice_is_named(names: list[str]) -> None:
    body = ("{" + ",".join(f'"{name}": 1' for name in names) + "}").encode()
    if len(set(names)) == len(names):
        assert list(parse(body)) == names
    else:
        with pytest.raises(BadEvent, match="this field stands twice") as caught:
            parse(body)
        assert names.count(str(caught.value.field)) > 1


def test_a_field_repeated_at_the_end_of_a_full_body_is_found_in_one_pass(door: Door) -> None:
    body = json.dumps({f"{number:06}": 1 for number in range(150_000)}).replace("149999", "149998")
    answer = door.client.post("/events", content=body, timeout=httpx.Timeout(10))
    assert (answer.status_code, answer.json()["field"]) == (422, "149998")


@pytest.mark.parametrize("unknown", [{f"f{number}": 1 for number in range(100_000)}, {"f" * 1_000_000: 1}])
def test_a_refusal_is_a_line_for_people_whatever_is_wrong(door: Door, unknown: dict[str, int]) -> None:
    answer = door.post(door.enrol() | unknown)
    assert answer.status_code == 422
    assert len(answer.content) < 5000
