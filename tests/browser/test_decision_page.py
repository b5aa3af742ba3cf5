"""What an investigator does in a browser: decides, is refused, and sends the same form again."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from itp_events.events import WithdrawalDecided
from tasks.database.queries import history
from tests.support.api import served
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("SEC-03")


def press(browser: Chrome, token: str) -> None:
    """Give a token and send the form."""
    browser.find_element(By.ID, "token").send_keys(token)
    browser.find_element(By.TAG_NAME, "button").click()


def test_a_refused_decision_is_mended_in_the_form_and_sent_again(tmp_path: Path, browser: Chrome) -> None:
    with served(tmp_path / "data") as door:
        door.enrol("ITP-502")
        token = door.token("investigator")["Authorization"].removeprefix("Bearer ")
        browser.get(f"{door.client.base_url}/decide/ITP-502")
        browser.find_element(By.CSS_SELECTOR, 'input[value="continue"]').click()
        browser.find_element(By.ID, "reason").send_keys("her wish")
        browser.find_element(By.ID, "by").send_keys("inv-01")
        press(browser, "guess")
        wait_until(lambda: "this token is not known" in browser.page_source, "the token to be refused")
        press(browser, token)
        wait_until(lambda: "no flag waits" in browser.page_source, "the decision to be refused")
        assert browser.switch_to.active_element.get_attribute("role") == "alert"
        assert browser.find_element(By.ID, "reason").get_attribute("value") == "her wish"
        assert browser.find_element(By.ID, "token").get_attribute("value") == ""
        browser.find_element(By.CSS_SELECTOR, 'input[value="withdraw"]').click()
        press(browser, token)
        wait_until(lambda: browser.title == "Recorded", "the decision to be recorded")
        (stated,) = [
            e.data for e in history(door.study.store, "ITP-502") if isinstance(e.data, WithdrawalDecided)
        ]
        assert (stated.decision, stated.reason, stated.by) == ("withdraw", "her wish", "inv-01")
