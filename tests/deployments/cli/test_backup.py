"""`itp backup`, `itp restore` and `itp move`: a study goes on wherever it is brought."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL

from deployments.at_rest import StillRunning, at_rest
from deployments.bootstrap.clock import Clock
from deployments.bootstrap.lock import sole_service
from deployments.bootstrap.settings import Settings
from deployments.service.sole_prefect import SolePrefect
from tasks.archive.rows import Row
from tasks.database.custody import Moved, move_in
from tasks.database.monitoring import shared_clock
from tasks.database.queries import all_subjects
from tasks.database.store import Store
from tests.deployments.cli.conftest import PROGRAM, At, Itp, Write
from tests.support.postgres import fresh_database
from tests.support.study import Study
from tests.tasks.archive.kept import stored as stored_rows

pytestmark = pytest.mark.requirement("BAK-02")

NOW = "2026-01-07T10:00:00+08:00"


@pytest.fixture
def here(tmp_path: Path) -> str:
    """The address of the study that `enrolled` is in."""
    return f"sqlite:///{tmp_path / 'data' / 'study.db'}"


@pytest.fixture
def empty_postgres(postgres: URL) -> Iterator[str]:
    """An empty PostgreSQL database, by its address."""
    with fresh_database(postgres) as url:
        yield url.set(drivername="postgresql").render_as_string(hide_password=False)


def stored(store: Store) -> dict[str, list[Row]]:
    """Every row of the study; without the register, in which each database notes its own triggers."""
    rows = stored_rows(store)
    return {table: each for table, each in rows.items() if table not in ("register", "chains")}


def _codes(url: str) -> list[str]:
    store = Store.open(url)
    try:
        return [row.code for row in all_subjects(store)]
    finally:
        store.close()


def _shown(itp: Itp, **settings: str) -> object:
    return itp("show", "ITP-001", "--json", **settings).json


def test_a_study_is_brought_into_another_database(
    itp: Itp, at: At, enrolled: Study, here: str, empty_postgres: str, tmp_path: Path
) -> None:
    before = _shown(itp, **at(NOW))
    said = itp("backup", "kept.zip", **at(NOW))
    assert said.code == 0, said.err
    assert said.out.startswith("kept.zip: 1 subject, ")
    assert "Not in it, because they are secrets" in said.out
    to = {"ITP_DATABASE_URL": empty_postgres, "ITP_DATA_DIR": str(tmp_path / "other")}
    said = itp("restore", "kept.zip", **to)
    assert said.code == 0, said.err
    assert said.out.startswith("Restored as of ")
    assert itp("plan", "nothing").code == 2
    store, source = Store.open(empty_postgres), Store.open(here)
    # The backup itself is noted once it is made.
    [made] = stored(source)["service_log"]
    assert (made["what"], made["about"]) == ("backed-up", "kept.zip")
    assert stored(store) == stored(source) | {"service_log": []}
    store.close()
    source.close()
    assert before


def test_a_backup_says_in_json_what_it_holds(itp: Itp, at: At, enrolled: Study) -> None:
    said = itp("backup", "kept.zip", "--json", **at(NOW)).json
    assert (said["file"], said["rows"]["subjects"]) == ("kept.zip", 1)
    assert list(said["protocols"]) == ["1"]


def test_a_backup_is_not_written_over_another_file(itp: Itp, at: At, enrolled: Study, tmp_path: Path) -> None:
    (tmp_path / "kept.zip").write_text("mine")
    said = itp("backup", "kept.zip", **at(NOW))
    assert said.code == 2
    assert said.problems == ["FILE: kept.zip is there already; name another, or replace it with --force"]
    assert itp("backup", "kept.zip", "--force", **at(NOW)).code == 0


def test_there_is_nothing_to_back_up_before_the_study_begins(itp: Itp, tmp_path: Path) -> None:
    said = itp("backup", "kept.zip")
    assert said.code == 1
    assert "yet: `itp up` or `itp record` begins one" in said.err
    assert not (tmp_path / "kept.zip").exists()


def test_a_restore_never_mixes_with_a_study(itp: Itp, at: At, enrolled: Study) -> None:
    itp("backup", "kept.zip", **at(NOW))
    said = itp("restore", "kept.zip", **at(NOW))
    assert said.code == 2
    assert said.problems == [
        "ITP_DATABASE_URL: the database is not empty (subjects holds rows); name an empty one"
    ]


def test_a_damaged_archive_is_refused_before_a_database_is_begun(
    itp: Itp, at: At, enrolled: Study, tmp_path: Path
) -> None:
    itp("backup", "kept.zip", **at(NOW))
    whole = bytearray((tmp_path / "kept.zip").read_bytes())
    whole[len(whole) // 2] ^= 1
    (tmp_path / "kept.zip").write_bytes(whole)
    said = itp("restore", "kept.zip", ITP_DATA_DIR=str(tmp_path / "other"))
    assert said.code == 2
    [line] = said.problems
    assert line.startswith("kept.zip")
    assert "nothing was written; take another backup" in line
    assert not (tmp_path / "other").exists()


def test_nothing_is_restored_or_moved_while_a_service_runs(
    itp: Itp, at: At, enrolled: Study, tmp_path: Path
) -> None:
    itp("backup", "kept.zip", **at(NOW))
    with sole_service(tmp_path / "other"):
        said = itp("restore", "kept.zip", ITP_DATA_DIR=str(tmp_path / "other"))
    assert said.code == 1
    assert "a service runs on" in said.err
    with sole_service(tmp_path / "data"):
        said = itp("move", f"sqlite:///{tmp_path / 'new.db'}", **at(NOW))
    assert (said.code, "a service runs on" in said.err) == (1, True)


def test_a_service_on_another_machine_is_seen_by_its_signs_of_life(
    itp: Itp, at: At, enrolled: Study, here: str, tmp_path: Path
) -> None:
    store, now = Store.open(here), Clock().now()
    serving = SolePrefect(store, "http://elsewhere:4200/api", "elsewhere:/srv/itp")
    serving.hold(now)
    said = itp("move", f"sqlite:///{tmp_path / 'new.db'}", **at(NOW))
    assert said.code == 1
    assert "a service works on this study at elsewhere:/srv/itp" in said.err
    serving.release()
    assert itp("move", f"sqlite:///{tmp_path / 'new.db'}", **at(NOW)).code == 0
    store.close()


def test_a_service_is_seen_by_the_databases_clock_though_its_machine_is_minutes_off(
    empty_postgres: str, tmp_path: Path
) -> None:
    store, now = Store.open(empty_postgres), Clock().now()
    elsewhere = SolePrefect(store, "http://elsewhere:4200/api", "elsewhere:/srv/itp")
    elsewhere.hold(shared_clock(store, now - timedelta(minutes=4)))
    settings = Settings(data_dir=tmp_path / "data")
    with (
        pytest.raises(StillRunning, match="elsewhere:/srv/itp"),
        at_rest(settings, empty_postgres, now + timedelta(minutes=4)),
    ):
        pass
    elsewhere.release()
    with at_rest(settings, empty_postgres, now):
        store.close()


def test_a_moved_study_goes_on_there_and_no_more_here(
    itp: Itp, at: At, enrolled: Study, lines: Write, here: str, empty_postgres: str
) -> None:
    source = Store.open(here)
    before = stored(source)
    said = itp("move", empty_postgres, **at(NOW))
    assert said.code == 0, said.err
    assert "set ITP_DATABASE_URL to that address" in said.out
    target = Store.open(empty_postgres)
    assert stored(target) == before == stored(source)
    target.close()
    again = lines(enrolled.raw("itp.contact.attempted", "2026-01-06", reached=True, event_id="late"))
    refused = itp("record", again, **at(NOW))
    assert refused.code == 1
    assert "this study was moved to postgresql" in refused.err
    found = itp("doctor", "--json", **at(NOW)).json["findings"]
    assert any("was moved to" in each["said"] and each["level"] == "fail" for each in found)
    assert stored(source) == before
    with pytest.raises(Moved):
        Store.open(here)
    source.close()


def test_a_moved_database_takes_in_nothing_through_a_door_that_was_open(
    itp: Itp, at: At, enrolled: Study, here: str, tmp_path: Path
) -> None:
    from tests.tasks.desk import Desk

    desk = Desk.open(here)
    assert itp("move", f"sqlite:///{tmp_path / 'new.db'}", **at(NOW)).code == 0
    before = stored(desk.store)
    late = enrolled.event("itp.contact.attempted", "2026-01-06", reached=True, event_id="late")
    with pytest.raises(Moved, match=r"this study was moved to sqlite:///.*: set ITP_DATABASE_URL"):
        desk.take(late)
    assert stored(desk.store) == before
    desk.store.close()


def test_a_move_is_taken_back_by_a_person(
    itp: Itp, at: At, enrolled: Study, here: str, tmp_path: Path
) -> None:
    assert itp("move", f"sqlite:///{tmp_path / 'new.db'}", **at(NOW)).code == 0
    assert itp("subjects", **at(NOW)).code == 1
    assert itp("move", "--stay", **at(NOW)).out.startswith(
        f"The move to sqlite:///{tmp_path / 'new.db'} is taken"
    )
    assert itp("subjects", **at(NOW)).code == 0


def test_a_move_to_where_something_is_leaves_the_study_open(
    itp: Itp, at: At, enrolled: Study, lines: Write, tmp_path: Path
) -> None:
    other = Study(code="ITP-002")
    itp("record", lines(other.enrolment("2026-01-05").to_json()), ITP_DATA_DIR=str(tmp_path / "other"))
    said = itp("move", f"sqlite:///{tmp_path / 'other' / 'study.db'}", **at(NOW))
    assert said.code == 2
    assert said.problems[0].startswith("URL: the database is not empty")
    assert itp("move", f"sqlite:///{tmp_path / 'data' / 'study.db'}", **at(NOW)).code == 2
    assert itp("move", **at(NOW)).code == 2
    assert itp("subjects", **at(NOW)).code == 0


def test_a_move_that_is_killed_is_repeated_and_never_leaves_two_open_studies(
    itp: Itp, at: At, enrolled: Study, here: str, empty_postgres: str, tmp_path: Path
) -> None:
    settings = at(NOW) | {"ITP_DATA_DIR": str(tmp_path / "data")}
    source = Store.open(here)
    before, chance, killed = stored(source), random.Random(5), 0
    began = time.monotonic()
    assert _moved_within(120, f"sqlite:///{tmp_path / 'first.db'}", settings, tmp_path)
    whole = time.monotonic() - began
    assert itp("move", "--stay", **at(NOW)).code == 0
    for part in (0.5, 0.7, 0.8, 0.9, 1.0):
        seconds = whole * (part - 0.1 * chance.random())
        killed += not _moved_within(seconds, empty_postgres, settings, tmp_path)
        with source.reading() as connection:
            move = move_in(connection)
        assert stored(source) == before
        there = _is_there(empty_postgres)
        assert move is not None or not there, "the source is closed before the target is full"
        if move is not None and move.what == "moved":
            assert there
            break
    else:
        assert itp("move", empty_postgres, **at(NOW)).code == 0
    assert killed
    target = Store.open(empty_postgres)
    assert stored(target) == before
    target.close()
    source.close()
    assert not (tmp_path / "data" / "moving.zip").exists()


def _moved_within(seconds: float, url: str, settings: dict[str, str], folder: Path) -> bool:
    command = [str(PROGRAM), "move", url]
    with subprocess.Popen(command, env=os.environ | settings, cwd=folder, stderr=subprocess.PIPE) as process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.wait() == 0


def _is_there(url: str) -> bool:
    store = Store.unmigrated(url)
    try:
        with store.reading() as connection:
            found = connection.dialect.has_table(connection, "subjects")
        return found and bool(_codes(url))
    finally:
        store.close()
