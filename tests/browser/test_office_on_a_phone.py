"""Duty, accounts, passwords and the review at a phone's size, in both languages and both themes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.api.web.words import LANGUAGES, Language
from tests.browser.office import open_all, state_absence, state_rota
from tests.browser.phone import phone
from tests.browser.test_pages_on_a_phone import looked_at
from tests.support.api import Door, served
from tests.support.people import with_password, with_tokens

pytestmark = pytest.mark.requirement("PAG-01")

PASSWORD = "a sentence for monitoring"
OWN = "four words of my own"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with served(tmp_path / "data") as door:
        door.enrol("ITP-001", 3)
        yield door


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_administrators_pages(door: Door, language: Language) -> None:
    people = with_tokens(door, [("adm.qian", "admin"), ("crc.li", "recorder"), ("crc.wang", "recorder")])
    today = f"{door.study.protocol.site('01').date_of(door.now)}"
    with phone(str(door.client.base_url)) as held:
        held.sign_in("adm.qian", people["adm.qian"].token, language)
        held.open("/duty")
        looked_at(held)
        open_all(held)
        looked_at(held)
        state_rota(held, "crc.li", today)
        state_absence(held, "crc.li", "crc.wang")
        assert "crc.wang" in held.text
        looked_at(held)
        held.open("/accounts")
        looked_at(held)
        held.write(code="crc.wu", name="Wu Min", role="recorder", sites="01")
        held.send("/accounts")
        looked_at(held)
        secret = held.driver.find_element("css selector", ".secret").text
        held.open("/accounts/crc.wu")
        looked_at(held)
        held.tap('form[action="/sign-out"] button')
        held.sign_in("crc.wu", secret, language)
        assert held.driver.current_url.endswith("/password")
        looked_at(held)
        held.write(token=secret, new=OWN, again=OWN)
        held.send("/password")
        assert held.driver.current_url.endswith("/today")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_monitors_review(door: Door, language: Language) -> None:
    with_password(door, "mon.sun", "monitor", PASSWORD)
    with phone(str(door.client.base_url)) as held:
        held.sign_in("mon.sun", PASSWORD, language)
        held.open("/review?since=")
        open_all(held)
        looked_at(held)
        held.write(token=PASSWORD)
        held.send("/review")
        assert "mon.sun" in held.text
        looked_at(held)
