"""Which subjects wait for their flow run in Prefect."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from tasks.database import prefect_notes
from tasks.database.compiled import ask_in_turn
from tasks.database.prefect_notes import is_any_without_run, remember_flow_runs
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, later

pytestmark = pytest.mark.requirement("RUN-01")

JUST_BEFORE = ENROLLED_AT - timedelta(seconds=1)


def test_subjects_who_were_just_enrolled_wait_until_all_their_runs_are_noted(desk: Desk) -> None:
    assert not is_any_without_run(desk.store, JUST_BEFORE, ENROLLED_AT)
    other = Study(code="ITP-002")
    other.last_id = 100
    desk.take(Study().enrol(), other.enrol(), now=ENROLLED_AT)
    assert is_any_without_run(desk.store, JUST_BEFORE, ENROLLED_AT)
    remember_flow_runs(desk.store, {"ITP-002": "two"})
    assert is_any_without_run(desk.store, JUST_BEFORE, ENROLLED_AT)
    remember_flow_runs(desk.store, {"ITP-001": "one"})
    assert not is_any_without_run(desk.store, JUST_BEFORE, ENROLLED_AT)


def test_one_who_was_enrolled_longer_ago_is_not_waited_for(desk: Desk) -> None:
    desk.take(Study().enrol(), now=ENROLLED_AT)
    assert not is_any_without_run(desk.store, ENROLLED_AT, later(ENROLLED_AT, seconds=1))


def test_one_whom_a_wrong_clock_enrolled_ahead_of_now_is_not_waited_for(desk: Desk) -> None:
    desk.take(Study().enrol(), now=ENROLLED_AT)
    just_before = later(ENROLLED_AT, seconds=-1)
    assert not is_any_without_run(desk.store, later(just_before, seconds=-30), just_before)


def test_runs_are_noted_in_the_order_in_which_doors_lock_subjects(desk: Desk) -> None:
    """An order by case would be another one: two transactions could wait for each other."""
    with asked_values() as about:
        remember_flow_runs(desk.store, {"itp-b": "1", "ITP-C": "2", "ITP-a": "3"})
    assert about == ["ITP-a", "itp-b", "ITP-C"]


@contextmanager
def asked_values() -> Iterator[list[str]]:
    """The subjects whose rows are updated meanwhile, in order."""
    about: list[str] = []

    def noting(connection: Any, questions: Any) -> Any:
        about.extend(values["about"] for _, values in questions)
        return ask_in_turn(connection, questions)

    with patch.object(prefect_notes, "ask_in_turn", noting):
        yield about
