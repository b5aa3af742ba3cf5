"""A trouble stands as long as it lasts, whichever of several processes notes and settles it."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.database.instance import Instance
from tasks.database.schema import subjects
from tasks.database.store import Store
from tasks.database.troubles import (
    LeftTroubles,
    OwnTrouble,
    note_trouble,
    open_troubles,
    settle_trouble,
    settle_woken,
)
from tests.support.signs import fall_silent
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
    ill, well = OwnTrouble(desk.store, "clock", "ill"), OwnTrouble(desk.store, "clock", "well")
    well.settle(NOW)
    assert ill.note("ten minutes ahead", NOW)
    well.settle(NOW)
    [trouble] = open_troubles(desk.store)
    assert trouble.what == "ten minutes ahead"
    ill.settle(NOW)
    assert open_troubles(desk.store) == []


def test_the_trouble_of_a_process_that_ended_is_over_when_one_that_is_well_begins(desk: Desk) -> None:
    OwnTrouble(desk.store, "clock", "ended").note("ten minutes ahead", NOW)
    OwnTrouble(desk.store, "clock", "begun").settle(NOW)
    assert open_troubles(desk.store) == []


def test_the_trouble_of_a_process_that_lives_stands_when_one_that_is_well_begins(desk: Desk) -> None:
    ill = Instance()
    assert ill.give_sign(desk.store, NOW)
    own = OwnTrouble(desk.store, "clock", ill.id)
    own.note("ten minutes ahead", NOW)
    OwnTrouble(desk.store, "clock", "begun").settle(NOW)
    assert [each.about for each in open_troubles(desk.store)] == ["clock"]
    own.settle(NOW)
    assert open_troubles(desk.store) == []


def test_the_trouble_of_a_process_that_is_gone_for_good_ends_though_none_begins(desk: Desk) -> None:
    well, ill, gone = Instance(), Instance(), Instance()
    for instance, about in ((ill, "clock"), (gone, "recipients")):
        assert instance.give_sign(desk.store, NOW)
        OwnTrouble(desk.store, about, instance.id).note("ten minutes ahead", NOW)
    note_trouble(desk.store, "backup", "no space left on device", NOW)
    left = LeftTroubles(desk.store)
    left.settle(NOW)
    OwnTrouble(desk.store, "clock at the start", well.id).note("it gave no sign yet", NOW)
    # As after an hour without a database: then all but one come back.
    for instance in (ill, gone):
        fall_silent(desk.store, instance.id, 3600)
    left.settle(NOW)
    for instance in (well, ill):
        assert Instance(instance.id).give_sign(desk.store, NOW)
    left.settle(NOW)
    assert {each.about for each in open_troubles(desk.store)} == {"backup", "clock", "clock at the start"}


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
