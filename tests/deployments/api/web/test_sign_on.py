"""A hospital's own sign-on names the account at the pages; only its proxy's address is believed."""

import ipaddress
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tasks.accounts import changing
from tasks.accounts.account import Account
from tasks.accounts.changing import By
from tasks.accounts.sessions import attempts
from tests.support.api import Door, served
from tests.support.pages import said, visitor

pytestmark = pytest.mark.requirement("WHO-02")

HEADER = "X-Remote-User"


def _door(home: Path, proxy: str) -> Iterator[Door]:
    networks = (ipaddress.ip_network(proxy),)
    with served(home, proxy_account_header=HEADER, proxy_addresses=networks) as door:
        door.enrol()
        by = By(None, "cli", door.now)
        with door.study.store.writing() as connection:
            changing.add(connection, Account("crc.li", "Li Wei", "recorder"), by)
            changing.add(connection, Account("crc.wu", "Wu Min", "recorder"), by)
            changing.add(connection, Account("gone", "Gone", "recorder", active=False), by)
        yield door


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A service whose proxy is on this machine."""
    yield from _door(tmp_path_factory.mktemp("behind") / "data", "127.0.0.1")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A service whose proxy is on another machine: this one is a stranger."""
    yield from _door(tmp_path_factory.mktemp("elsewhere") / "data", "192.0.2.7")


def opened(client: httpx.Client, code: str, **more: str) -> httpx.Response:
    headers = {HEADER: code, **more}
    answer = client.get("/today", headers=headers)
    while answer.status_code == httpx.codes.SEE_OTHER:
        answer = client.get(answer.headers["location"], headers=headers)
    return answer


def test_whom_the_proxy_names_is_signed_in_and_noted(behind: Door) -> None:
    answer = opened(visitor(behind), "CRC.LI")
    assert answer.status_code == 200
    assert "crc.li" in said(answer)
    with behind.study.store.reading() as connection:
        last = attempts(connection)[-1]
    assert (last.account, last.outcome) == ("crc.li", "proxy")
    assert isinstance(last.at, datetime)


@pytest.mark.parametrize("code", ["nobody", "gone"])
def test_an_unknown_account_and_one_that_is_switched_off_are_refused(behind: Door, code: str) -> None:
    answer = opened(visitor(behind), code)
    assert answer.status_code == 403
    assert "names no account" in said(answer)


def test_a_session_ends_when_the_proxy_names_somebody_else(behind: Door) -> None:
    client = visitor(behind)
    opened(client, "crc.li")
    answer = client.get("/today", headers={HEADER: "crc.wu"})
    assert answer.status_code == 303
    assert "crc.wu" in said(opened(client, "crc.wu"))


def test_a_header_that_is_sent_twice_is_refused(behind: Door) -> None:
    twice = [(HEADER, "crc.li"), (HEADER, "crc.wu")]
    assert visitor(behind).get("/sign-in", headers=twice).status_code == 403


@pytest.mark.parametrize("forwarded", ["", "192.0.2.7", "192.0.2.7, 127.0.0.1"])
def test_the_header_from_another_address_is_refused_whatever_it_says_of_itself(
    elsewhere: Door, forwarded: str
) -> None:
    more = {"X-Forwarded-For": forwarded} if forwarded else {}
    answer = opened(visitor(elsewhere), "crc.li", **more)
    assert answer.status_code == 403
    assert "by the hospital's proxy alone" in said(answer)


def test_the_api_takes_no_header_for_a_token(behind: Door) -> None:
    assert behind.get("/subjects", headers={HEADER: "crc.li"}).status_code == 401
