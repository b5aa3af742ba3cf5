"""The pages of accounts: secrets are shown once, a password for once is replaced."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tasks.accounts import changing, passwords
from tests.support.api import Door, served
from tests.support.pages import Person, said, visitor
from tests.support.people import with_password, with_tokens

pytestmark = pytest.mark.requirement("WHO-03")

NEW = {"name": "Wu Min", "role": "recorder", "sites": "01, 02", "language": "zh-CN"}
OWN = "four words of my own"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with served(tmp_path / "data") as door:
        yield door


@pytest.fixture
def admin(door: Door) -> Person:
    return with_tokens(door, [("adm.qian", "admin")])["adm.qian"]


def _secret(answer: httpx.Response) -> str:
    assert answer.status_code == httpx.codes.OK, said(answer)
    assert answer.headers["cache-control"] == "no-store"
    [found] = re.findall(r'<output class="secret">([^<]*)</output>', answer.text)
    return html.unescape(found)


def _add(admin: Person, code: str, **other: str) -> str:
    return _secret(admin.send("/accounts", code=code, **(NEW | other)))


def test_a_password_for_once_opens_nothing_but_the_page_that_replaces_it(door: Door, admin: Person) -> None:
    secret = _add(admin, "crc.wu")
    assert secret not in admin.open("/accounts/crc.wu")
    wu = Person(visitor(door), "crc.wu", secret)
    wu.client.cookies.set("itp_language", "en")
    wu.sign_in()
    for path in ("/today", "/duty", "/enrol", "/"):
        assert wu.client.get(path).headers["location"] == "/password"
    assert "one-time password" in wu.open("/password")
    other = {"token": secret, "new": OWN, "again": "something else"}
    assert "not the same" in said(wu.again("/password", **other))
    assert "present one" in said(wu.again("/password", token=secret, new=secret, again=secret))
    assert "password is wrong" in said(wu.again("/password", token="guessed", new=OWN, again=OWN))
    assert wu.again("/password", token=secret, new=OWN, again=OWN).headers["location"] == "/"
    assert wu.client.get("/today").status_code == httpx.codes.OK
    stranger = Person(visitor(door), "crc.wu", secret)
    assert stranger.sign_in().status_code == 422
    with door.study.store.reading() as connection:
        account = changing.get(connection, "crc.wu")
        log = changing.changes(connection, "crc.wu")
    assert (account.sites, account.language, account.name) == (("01", "02"), "zh-CN", "Wu Min")
    assert [(each.actor, each.what) for each in log] == [
        ("adm.qian", "added"),
        ("adm.qian", "password"),
        ("crc.wu", "password"),
    ]


def test_resetting_signs_out_and_takes_the_second_factor_away(door: Door, admin: Person) -> None:
    wu = with_password(door, "crc.wu", "recorder", OWN)
    with door.study.store.writing() as connection:
        by = changing.By(None, "cli", door.now)
        passwords.set_up_totp(connection, changing.get(connection, "crc.wu"), passwords.new_totp(), by)
    assert wu.client.get("/today").status_code == httpx.codes.OK
    secret = _secret(admin.send("/accounts/crc.wu/reset", "/accounts/crc.wu"))
    assert wu.client.get("/today").headers["location"].startswith("/sign-in")
    again = Person(visitor(door), "crc.wu", secret)
    again.sign_in()
    assert again.client.get("/today").headers["location"] == "/password"


def test_an_account_is_switched_off_and_on(door: Door, admin: Person) -> None:
    wu = with_password(door, "crc.wu", "recorder", OWN)
    assert "Recorded." in admin.answered(admin.send("/accounts/crc.wu/disable", "/accounts/crc.wu"))
    assert wu.client.get("/today").headers["location"].startswith("/sign-in")
    assert "it is so already" in said(admin.again("/accounts/crc.wu/disable"))
    assert "Recorded." in admin.answered(admin.send("/accounts/crc.wu/enable", "/accounts/crc.wu"))
    assert wu.sign_in().status_code == 303


def test_a_program_gets_a_token_which_can_be_taken_away(door: Door, admin: Person) -> None:
    token = _add(admin, "castor", program="yes", sites="all")
    header = {"Authorization": f"Bearer {token}"}
    assert door.get("/subjects", headers=header).status_code == 200
    page = admin.open("/accounts/castor")
    assert token not in page
    [short] = re.findall(r'name="token" value="(\w+)"', page)
    admin.answered(admin.again("/accounts/castor/revoke", token=short))
    assert door.get("/subjects", headers=header).status_code == 401


def test_nobody_shuts_themself_out(door: Door, admin: Person) -> None:
    assert "another administrator" in said(admin.send("/accounts/adm.qian/disable", "/accounts/adm.qian"))
    own = {"name": "Qian", "role": "reader", "sites": "all", "language": "en"}
    assert "another administrator" in said(admin.again("/accounts/adm.qian/change", **own))
    assert "Recorded." in admin.answered(admin.again("/accounts/adm.qian/change", **own | {"role": "admin"}))


def test_a_refusal_keeps_what_was_entered(door: Door, admin: Person) -> None:
    _add(admin, "crc.wu")
    answer = admin.send("/accounts", code="CRC.WU", **NEW)
    assert answer.status_code == 422
    assert "already" in said(answer)
    assert 'value="Wu Min"' in answer.text
    answer = admin.again("/accounts", code="crc.he", **NEW | {"sites": ""})
    assert "Name sites" in said(answer)


def test_only_an_administrator_sees_accounts(door: Door, admin: Person) -> None:
    other = with_tokens(door, [("inv.he", "investigator")])["inv.he"]
    assert other.client.get("/accounts").status_code == 403
    other.open("/today")
    assert other.again("/accounts", code="crc.x", **NEW).status_code == 403
