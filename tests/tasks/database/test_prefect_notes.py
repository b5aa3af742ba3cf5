"""Which subjects wait for their flow run in Prefect."""

from datetime import timedelta

import pytest

from tasks.database.prefect_notes import await_flow_runs, remember_flow_runs
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("RUN-01")

JUST_BEFORE = ENROLLED_AT - timedelta(seconds=1)


def test_subjects_who_were_just_enrolled_wait_until_all_their_runs_are_noted(desk: Desk) -> None:
    assert not await_flow_runs(desk.store, JUST_BEFORE)
    other = Study(code="ITP-002")
    other.last_id = 100
    desk.take(Study().enrol(), other.enrol(), now=ENROLLED_AT)
    assert await_flow_runs(desk.store, JUST_BEFORE)
    remember_flow_runs(desk.store, {"ITP-002": "two"})
    assert await_flow_runs(desk.store, JUST_BEFORE)
    remember_flow_runs(desk.store, {"ITP-001": "one"})
    assert not await_flow_runs(desk.store, JUST_BEFORE)


def test_one_who_was_enrolled_longer_ago_is_not_waited_for(desk: Desk) -> None:
    desk.take(Study().enrol(), now=ENROLLED_AT)
    assert not await_flow_runs(desk.store, ENROLLED_AT)
