"""The study's file: what was deleted or replaced under the service takes nothing in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from tasks.database import queries, repairs
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("LOG-02")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


@pytest.fixture
def desk(sqlite_url: str, study: Study) -> Iterator[Desk]:
    desk = Desk.open(sqlite_url)
    desk.take(study.enrol())
    yield desk
    desk.store.close()


def delete(file: Path) -> None:
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


def replace(file: Path) -> None:
    copy = file.with_suffix(".copy")
    copy.write_bytes(file.read_bytes())
    copy.replace(file)


def move(file: Path) -> None:
    file.rename(file.with_suffix(".moved"))


def delete_the_log_beside_it(file: Path) -> None:
    Path(f"{file}-wal").unlink()


def delete_the_index_beside_it(file: Path) -> None:
    Path(f"{file}-shm").unlink()


FAULTS = [delete, replace, move, delete_the_log_beside_it, delete_the_index_beside_it]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_study_deleted_or_replaced_under_the_service_takes_nothing_in(
    desk: Desk, study: Study, file: Path, fault: Callable[[Path], None]
) -> None:
    fault(file)
    there, done = sorted(file.parent.iterdir()), study.done("INF1", "2026-01-05")
    for _ in range(2):
        with pytest.raises(OperationalError, match=r"study\.db was deleted or replaced"):
            desk.take(done)
    with pytest.raises(OperationalError, match=r"study\.db was deleted or replaced"):
        queries.all_subjects(desk.store)
    assert sorted(file.parent.iterdir()) == there, "nothing is begun in its place"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pool_of_its_own_opens_no_other_file_in_its_place(
    desk: Desk, file: Path, fault: Callable[[Path], None]
) -> None:
    apart = desk.store.apart(0)
    fault(file)
    if fault in (delete, replace, move):
        with pytest.raises(OperationalError, match="deleted or replaced"):
            queries.all_subjects(apart)
    apart.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_committed_into_a_file_that_is_gone_is_not_acknowledged(
    desk: Desk, file: Path, fault: Callable[[Path], None]
) -> None:
    def change(connection: sa.Connection) -> None:
        connection.execute(sa.text("UPDATE subjects SET message = 'changed'"))
        fault(file)

    with pytest.raises(OperationalError, match="deleted or replaced"):
        desk.store.write(change)


def test_a_file_that_is_put_back_goes_on(desk: Desk, study: Study, file: Path) -> None:
    away = file.rename(file.with_suffix(".away"))
    with pytest.raises(OperationalError):
        queries.all_subjects(desk.store)
    away.rename(file)
    [answer] = desk.take(study.done("INF1", "2026-01-05"))
    assert answer.status == "recorded"


def test_a_store_apart_sees_what_the_other_has_written(desk: Desk) -> None:
    apart = desk.store.apart(1)
    repairs.note_repair(apart, "mended", ENROLLED_AT)
    assert [repair.what for repair in repairs.latest_repairs(desk.store)] == ["mended"]
    apart.close()
