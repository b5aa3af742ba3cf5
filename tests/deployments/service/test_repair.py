"""Runs put back in a real Prefect, whatever became of them there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.study import open_study
from deployments.service.repair import PATIENCE, Repair
from flows.prefect_api.flow_runs import RECORD_EVENT, Deployment, FlowRun, FlowRuns, scheduled
from flows.study.recording import record_and_show
from flows.study.runtime import Runtime
from itp_events.events import parse_event
from tasks.database.queries import all_subjects, subject
from tasks.database.repairs import latest_repairs
from tests.flows.conftest import journeys, runs
from tests.support.prefect_server import PrefectServer
from tests.support.service import SITE, enrolment

pytestmark = pytest.mark.requirement("RUN-01")

__all__ = ["journeys", "runs"]


class LaterClock(Clock):
    """A clock that is a little more than the repair's patience ahead."""

    def now(self) -> datetime:
        return super().now() + PATIENCE + timedelta(seconds=5)


@pytest.fixture
def study(tmp_path: Path, prefect_server: PrefectServer) -> Iterator[Runtime]:
    config = tmp_path / "apprise.yml"
    config.write_text("version: 1\nurls:\n  - json://127.0.0.1:9/\n")
    opened = open_study(
        Settings(data_dir=tmp_path, prefect_api_url=prefect_server.api_url, apprise_config=config)
    )
    yield opened
    opened.store.close()


@pytest.fixture
def code(study: Runtime, runs: FlowRuns, journeys: Deployment) -> str:
    """A subject who has just been enrolled, and whose flow run waits."""
    code = f"ITP-{uuid4().hex[:8]}"
    now = study.clock.now()
    event = parse_event(enrolment(code, now, now.astimezone(SITE).date()))
    [answer] = record_and_show(study, [event], now)
    assert answer.status == "recorded", answer.error
    # On a busy machine the second that a door takes to show the wait is not enough.
    Repair(study, runs, journeys).all(frozenset())
    return code


def flow_run(runs: FlowRuns, code: str) -> FlowRun:
    return runs.find([code])[code]


def is_put_back(study: Runtime, runs: FlowRuns, code: str) -> bool:
    run, row = flow_run(runs, code), subject(study.store, code)
    assert row is not None
    assert row.wake_at is not None
    assert run.planned is not None
    on_time = abs(run.planned - row.wake_at) < timedelta(seconds=1)
    return run.state_type == "SCHEDULED" and run.state_name == row.state and on_time


def test_a_run_that_is_in_order_is_left_alone(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str
) -> None:
    assert is_put_back(study, runs, code)
    assert Repair(study, runs, journeys).all(frozenset()) == 0


@pytest.mark.parametrize("state", ["FAILED", "CRASHED", "CANCELLED", "CANCELLING", "PAUSED", "COMPLETED"])
def test_a_live_subject_s_run_is_put_back_and_the_repair_is_logged(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str, state: str
) -> None:
    run = flow_run(runs, code)
    runs.force(run.id, {"type": state, "name": state.capitalize()})
    assert Repair(study, runs, journeys).all(frozenset()) == 1
    assert is_put_back(study, runs, code)
    assert flow_run(runs, code).id == run.id
    assert latest_repairs(study.store)[0].subject == code


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_a_run_that_somebody_claimed_is_put_back_when_he_had_time_enough(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str, state: str
) -> None:
    runs.force(flow_run(runs, code).id, {"type": state, "name": state.capitalize()})
    assert Repair(study, runs, journeys).all(frozenset()) == 0
    assert Repair(replace(study, clock=LaterClock()), runs, journeys).all(frozenset()) == 1
    assert is_put_back(study, runs, code)


def test_a_run_that_is_executed_here_is_left_alone(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str
) -> None:
    run = flow_run(runs, code)
    runs.force(run.id, {"type": "FAILED", "name": "Failed"})
    assert Repair(study, runs, journeys).all({run.id}) == 0


def test_a_missing_run_is_created_again(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str
) -> None:
    runs.delete(flow_run(runs, code).id)
    assert Repair(study, runs, journeys).all(frozenset()) == 1
    assert is_put_back(study, runs, code)


def test_a_run_of_a_deployment_that_is_gone_is_replaced(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str
) -> None:
    before = flow_run(runs, code)
    other = runs.deployment(RECORD_EVENT)
    assert other is not None
    # What the repair creates belongs to the true deployment all the same.
    assert Repair(study, runs, replace(journeys, id=other.id)).all(frozenset()) == 1
    assert flow_run(runs, code).id != before.id
    assert is_put_back(study, runs, code)


def test_a_run_that_no_door_had_time_to_create_is_created_and_counts_as_no_repair(
    study: Runtime, runs: FlowRuns, journeys: Deployment
) -> None:
    now = study.clock.now()
    study.record([parse_event(enrolment("ITP-later", now, now.astimezone(SITE).date()))], now)
    assert Repair(study, runs, journeys).all(frozenset()) == 0
    assert is_put_back(study, runs, "ITP-later")
    assert latest_repairs(study.store) == []


def test_a_run_that_is_claimed_while_the_repair_looks_is_left_alone(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str
) -> None:
    runs.force(flow_run(runs, code).id, {"type": "FAILED", "name": "Failed"})
    seen = flow_run(runs, code)
    runs.force(seen.id, {"type": "RUNNING", "name": "Running"})
    [row] = all_subjects(study.store)
    assert not Repair(study, runs, journeys).mend(row, seen)
    assert flow_run(runs, code).state_type == "RUNNING"


def test_a_second_journey_that_waits_is_ended_and_the_subject_s_own_goes_on(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str
) -> None:
    later = scheduled(study.clock.now() + timedelta(days=30))
    second = runs.create_named(journeys, uuid4().hex, {"subject": code}, later)
    Repair(study, runs, journeys).all(frozenset())
    ended = runs.read(second.id)
    assert ended is not None
    assert (ended.state_type, ended.state_name) == ("CANCELLED", "Second journey")
    assert is_put_back(study, runs, code)
    assert f"a second journey of {code}" in latest_repairs(study.store)[0].what


def test_a_second_journey_that_is_executed_here_is_left_to_end_by_itself(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str
) -> None:
    second = runs.create_named(journeys, uuid4().hex, {"subject": code}, scheduled(study.clock.now()))
    Repair(study, runs, journeys).all({second.id})
    going = runs.read(second.id)
    # The server is shared: the next test's repair would end this run, and say so.
    runs.delete(second.id)
    assert going is not None
    assert going.state_type == "SCHEDULED"


def test_a_journey_made_beforehand_for_somebody_else_is_replaced(
    study: Runtime, runs: FlowRuns, journeys: Deployment, code: str
) -> None:
    """Its key is the subject's, so it is what a door finds; it would advance another subject."""
    runs.delete(flow_run(runs, code).id)
    forged = runs.create_named(
        journeys, code, {"subject": "ITP-other"}, {"type": "COMPLETED", "name": "Fine"}
    )
    assert Repair(study, runs, journeys).all(frozenset()) == 1
    mine = flow_run(runs, code)
    assert mine.id != forged.id
    assert mine.parameters == {"subject": code}
    assert is_put_back(study, runs, code)
