"""Changed settings are noted at a start: what changed, from what to what, and of a secret a fingerprint."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from deployments.bootstrap.noted_settings import note_settings
from deployments.bootstrap.os_user import os_actor
from deployments.bootstrap.settings import Settings
from itp_events.protocol.file import load_protocol
from tasks.audit.entries import Entry, Kind, Wanted
from tasks.audit.reading import audit
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("AUD-01")

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
SETTINGS: tuple[Kind, ...] = ("setting",)


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """An empty study."""
    desk = Desk.open(database_url)
    yield desk
    desk.store.close()


def noted(desk: Desk) -> list[Entry]:
    return audit(desk.store, load_protocol(), Wanted(kinds=SETTINGS))


def test_the_first_start_notes_what_differs_from_the_defaults_and_the_next_only_what_changed(
    desk: Desk, tmp_path: Path
) -> None:
    first = Settings(data_dir=tmp_path, backup_keep=30)
    assert note_settings(desk.store, first, AT) == ["ITP_DATA_DIR", "ITP_BACKUP_KEEP"]
    assert note_settings(desk.store, first, AT) == []
    changed = first.model_copy(update={"backup_keep": 14, "public_url": "https://visits.example.org"})
    assert note_settings(desk.store, changed, AT) == ["ITP_PUBLIC_URL", "ITP_BACKUP_KEEP"]
    url, kept = noted(desk)[-2:]
    assert (url.details["before"], url.details["after"]) == (None, "https://visits.example.org")
    assert (kept.details["before"], kept.details["after"]) == ("30", "14")
    assert (kept.kind, kept.actor, kept.door, kept.at) == ("setting", os_actor(), "cli", AT)
    assert kept.what.startswith("ITP_BACKUP_KEEP at ")
    assert kept.what.endswith(f":{tmp_path}: 14; before: 30")


def test_a_secret_is_noted_by_a_fingerprint_which_the_same_secret_has_again(
    desk: Desk, tmp_path: Path
) -> None:
    for secret in ("a sentence", "another", "another", "a sentence"):
        note_settings(desk.store, Settings(data_dir=tmp_path, redcap_token=SecretStr(secret)), AT)
    note_settings(desk.store, Settings(data_dir=tmp_path), AT)
    found = [each for each in noted(desk) if each.details["about"] == "ITP_REDCAP_TOKEN"]
    said = [each.details["after"] for each in found]
    assert len(said) == 4
    assert said[0] == said[2] != said[1]
    assert said[3] is None
    assert "sentence" not in str(found)
    assert "another" not in str(found)


def test_a_file_that_a_setting_names_is_another_when_its_content_is(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "apprise.txt"
    settings = Settings(data_dir=tmp_path, apprise_config=file)
    for line, count in (("coordinator=json://one", 2), ("coordinator=json://one", 2), ("ops=json://two", 3)):
        file.write_text(line, encoding="utf-8")
        note_settings(desk.store, settings, AT)
        assert len(noted(desk)) == count
    assert "json://" not in str(noted(desk))


def test_services_in_several_places_are_compared_each_with_itself(desk: Desk, tmp_path: Path) -> None:
    here, there = Settings(data_dir=tmp_path / "here"), Settings(data_dir=tmp_path / "there", api_workers=3)
    for settings in (here, there):
        assert note_settings(desk.store, settings, AT)
    for settings in (here, there):
        assert note_settings(desk.store, settings, AT) == []
