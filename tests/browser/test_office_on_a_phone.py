"""Duty, accounts, passwords and the review at a phone's size, in both languages and both themes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.api.web.words import LANGUAGES, Language
from tests.browser.phone import Phone, phone
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
        _open_all(held)
        looked_at(held)
        held.driver.execute_script(
            "const form = document.querySelector('form[action=\"/duty/rota\"]');"
            "form.querySelector('[name=audience]').value = 'coordinator';"
            "form.querySelector('[name=site]').value = '01';"
            "form.querySelector('[name=first]').value = arguments[0];"
            'for (const box of form.querySelectorAll(\'[name^="day."], [name="person.crc.li"]\'))'
            " box.checked = true;",
            today,
        )
        held.send("/duty/rota")
        _open_all(held)
        form = 'form[action="/duty/absent"]'
        held.tap(f'{form} [name="person"] option[value="crc.li"]')
        held.tap(f'{form} [name="deputy"] option[value="crc.wang"]')
        held.send("/duty/absent")
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
        _open_all(held)
        looked_at(held)
        held.write(token=PASSWORD)
        held.send("/review")
        assert "mon.sun" in held.text
        looked_at(held)


def _open_all(held: Phone) -> None:
    script = "for (const each of document.querySelectorAll('details')) each.open = true"
    held.driver.execute_script(script)
