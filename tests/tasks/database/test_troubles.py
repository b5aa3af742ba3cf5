"""A trouble stands as long as it lasts, whichever of several processes notes and settles it."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.database.schema import subjects
from tasks.database.store import Store
from tasks.database.troubles import OwnTrouble, note_trouble, open_troubles, settle_trouble, settle_woken
from tests.support.study import Study
from tests.tasks.conftest import NOW
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("RUN-06")

STEPS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["noted", "over"])), min_size=3, max_size=12)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_two_processes_note_and_settle_one_trouble_in_any_order(
    sqlite_url: str, steps: Sequence[tuple[int, str]]
) -> None:
    """A job of the study passes from one process to another: the last of them knows how it stands."""
    stores = Store.open(sqlite_url), Store.open(sqlite_url)
    for process, what in steps:
        if what == "noted":
            note_trouble(stores[process], "backup", "no space left on device", NOW)
        else:
            settle_trouble(stores[process], "backup")
    assert bool(open_troubles(stores[0])) is (steps[-1][1] == "noted")
    settle_trouble(stores[0], "backup")
    for store in stores:
        store.close()


def test_a_trouble_is_new_once_and_stands_since_its_first_note(desk: Desk) -> None:
    later = NOW + timedelta(hours=1)
    assert note_trouble(desk.store, "backup", "no space left on device", NOW)
    assert not note_trouble(desk.store, "backup", "permission denied", later)
    [trouble] = open_troubles(desk.store)
    assert (trouble.what, trouble.since) == ("permission denied", NOW)


def test_the_trouble_of_one_process_is_not_ended_by_another_that_is_well(desk: Desk) -> None:
    ill, well = OwnTrouble(desk.store, "clock"), OwnTrouble(desk.store, "clock")
    well.settle()
    assert ill.note("ten minutes ahead", NOW)
    well.settle()
    [trouble] = open_troubles(desk.store)
    assert trouble.what == "ten minutes ahead"
    ill.settle()
    assert open_troubles(desk.store) == []


def test_the_trouble_of_a_process_that_ended_is_over_when_one_that_is_well_begins(desk: Desk) -> None:
    OwnTrouble(desk.store, "clock").note("ten minutes ahead", NOW)
    OwnTrouble(desk.store, "clock").settle()
    assert open_troubles(desk.store) == []


@pytest.mark.parametrize(("due", "stands"), [("earlier", True), ("later", False), ("never", False)])
def test_a_subject_that_somebody_else_has_moved_on_is_no_trouble_any_more(
    desk: Desk, study: Study, due: str, stands: bool
) -> None:
    desk.take(study.enrol())
    hour = timedelta(hours=1)
    wake_at = {"earlier": NOW - hour, "later": NOW + hour, "never": None}[due]
    with desk.store.writing() as connection:
        connection.execute(sa.update(subjects).values(wake_at=wake_at))
    for about in (study.code, "backup"):
        note_trouble(desk.store, about, "it cannot be read", NOW)
    settle_woken(desk.store, NOW)
    left = {study.code, "backup"} if stands else {"backup"}
    assert {each.about for each in open_troubles(desk.store)} == left
