"""What a coordinator does in a browser: fills in the enrolment form in Prefect's UI, and acknowledges."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from itp_events.events import Acknowledged
from tasks.database.queries import history, subject
from tests.browser.forms import V1, field, fill_in, open_form, switch_on
from tests.support.service import SITE, Service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("SEC-03")

CODE = "ITP-501"
NUMBERS = {"weight_kg": "61.5", "age_years": "34", "itp_months": "14", "alt_x_uln": "0.8"}
NUMBERS |= {"ast_x_uln": "0.9", "bilirubin_x_uln": "0.7", "creatinine_x_uln": "0.9"}
YES = ("childbearing", "failed_first_line", "failed_second_line", "failed_rituximab", "contraception")


def test_a_subject_enrolled_by_the_form_is_acknowledged_from_the_notice(
    running: Service, browser: Chrome
) -> None:
    today = running.study.clock.now().astimezone(SITE).date()
    open_form(browser, running, "enrol", V1)
    fill_in(browser, "subject", CODE)
    fill_in(browser, "by", "crc-01")
    for name, day in (("on", today), ("consent_on", today - timedelta(days=14))):
        fill_in(browser, name, f"{day:%m%d%Y}")
    for name, number in NUMBERS.items():
        fill_in(browser, name, number)
    Select(field(browser, "sex").find_element(By.TAG_NAME, "select")).select_by_visible_text("male")
    for name in YES:
        switch_on(browser, name)
    browser.find_element(By.CSS_SELECTOR, 'button[type="submit"]').click()
    wait_until(lambda: subject(running.study.store, CODE), "the subject to be enrolled", every=0.5)

    running.move_clock_to(datetime(2026, 1, 13, 0, 59, 57, tzinfo=UTC))
    link = wait_until(lambda: acknowledge_link(running), "the first rung's message", every=0.5)
    assert link
    browser.get(link)
    assert "INF1" in browser.page_source
    assert acknowledged(running) == 0, "opening the page acknowledges nothing"
    browser.find_element(By.CSS_SELECTOR, "main form > button").click()
    wait_until(lambda: acknowledged(running) == 1, "the acknowledgement")
    wait_until(lambda: browser.title.startswith("Acknowledged – "), "the page to say so")


def acknowledge_link(service: Service) -> str | None:
    """The link in the latest message about the subject that has one."""
    found = [
        re.search(r"http://\S+/acknowledge/\S+", str(each.body["message"])) for each in service.told(CODE)
    ]
    return next((match[0] for match in reversed(found) if match), None)


def acknowledged(service: Service) -> int:
    return sum(isinstance(event.data, Acknowledged) for event in history(service.study.store, CODE))
