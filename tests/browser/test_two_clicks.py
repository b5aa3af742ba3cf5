"""In Prefect's UI, as a coordinator finds it in the morning; `make test-browser` runs it."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.shown import Shown, shown_gallery
from tests.support import wait_until

pytestmark = [pytest.mark.requirement("RUN-10"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with shown_gallery(tmp_path_factory.mktemp("browser")) as found:
        yield found


def text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def click(browser: Chrome, *names: str) -> None:
    """Click the first link of one of these texts, and look at the tab that it opens."""

    def links() -> list[object]:
        return [each for name in names for each in browser.find_elements(By.LINK_TEXT, name)]

    wait_until(links, f"a link {' or '.join(names)}", every=0.5)
    links()[0].click()  # type: ignore[attr-defined]
    browser.switch_to.window(browser.window_handles[-1])


def test_from_the_board_to_an_overdue_subjects_plan_in_two_clicks(shown: Shown, browser: Chrome) -> None:
    browser.get(shown.artifact("study-board"))
    wait_until(lambda: "overdue visits" in text(browser), "the board", every=0.5)
    click(browser, "ITP-021")
    wait_until(lambda: "Who must do what" in text(browser), "the subject's page", every=0.5)
    assert "ITP-021: INF4 overdue" in text(browser)
    assert "OVERDUE" in text(browser)
    assert browser.find_elements(By.CSS_SELECTOR, "img[alt='Timeline of ITP-021']")


def test_the_work_list_of_the_overdue_shows_those_and_no_others(shown: Shown, browser: Chrome) -> None:
    browser.get(shown.artifact("study-board"))
    wait_until(lambda: "Work lists" in text(browser), "the board", every=0.5)
    click(browser, "overdue")
    wait_until(lambda: "4 runs" in text(browser), "the four overdue runs", every=0.5)
    found = text(browser)
    assert all(f"ITP-0{number}" in found for number in (13, 21, 25, 26))
    assert "ITP-010" not in found


def test_a_subject_enrolled_200_days_ago_is_among_all_subjects(shown: Shown, browser: Chrome) -> None:
    browser.get(shown.artifact("study-board"))
    wait_until(lambda: "Work lists" in text(browser), "the board", every=0.5)
    click(browser, "all subjects")
    wait_until(lambda: "ITP-010" in text(browser), "the run of ITP-010", every=0.5)


def test_from_the_list_of_all_subjects_to_a_plan_in_two_clicks(shown: Shown, browser: Chrome) -> None:
    browser.get(shown.work_list("all subjects"))
    click(browser, "ITP-021")
    click(browser, shown.artifact("plan-itp-021"))
    wait_until(lambda: "ITP-021: INF4 overdue" in text(browser), "the subject's page", every=0.5)
