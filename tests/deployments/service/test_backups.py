"""The service backs the study up by itself, keeps the newest, and says when it cannot."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    temporary_settings,
)

from deployments.archiving import making
from deployments.service import backups
from deployments.service.backups import BackupPlan, Backups
from deployments.service.loop import ServiceLoop
from flows.study.runtime import Runtime
from tasks.archive.backup import Making
from tasks.archive.check import open_archive
from tasks.archive.protocols import installed_protocols
from tasks.archive.schedule import backups_in, remove_old
from tasks.database.monitoring import BACKUP, beat, last_beat
from tasks.database.schema import repairs
from tasks.database.troubles import open_troubles
from tests.deployments.api.test_standalone import NOBODY, alone, enrol
from tests.support.waiting import wait_until
from tests.tasks.archive.kept import kept

pytestmark = pytest.mark.requirement("BAK-01")

__all__ = ["alone"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the backups, which is not there yet."""
    return tmp_path / "backups"


def plan(folder: Path, keep: int = 2) -> BackupPlan:
    """Back up every day into the folder."""
    at = iter(range(100))

    def made(wall: datetime) -> Making:
        return making("schedule", wall + timedelta(seconds=next(at)))

    return BackupPlan(folder, timedelta(hours=24), keep, lambda: installed_protocols(None), made)


def make(alone: Runtime, plan: BackupPlan | None, *, stopping: bool = False) -> None:
    """The step of the loop, as a service does it that has just started."""
    asyncio.run(Backups(alone, plan, lambda: not stopping).make_due())


def wall(study: Runtime) -> datetime:
    return study.clock.wall(study.clock.now())


def let_pass(study: Runtime) -> None:
    """Let the last backup be a day old."""
    beat(study.store, BACKUP, wall(study) - timedelta(hours=25))


def test_a_backup_is_made_at_the_start_and_again_when_it_is_due(alone: Runtime, folder: Path) -> None:
    enrol(alone, "ITP-001")
    make(alone, plan(folder))
    [first] = backups_in(folder)
    with open_archive(first) as archive:
        assert (archive.check().count("subjects"), archive.manifest.made_by) == (1, "schedule")
    last = last_beat(alone.store, BACKUP)
    assert last is not None
    assert abs(last - wall(alone)) < timedelta(minutes=1)
    make(alone, plan(folder))
    assert backups_in(folder) == [first]
    let_pass(alone)
    make(alone, plan(folder))
    assert len(backups_in(folder)) == 2


def test_only_the_oldest_of_its_own_go(alone: Runtime, folder: Path) -> None:
    often = plan(folder)
    make(alone, often)
    [first] = backups_in(folder)
    theirs = [folder / "itp-20200101T000000Z-0123456789abcdef.zip", folder / "mine.zip", folder / "note.txt"]
    for path in theirs[:2]:
        kept(alone.store, path)
    theirs[2].write_text("note")
    damaged = folder / "itp-20200102T000000Z-0123456789abcdef.zip"
    damaged.write_bytes(first.read_bytes()[:-1])
    link = folder / "itp-20200103T000000Z-0123456789abcdef.zip"
    link.symlink_to(first)
    for _ in range(3):
        let_pass(alone)
        make(alone, often)
    assert not first.exists()
    there = set(folder.iterdir())
    assert {*theirs, damaged, link} <= there
    assert len(there) == 5 + 2


def test_what_a_killed_service_left_of_a_backup_goes(alone: Runtime, folder: Path) -> None:
    folder.mkdir()
    draft = folder / ".itp-20260101T000000Z-0123456789abcdef.zip.01234567.part"
    draft.write_bytes(b"PK")
    make(alone, plan(folder))
    assert list(folder.iterdir()) == backups_in(folder)


def test_a_service_that_stops_drops_the_backup_that_it_makes(alone: Runtime, folder: Path) -> None:
    with alone.store.writing() as connection:
        row = {"what": "put back", "at": wall(alone)}
        connection.execute(repairs.insert(), [row] * 600)
    make(alone, plan(folder), stopping=True)
    assert list(folder.iterdir()) == []
    assert open_troubles(alone.store) == []


def test_the_newest_good_one_never_goes(alone: Runtime, folder: Path) -> None:
    make(alone, plan(folder, keep=1))
    [first] = backups_in(folder)
    assert remove_old(folder, first, 1) == []
    assert remove_old(folder, first, 0) == []
    assert backups_in(folder) == [first]


def test_a_failure_is_a_trouble_until_one_succeeds(alone: Runtime, folder: Path) -> None:
    folder.write_text("no folder")
    make(alone, plan(folder))
    [trouble] = open_troubles(alone.store)
    assert trouble.about == "backup"
    assert trouble.what.startswith(f"the backup into {folder} failed: ")
    assert last_beat(alone.store, BACKUP) is None
    folder.unlink()
    make(alone, plan(folder))
    assert open_troubles(alone.store) == []


def test_a_failure_is_not_tried_again_at_once(alone: Runtime, folder: Path) -> None:
    folder.write_text("no folder")
    service = Backups(alone, plan(folder), lambda: True)
    asyncio.run(service.make_due())
    folder.unlink()
    asyncio.run(service.make_due())
    assert not folder.exists()


def test_a_backup_that_fails_keeps_the_ones_before(
    alone: Runtime, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(alone, plan(folder, keep=1))
    before = backups_in(folder)
    let_pass(alone)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "back_up", full)
    make(alone, plan(folder, keep=1))
    assert backups_in(folder) == before
    assert "No space left on device" in open_troubles(alone.store)[0].what


def test_a_service_without_a_folder_makes_none_and_settles_the_trouble(alone: Runtime, folder: Path) -> None:
    folder.write_text("no folder")
    make(alone, plan(folder))
    make(alone, None)
    assert open_troubles(alone.store) == []


def test_the_service_makes_them_while_it_works(alone: Runtime, folder: Path) -> None:
    enrol(alone, "ITP-001")

    async def scenario() -> bool:
        at_work = ServiceLoop(alone, 180, None, plan(folder))
        going = asyncio.create_task(at_work.go())
        await asyncio.to_thread(wait_until, lambda: backups_in(folder), "a backup")
        at_work.stop()
        return await going

    with temporary_settings({PREFECT_API_URL: NOBODY, PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}):
        assert asyncio.run(scenario())
