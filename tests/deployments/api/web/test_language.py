"""The language of the pages: chosen on the device, else the account's, the browser's, the default site's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import Door, served
from tests.support.pages import person, visitor
from tests.support.people import with_tokens

pytestmark = pytest.mark.requirement("PAG-01")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with served(Path(tmp_path_factory.mktemp("language")) / "data") as door:
        yield door


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh-TW", "zh-CN"),
        ("de-DE, en-GB;q=0.7", "en"),
        ("de", "en"),
        ("", "en"),
    ],
)
def test_who_has_not_signed_in_is_shown_the_browser_s_language(door: Door, asked: str, language: str) -> None:
    page = door.get("/sign-in?to=/", headers={"Accept-Language": asked})
    assert f'<html lang="{language}">' in page.text


def test_an_account_s_language_counts_until_another_is_chosen_on_the_device(door: Door) -> None:
    administrator = with_tokens(door, [("adm.qian", "admin"), ("crc.li", "recorder")])["adm.qian"]
    form = {"name": "Li Wei", "role": "recorder", "language": "zh-CN", "sites": "all"}
    administrator.open("/accounts/crc.li")
    changed = administrator.client.post("/accounts/crc.li/change", data=administrator.last | form)
    assert changed.status_code == 303
    phone = visitor(door)
    administrator.open("/accounts/crc.li")
    made = administrator.client.post("/accounts/crc.li/reset", data=administrator.last)
    secret = made.text.partition('class="secret">')[2].partition("<")[0]
    phone.headers["Accept-Language"] = "en"
    phone.post("/sign-in", data={"code": "crc.li", "token": secret, "to": "/password"})
    assert '<html lang="zh-CN">' in phone.get("/password").text
    phone.post("/language", data={"language": "en", "to": "/password"})
    assert '<html lang="en">' in phone.get("/password").text


@pytest.mark.parametrize(("language", "study"), [("en", "Study NCT06813157"), ("zh-CN", "研究 NCT06813157")])
def test_the_page_on_which_to_sign_in_names_the_study_and_offers_the_other_language(
    door: Door, language: str, study: str
) -> None:
    page = door.get("/sign-in?to=/", headers={"Accept-Language": language}).text
    assert page.startswith("<!doctype html>")
    assert study in page
    assert 'action="/language"' in page.partition("</header>")[0]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_other_language_stands_at_the_foot_of_a_page_and_leaves_the_header_to_its_links(
    door: Door, language: str
) -> None:
    page = person(door, "recorder", language=language).open("/today")
    header, _, rest = page.partition("</header>")
    assert 'action="/language"' not in header
    assert rest.partition("<footer>")[2].count('action="/language"') == 1
