"""Takes the three screenshots of docs/ from a study of thirty subjects: `make screenshots`."""

import sys
import tempfile
import time
from pathlib import Path

from selenium.webdriver.chrome.webdriver import WebDriver

from tests.browser.shown import Shown, shown_gallery
from tests.support.browser import browser

DOCS = Path(__file__).parents[2] / "docs"
# Prefect's UI fades its lists in, and nothing on the page says when that is done.
FADE_SECONDS = 6


def main() -> None:
    """Fill the study, show it, and save what a browser sees."""
    with (
        tempfile.TemporaryDirectory(prefix="itp-screenshots-") as directory,
        shown_gallery(Path(directory)) as shown,
        browser() as driver,
    ):
        for name, (address, height) in _pages(shown).items():
            _save(driver, address, height, DOCS / f"{name}.png")


def _pages(shown: Shown) -> dict[str, tuple[str, int]]:
    return {
        "board": (shown.artifact("study-board"), 1500),
        "subject": (shown.artifact("plan-itp-021"), 1700),
        "runs": (shown.work_list("all subjects"), 2000),
    }


def _save(driver: WebDriver, address: str, height: int, path: Path) -> None:
    driver.set_window_size(1400, height)
    driver.get(address)
    time.sleep(FADE_SECONDS)  # noqa: TID251 - see FADE_SECONDS
    driver.save_screenshot(str(path))
    shrink(path)
    sys.stdout.write(f"{path.name}: {path.stat().st_size // 1024} KB\n")


def shrink(path: Path, part: float = 5 / 7) -> None:
    """256 colours: a page of text and lines needs no more, and the repository keeps each version for ever."""
    from PIL import Image

    with Image.open(path) as image:
        image.convert("RGB").resize((int(image.width * part), int(image.height * part))).quantize(
            256, Image.Quantize.MAXCOVERAGE
        ).save(path, optimize=True)


if __name__ == "__main__":
    main()
