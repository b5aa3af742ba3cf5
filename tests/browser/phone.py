"""A phone in a person's hand: the pages at 360 px, by what a thumb does, and judged by axe-core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.support.browser import browser
from tests.support.waiting import wait_until

WIDTH, HEIGHT = 360, 740
# WCAG 2.2 AA, as axe-core's rules are tagged.
_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


class Phone:
    """A browser of a phone's size at one address of the service."""

    def __init__(self, driver: WebDriver, base: str) -> None:
        self.driver = driver
        self.base = base

    def open(self, path: str) -> None:
        """Go to a page of the service."""
        self.driver.get(f"{self.base}{path}")

    def sign_in(self, code: str, token: str, language: str = "zh-CN") -> None:
        """Sign in, in a language."""
        self.open("/sign-in?to=/today")
        if self.language != language:
            self._tap_away(f'button[value="{language}"]', "the page in the other language")
        self.write(code=code, token=token)
        self.send("/sign-in")

    @property
    def language(self) -> str:
        """The language of the page."""
        return str(self.driver.find_element(By.TAG_NAME, "html").get_attribute("lang"))

    @property
    def text(self) -> str:
        """The text of the page."""
        # In one step: a body that is found may be gone when it is asked.
        return str(self.driver.execute_script("return document.body ? document.body.innerText : ''"))

    def tap(self, selector: str) -> None:
        """Tap the first thing that a selector finds."""
        found = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        found.click()

    def write(self, **values: str) -> None:
        """Fill in fields by name; `__` stands for a dot."""
        for name, value in values.items():
            self._write(name.replace("__", "."), value)

    def _write(self, name: str, value: str) -> None:
        fields = self.driver.find_elements(By.NAME, name)
        kind = fields[0].get_attribute("type")
        if kind in ("radio", "checkbox"):
            self.tap(f'[name="{name}"][value="{value}"]')
        elif kind == "date":
            self.driver.execute_script("arguments[0].value = arguments[1]", fields[0], value)
        elif fields[0].tag_name == "select":
            self.tap(f'[name="{name}"] option[value="{value}"]')
        else:
            fields[0].send_keys(Keys.CONTROL, "a")
            fields[0].send_keys(value)

    def send(self, action: str) -> None:
        """Press the button of a form, and wait for the answer."""
        self._tap_away(f'form[action="{action}"] > button:not([type="button"])', "the answer to the form")

    def _tap_away(self, selector: str, what: str) -> None:
        """Tap the thing that leads to another page, and wait for that."""
        before = self.driver.find_element(By.TAG_NAME, "html")
        self.tap(selector)
        wait_until(lambda: self._has_gone(before), what)
        wait_until(lambda: self.driver.execute_script("return document.readyState") == "complete", what)

    def _has_gone(self, element: Any) -> bool:
        from selenium.common.exceptions import StaleElementReferenceException, WebDriverException

        try:
            return element.is_enabled() is None
        except StaleElementReferenceException:
            return True
        except WebDriverException as problem:
            # The driver says so when the page goes while it looks for the element.
            return "does not belong to the document" in str(problem)

    def overflow(self) -> int:
        """By how many pixels the page is wider than the phone."""
        script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.driver.execute_script(script))

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 AA, in one line each."""
        self.driver.execute_script(axe())
        script = (
            "const done = arguments[arguments.length - 1];"
            "const only = {runOnly: {type: 'tag', values: arguments[0]}};"
            "axe.run(document, only).then(done, error => done(String(error)))"
        )
        found = self.driver.execute_async_script(script, list(_TAGS))
        assert isinstance(found, dict), found
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]

    def theme(self, name: str) -> None:
        """Choose `light` or `dark`, as the phone's settings do."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def picture(self, path: str) -> None:
        """Save a picture of the whole page."""
        height = self.driver.execute_script("return document.documentElement.scrollHeight")
        metrics = {"width": WIDTH, "height": min(int(height), 1800), "deviceScaleFactor": 1, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.save_screenshot(path)
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics | {"height": HEIGHT})


def axe() -> str:
    """The script of axe-core, from the package that brings it."""
    package = files("selenium_axe_python")
    return (package / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@contextmanager
def phone(base: str) -> Iterator[Phone]:
    """A phone with nothing on it yet."""
    with browser(WIDTH, HEIGHT) as driver:
        metrics = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield Phone(driver, base)
