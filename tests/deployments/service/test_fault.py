"""What the repair takes for wrong, and what it leaves alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from deployments.service.repair import Wait, fault
from flows.prefect_api.flow_runs import FlowRun

pytestmark = pytest.mark.requirement("RUN-01")

WORLD = datetime(2026, 1, 12, 1, 0, tzinfo=UTC)
UNTIL = WORLD + timedelta(days=3)
DEPLOYMENT = uuid4()
WAIT = Wait(UNTIL, "Awaiting INF3", DEPLOYMENT, WORLD)
ENDED = Wait(None, "Withdrawn: DEATH", DEPLOYMENT, WORLD)
RUN = FlowRun(
    id=uuid4(),
    name="ITP-001",
    flow_id=uuid4(),
    deployment_id=DEPLOYMENT,
    state_type="SCHEDULED",
    state_name="Awaiting INF3",
    since=WORLD - timedelta(days=1),
    planned=UNTIL,
    tags=(),
    parameters={},
)


def test_a_run_that_waits_for_the_right_moment_is_left_alone() -> None:
    assert fault(RUN, WAIT) is None


@pytest.mark.parametrize("state", ["FAILED", "CRASHED", "CANCELLING", "CANCELLED", "PAUSED", "COMPLETED"])
def test_a_live_subject_s_run_in_any_other_state_is_put_back(state: str) -> None:
    assert fault(replace(RUN, state_type=state, state_name=state.capitalize()), WAIT)


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_a_claimed_run_is_put_back_after_two_minutes_and_not_before(state: str) -> None:
    run = replace(RUN, state_type=state, state_name=state.capitalize())
    assert fault(replace(run, since=WORLD - timedelta(seconds=119)), WAIT) is None
    assert fault(replace(run, since=WORLD - timedelta(seconds=121)), WAIT)


@pytest.mark.parametrize("wait", [WAIT, ENDED])
def test_a_missing_run_is_created_for_those_who_left_the_study_too(wait: Wait) -> None:
    assert fault(None, wait)


def test_a_run_of_a_deployment_that_is_gone_is_replaced() -> None:
    assert fault(replace(RUN, deployment_id=uuid4()), WAIT)


def test_a_run_planned_for_another_moment_is_planned_anew() -> None:
    assert fault(replace(RUN, planned=UNTIL + timedelta(hours=1)), WAIT)


def test_a_run_that_shows_another_state_is_shown_anew() -> None:
    assert fault(replace(RUN, state_name="Awaiting INF2"), WAIT)


def test_a_run_that_somebody_woke_a_moment_ago_is_left_to_the_round() -> None:
    assert fault(replace(RUN, planned=WORLD - timedelta(seconds=5)), WAIT) is None
    assert fault(replace(RUN, planned=WORLD - timedelta(minutes=5)), WAIT)


def test_a_run_whose_subject_is_due_is_left_to_the_round() -> None:
    assert fault(replace(RUN, planned=UNTIL), replace(WAIT, until=WORLD)) is None


def test_a_run_that_ended_as_its_subject_did_is_left_alone() -> None:
    assert fault(replace(RUN, state_type="COMPLETED", state_name="Withdrawn: DEATH"), ENDED) is None


def test_a_run_that_still_waits_after_its_subject_s_exit_is_woken_to_end() -> None:
    assert fault(RUN, ENDED)
