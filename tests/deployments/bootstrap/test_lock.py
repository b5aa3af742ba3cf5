import os
from pathlib import Path

import pytest

from deployments.bootstrap.lock import AlreadyRunning, sole_on_file, sole_service
from deployments.bootstrap.study import sqlite_file
from itp_events.errors import ItpError

pytestmark = pytest.mark.requirement("RUN-04")


def test_a_second_service_on_a_data_directory_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with (
        sole_service(tmp_path),
        pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}"),
        sole_service(tmp_path),
    ):
        pass


def test_a_data_directory_is_free_again_when_its_service_ended(tmp_path: Path) -> None:
    for _ in range(2):
        with sole_service(tmp_path):
            pass


def test_who_holds_the_lock_learns_the_name_of_the_service_that_held_it_last(tmp_path: Path) -> None:
    with sole_service(tmp_path) as first:
        first.sign("a1")
    with sole_service(tmp_path) as failed:
        # It ends before it has done anything: what the one before left behind is still to be found.
        pass
    with sole_service(tmp_path) as second:
        second.sign("b2")
        with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}\)"), sole_service(tmp_path):
            pass
    assert [each.before for each in (first, failed, second)] == ["", "a1", "a1"]


def test_a_data_directory_that_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    with sole_service(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("below", ["", "data"])
def test_a_data_directory_that_cannot_be_one_is_named_with_its_setting(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    wrong = tmp_path / "file" / below
    with (
        pytest.raises(ItpError, match=r"^the data directory .* set ITP_DATA_DIR") as refused,
        sole_service(wrong),
    ):
        pass
    assert str(wrong) in str(refused.value)


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_second_service_on_a_sqlite_file_is_refused_by_whichever_path_it_comes(
    tmp_path: Path, link: str
) -> None:
    file = tmp_path / "one" / "study.db"
    other = tmp_path / "two"
    with sole_on_file(file):
        if link == "folder":
            other.symlink_to(file.parent)
        else:
            other.mkdir()
            (other / "study.db").symlink_to(file)
        with (
            pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}\)"),
            sole_on_file(other / "study.db"),
        ):
            pass
    with sole_on_file(other / "study.db"):
        pass


def test_services_on_a_database_server_hold_no_file() -> None:
    with sole_on_file(sqlite_file("postgresql://study@db/study")), sole_on_file(None):
        pass
