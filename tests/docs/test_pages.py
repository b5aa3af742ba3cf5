"""The site and its picture are those of this tree; tests/test_house.py reads the links and paths in texts."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.requirement("DOC-01")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SITE = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]


def test_the_picture_is_drawn_from_its_text() -> None:
    digest = hashlib.sha256((DOCS / "architecture.dot").read_bytes()).hexdigest()
    drawn = (DOCS / "architecture.svg").read_text(encoding="utf-8").partition("\n")[0]
    assert digest in drawn, "docs/architecture.dot has changed since: run make docs"


def test_the_picture_shows_rooms_that_there_are() -> None:
    text = (DOCS / "architecture.dot").read_text(encoding="utf-8")
    for package, body in re.findall(r'label="(\w+): [^"]*"; style(.*?)\n  }', text, re.DOTALL):
        for room in re.findall(r'label="(\w+)\\n', body):
            there = (ROOT / package / room, ROOT / package / f"{room}.py")
            assert room == "doors" or any(each.exists() for each in there), f"{package}/{room}"


def _in_navigation(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    assert not isinstance(entries, str)
    return [page for each in entries for page in _in_navigation(each)]  # type: ignore[attr-defined]


def test_every_page_of_the_site_can_be_reached() -> None:
    listed = set(_in_navigation(SITE["nav"]))
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    # The list of the decisions leads to each of them.
    records = {f"decisions/{name}" for name in re.findall(r"\((\d{4}-[^)]+)\)", _decisions())}
    assert listed | records == there


def _decisions() -> str:
    return (DOCS / "decisions/README.md").read_text(encoding="utf-8")


def test_a_page_of_the_reference_is_about_a_module_that_there_is() -> None:
    for page in (DOCS / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            path = ROOT / name.replace(".", "/")
            assert path.is_dir() or path.with_suffix(".py").exists(), f"{page.name}: {name}"


def test_nothing_of_the_site_is_fetched_from_elsewhere() -> None:
    assert SITE["theme"]["font"] is False
    # This plugin has pages that are opened from a disk load a script from the internet.
    assert "offline" not in SITE["plugins"]
