"""The service at work: waits that last, wakes on time, and a Prefect that may be gone."""

import os
import shutil
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from deployments.prefect.server_process import is_ready
from flows.prefect_api.flow_runs import FlowRun
from tasks.database.repairs import latest_repairs
from tests.support.service import SITE, Service, children, enrolment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-01")


def waiting_run(service: Service, code: str) -> str:
    """Wait until Prefect shows what the subject waits for; the flow run's id."""
    return str(service.wait_for_run(code, service.is_shown(code), "to show its wait").id)


def created_run(service: Service, code: str) -> FlowRun:
    """The subject's flow run; a busy Prefect needs more than the second that a door gives it."""
    run = wait_until(lambda: service.flow_run(code), f"the flow run of {code}")
    assert run is not None
    return run


def lateness(service: Service, code: str, before: int, due: datetime) -> timedelta:
    """How long after its time the next notice about the subject arrived."""
    wait_until(lambda: len(service.told(code)) > before, f"a notice about {code}")
    return service.told(code)[before].at - service.study.clock.wall(due)


def test_one_flow_run_waits_without_a_process_and_is_woken_at_its_time(running: Service) -> None:
    running.enrol("ITP-101")
    run = waiting_run(running, "ITP-101")
    assert len(children(running.pid)) == 1, "Prefect's server alone, no process for who waits"
    told = len(running.told("ITP-101"))
    due = running.bring_forward("ITP-101")
    assert lateness(running, "ITP-101", told, due) >= timedelta(0)
    running.wait_for_wake("ITP-101", due)
    assert waiting_run(running, "ITP-101") == run


def test_a_flow_run_bears_the_subject_s_code_and_tags(running: Service) -> None:
    running.enrol("ITP-102")
    waiting_run(running, "ITP-102")
    run = running.flow_run("ITP-102")
    assert run is not None
    assert run.name == "ITP-102"
    assert set(run.tags) == set(running.subject("ITP-102").tags) >= {"site:01", "epoch:treatment"}


@pytest.mark.requirement("RUN-02")
def test_an_enrolment_delivered_twice_starts_one_flow_run(running: Service) -> None:
    now = running.study.clock.now()
    event = enrolment("ITP-103", now, now.astimezone(SITE).date())
    assert [running.record(event)[0].status for _ in range(2)] == ["recorded", "known"]
    run = waiting_run(running, "ITP-103")
    wait_until(lambda: running.subject("ITP-103").flow_run_id == run, "the study to know the one run")


def test_a_run_cancelled_in_the_ui_is_put_back_and_the_journey_goes_on(running: Service) -> None:
    running.enrol("ITP-104")
    run = created_run(running, "ITP-104")
    running.flow_runs.propose(run.id, {"type": "CANCELLING", "name": "Cancelling"})
    assert waiting_run(running, "ITP-104") == str(run.id)
    running.wait_for_wake("ITP-104", running.bring_forward("ITP-104"))
    assert waiting_run(running, "ITP-104") == str(run.id)
    repaired = latest_repairs(running.study.store)
    assert "ITP-104" in [repair.subject for repair in repaired]


def test_a_run_deleted_in_the_ui_is_created_again(running: Service) -> None:
    running.enrol("ITP-105")
    run = created_run(running, "ITP-105")
    running.flow_runs.delete(run.id)
    assert waiting_run(running, "ITP-105") != str(run.id)


def test_a_run_started_by_hand_does_what_is_due_and_waits_again(running: Service) -> None:
    running.enrol("ITP-106")
    run = created_run(running, "ITP-106")
    assert running.flow_runs.propose(run.id, {"type": "SCHEDULED", "name": "Scheduled"})
    assert waiting_run(running, "ITP-106") == str(run.id)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGSTOP, "ITP-108"), (signal.SIGKILL, "ITP-109")])
def test_while_prefect_is_gone_the_reminder_leaves_all_the_same(
    running: Service, how: signal.Signals, code: str
) -> None:
    running.enrol(code)
    run = waiting_run(running, code)
    told = len(running.told(code))
    due = running.bring_forward(code, 2.0)
    [server] = children(running.pid)
    os.kill(server, how)
    late = lateness(running, code, told, due)
    if how is signal.SIGSTOP:
        os.kill(server, signal.SIGCONT)
    assert late >= timedelta(0)
    running.wait_for_wake(code, due)
    wait_until(lambda: is_ready(running.settings.prefect_api), "Prefect to be back")
    assert waiting_run(running, code) == run


def test_a_door_works_while_prefect_is_gone(running: Service) -> None:
    [server] = children(running.pid)
    os.kill(server, signal.SIGSTOP)
    try:
        running.enrol("ITP-107")
        assert running.told("ITP-107")
    finally:
        os.kill(server, signal.SIGCONT)
    assert waiting_run(running, "ITP-107")


def test_prefect_s_database_deleted_every_live_subject_has_its_run_back(
    running: Service, prefect_home: Path
) -> None:
    codes = ["ITP-111", "ITP-112", "ITP-113"]
    for code in codes:
        running.enrol(code)
        waiting_run(running, code)
    [server] = children(running.pid)
    os.kill(server, signal.SIGKILL)
    shutil.rmtree(running.data_dir / "prefect")
    shutil.copytree(prefect_home, running.data_dir / "prefect")
    wait_until(lambda: is_ready(running.settings.prefect_api), "a new server")
    assert len({waiting_run(running, code) for code in codes}) == 3
    running.wait_for_wake("ITP-111", running.bring_forward("ITP-111"))


def test_stopped_over_a_due_date_the_service_catches_up_when_it_starts(running: Service) -> None:
    running.enrol("ITP-114")
    run = waiting_run(running, "ITP-114")
    assert running.stop() == 0
    told = len(running.told("ITP-114"))
    due = running.bring_forward("ITP-114", -60)
    running.start()
    running.wait_for_wake("ITP-114", due)
    wait_until(lambda: len(running.told("ITP-114")) > told, "what came due meanwhile to arrive")
    assert len(running.told("ITP-114")) == told + 1
    assert waiting_run(running, "ITP-114") == run
