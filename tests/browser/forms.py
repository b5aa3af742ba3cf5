"""The forms in both of Prefect's user interfaces: finding a field, filling it in, sending the form."""

from collections.abc import Callable
from datetime import date
from typing import Any

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.asking import prefect_at
from tests.support.service import Service
from tests.support.waiting import wait_until

# The path below which Prefect serves each of its two interfaces.
V1, V2 = "", "/v2"
_LABELS = {V1: "span.schema-form-property__label", V2: "label"}


def deployment_of(service: Service, form: str) -> dict[str, Any]:
    """A form's deployment."""
    with prefect_at(service.settings.prefect_api) as prefect:
        found: dict[str, Any] = prefect.get(f"/deployments/name/{form}/{form}").raise_for_status().json()
    return found


def open_form(browser: Chrome, service: Service, form: str, ui: str) -> None:
    """Open a form, and wait until its fields are drawn."""
    root, deployment = service.settings.prefect_api.removesuffix("/api"), deployment_of(service, form)
    browser.get(f"{root}{ui}/deployments/deployment/{deployment['id']}/run")
    fields = set(deployment["parameter_openapi_schema"]["properties"])
    wait_until(lambda: fields <= asked(browser, ui), f"each field of {form} to be shown", every=0.5)


def asked(browser: Chrome, ui: str) -> set[str]:
    """The names of the fields that a form shows."""
    try:
        labels = [each.text for each in browser.find_elements(By.CSS_SELECTOR, _LABELS[ui])]
    except StaleElementReferenceException:
        return set()
    return {label.removesuffix(" (Optional)") for label in labels}


def sent(service: Service, form: str, subject: str) -> dict[str, Any] | None:
    """The values with which a form about a subject was sent; None while it was not."""
    wanted = {"deployments": {"id": {"any_": [deployment_of(service, form)["id"]]}}}
    with prefect_at(service.settings.prefect_api) as prefect:
        answer = prefect.post("/flow_runs/filter", json=wanted)
    runs = [run["parameters"] for run in answer.raise_for_status().json()]
    return next((values for values in runs if values.get("subject") == subject), None)


def fill_in_contact(browser: Chrome, ui: str, subject: str, day: date) -> None:
    """Fill in the form of a contact in which the subject was reached, and send it."""
    write, switch, pick = (fill_in, switch_on, _type_date) if ui == V1 else (_write, _switch, _pick_date)
    write(browser, "subject", subject)
    write(browser, "by", "crc-01")
    pick(browser, "on", day)
    switch(browser, "reached")
    browser.find_element(By.XPATH, '//button[normalize-space()="Submit" or @type="submit"]').click()


def _type_date(browser: Chrome, name: str, day: date) -> None:
    fill_in(browser, name, f"{day:%m%d%Y}")


def _labelled(browser: Chrome, name: str) -> WebElement:
    label = browser.find_element(By.XPATH, f'//label[normalize-space()="{name}"]')
    return browser.find_element(By.ID, label.get_attribute("for") or "")


def _write(browser: Chrome, name: str, text: str) -> None:
    steadily(browser, lambda: _labelled(browser, name).send_keys(text))


def _switch(browser: Chrome, name: str) -> None:
    steadily(browser, lambda: _labelled(browser, name).click())


def _pick_date(browser: Chrome, name: str, day: date) -> None:
    """Pick a day of the month that the calendar shows first, which is the browser's present one."""
    steadily(browser, lambda: _labelled(browser, name).click())
    shown = f'button[data-day="{day.month}/{day.day}/{day.year}"]'
    steadily(browser, lambda: browser.find_element(By.CSS_SELECTOR, shown).click())
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait_until(lambda: not browser.find_elements(By.CSS_SELECTOR, shown), "the calendar to close")


def field(browser: Chrome, name: str) -> WebElement:
    """The part of Prefect's form for one parameter."""
    label = f'//span[@class="schema-form-property__label"][.="{name}" or .="{name} (Optional)"]'
    return browser.find_element(By.XPATH, f'{label}/ancestor::div[contains(@class, "p-label ")][1]')


def choose_kind(part: WebElement, kind: str) -> None:
    """A field that may be empty asks first which kind of value it gets."""
    for button in part.find_elements(By.XPATH, f'.//button[normalize-space()="{kind}"]'):
        button.click()


def steadily(browser: Chrome, act: Callable[[], None]) -> None:
    """Do it again when Prefect's UI drew the form anew meanwhile."""

    def attempt(_: Chrome) -> bool:
        act()
        return True

    passing = [StaleElementReferenceException, NoSuchElementException]
    WebDriverWait(browser, 30, ignored_exceptions=passing).until(attempt)


def fill_in(browser: Chrome, name: str, text: str) -> None:
    def act() -> None:
        part = field(browser, name)
        choose_kind(part, "float")
        control = part.find_element(By.CSS_SELECTOR, "input, textarea")
        control.clear()
        control.send_keys(text)

    steadily(browser, act)


def switch_on(browser: Chrome, name: str) -> None:
    def act() -> None:
        part = field(browser, name)
        choose_kind(part, "bool")
        part.find_element(By.CSS_SELECTOR, '[role="switch"]').click()

    steadily(browser, act)
