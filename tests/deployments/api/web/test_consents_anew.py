"""Consents that an amendment asks for anew stand on the coordinator's page, each with its form."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from itp_events.protocol.file import BUILT_IN
from tests.support.api import Door, event, served
from tests.support.pages import Person, person

pytestmark = pytest.mark.requirement("AMD-01")

AMENDMENT = """
amendment: {{effective_on: {on}, consents: [consent], source: synopsis}}
"""
REMINDER = "alerts:\n  re-consent: {audiences: [coordinator], every_working_days: 5, source: assumption}\n"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A subject that was moved to version 2, whose consent to it is not given yet."""
    home = Path(tmp_path_factory.mktemp("consents"))
    folder = home / "protocols"
    folder.mkdir()
    text = BUILT_IN.read_text(encoding="utf-8")
    (folder / "v1.yaml").write_text(text, encoding="utf-8")
    later = text.replace("anchor: INF2, target: P2W", "anchor: INF2, target: P3W")
    second = later.replace('version: "1"', 'version: "2"').replace("alerts:\n", REMINDER)
    with served(home / "data", protocol=folder) as door:
        door.enrol("ITP-001", 3)
        amendment = AMENDMENT.format(on=(door.now - timedelta(days=1)).date())
        (folder / "v2.yaml").write_text(second + amendment, encoding="utf-8")
        moved = event("protocol.assigned", "ITP-001", door.now, {"version": "2", "reason": "amendment 1"})
        answer = door.post(moved)
        assert answer.is_success, answer.text
        yield door


def test_the_api_says_what_a_version_would_change(door: Door) -> None:
    reader = door.token("reader")
    other = door.get("/amendments/1", headers=reader).json()
    (moved,) = other["subjects"]
    assert (other["version"], moved["subject"], moved["version"]) == ("1", "ITP-001", "2")
    assert {"about": "INF3", "what": "window"}.items() <= moved["changes"][0].items()
    assert door.get("/amendments/2", headers=reader).json()["subjects"] == []
    assert door.get("/amendments/9", headers=reader).status_code == 404


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "consent to protocol version 2 is to be asked for"),
        ("zh-CN", "须就方案版本 2 重新取得知情同意"),
    ],
)
def test_it_is_asked_for_on_the_page_of_the_day_and_the_form_names_the_version(
    door: Door, language: str, sentence: str
) -> None:
    who: Person = person(door, "recorder", language=language)
    assert sentence in who.open("/today")
    form = who.open("/s/ITP-001/consent-given?kind=consent&version=2")
    assert 'value="2"' in form
