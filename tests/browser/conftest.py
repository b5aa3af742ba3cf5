"""A headless Chromium. `make test-browser` asks for these tests: no package index has the browser itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ASKED = os.environ.get("ITP_TEST_BROWSER")
if not ASKED:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def browser() -> Iterator[Chrome]:
    """A browser that reaches this machine alone."""
    # Every run reads this file, and loading Selenium takes a second.
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service as Driver

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    # Chromium's sandbox cannot be had as root or in most containers; it opens this service's pages only.
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(option)
    options.add_argument("--window-size=1200,4000")
    chrome = Chrome(options=options, service=Driver(shutil.which("chromedriver")))
    try:
        yield chrome
    finally:
        chrome.quit()
