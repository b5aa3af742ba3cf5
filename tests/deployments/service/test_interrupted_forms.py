"""Forms and events that a process which died has left behind in a real Prefect."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from deployments.bootstrap.clock import Clock
from deployments.service.interrupted_forms import PATIENCE, REST, InterruptedForms
from flows.prefect_api.flow_runs import Deployment, FlowRun, FlowRuns, scheduled
from tests.flows.conftest import journeys, runs

pytestmark = pytest.mark.requirement("RUN-09")

__all__ = ["journeys", "runs"]

FORM = "contact-attempt"
LONG_AGO = datetime.min.replace(tzinfo=Clock().now().tzinfo)


@pytest.fixture
def form(runs: FlowRuns, journeys: Deployment) -> Deployment:
    """The deployment of a form."""
    found = runs.deployment(FORM)
    assert found is not None
    return found


@pytest.fixture
def run(runs: FlowRuns, form: Deployment) -> FlowRun:
    """A form that somebody has filled in."""
    given = {"subject": "ITP-001", "by": "crc-01", "on": "2026-01-05", "reached": True}
    return runs.create_named(form, uuid4().hex, given, scheduled(Clock().now()))


def leave(runs: FlowRuns, run: FlowRun, state: str) -> None:
    """Leave the run in a state, as a process does that dies."""
    runs.force(run.id, {"type": state, "name": state.capitalize()})


def take_up(
    runs: FlowRuns, form: Deployment, run: FlowRun, later: timedelta, *, began: datetime = LONG_AGO
) -> str:
    """Look so much later for what was interrupted; the state in which the run is then."""
    InterruptedForms(runs, [form], began).take_up(frozenset(), Clock().now() + later)
    return state_of(runs, run)


def state_of(runs: FlowRuns, run: FlowRun) -> str:
    found = runs.read(run.id)
    assert found is not None
    return found.state_type


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_a_form_that_was_left_behind_is_planned_anew(
    runs: FlowRuns, form: Deployment, run: FlowRun, state: str
) -> None:
    leave(runs, run, state)
    assert take_up(runs, form, run, timedelta()) == state
    assert take_up(runs, form, run, PATIENCE * 2) == "SCHEDULED"
    found = runs.read(run.id)
    assert found is not None
    assert (found.state_name, found.parameters, found.created) == (
        "Taken up again",
        run.parameters,
        run.created,
    )


def test_what_was_left_before_this_process_began_waits_for_nothing(
    runs: FlowRuns, form: Deployment, run: FlowRun
) -> None:
    leave(runs, run, "RUNNING")
    began = Clock().now() + timedelta(seconds=1)
    assert take_up(runs, form, run, timedelta(seconds=1), began=began) == "SCHEDULED"


def test_a_form_that_took_too_long_is_taken_up_after_a_rest(
    runs: FlowRuns, form: Deployment, run: FlowRun
) -> None:
    leave(runs, run, "CRASHED")
    assert take_up(runs, form, run, PATIENCE * 2) == "CRASHED"
    assert take_up(runs, form, run, REST * 2) == "SCHEDULED"


def test_a_form_that_is_executed_here_is_left_alone(runs: FlowRuns, form: Deployment, run: FlowRun) -> None:
    leave(runs, run, "RUNNING")
    InterruptedForms(runs, [form], LONG_AGO).take_up({run.id}, Clock().now() + PATIENCE * 2)
    assert state_of(runs, run) == "RUNNING"


def test_a_form_that_somebody_cancels_is_not_begun_again(
    runs: FlowRuns, form: Deployment, run: FlowRun
) -> None:
    leave(runs, run, "CANCELLING")
    assert take_up(runs, form, run, PATIENCE * 2) == "CANCELLED"


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED", "PAUSED"])
def test_a_form_that_has_its_answer_or_waits_for_a_person_is_left_alone(
    runs: FlowRuns, form: Deployment, run: FlowRun, state: str
) -> None:
    leave(runs, run, state)
    assert take_up(runs, form, run, REST * 2) == state
