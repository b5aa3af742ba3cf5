"""A Prefect worker of the project's own type takes due flow runs from the work pool, beside the rounds."""

import shutil
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from prefect.workers.base import BaseWorker

from deployments.bootstrap.settings import Settings
from deployments.pool_worker import VisitsWorker
from deployments.prefect.deployments import known_deployments, wanted
from deployments.prefect.pool import POOL
from deployments.service.pool_share import PoolShare
from deployments.service.sharing import Sharing
from flows.prefect_api.flow_runs import FlowRun, scheduled
from flows.prefect_api.setup import Setup
from flows.study.recording import start_journey
from itp_events.errors import BadInput
from itp_events.events import parse_event
from tasks.database.queries import log_lines
from tests.flows.conftest import VISITS
from tests.support.prefect_server import PrefectServer
from tests.support.receiver import Receiver
from tests.support.service import SITE, Service, enrolment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-12")

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


class AtWork:
    """One `itp worker` on a study in PostgreSQL, with a Prefect of its own and no round."""

    def __init__(self, service: Service, server: PrefectServer) -> None:
        self.service, self.server = service, server
        self.setup = Setup(server.api_url, 30.0)
        self.deployments, _ = known_deployments(self.setup, wanted(VISITS))

    def workers(self) -> list[dict[str, Any]]:
        """The processes that serve the work pool, as Prefect shows them."""
        found: list[dict[str, Any]] = self.setup.call("POST", f"/work_pools/{POOL}/workers/filter", {})
        return found

    def today(self) -> date:
        """The date at the site: in its small hours UTC has yesterday's."""
        return self.service.study.clock.now().astimezone(SITE).date()

    def enrol(self, code: str) -> FlowRun:
        """Enrol a subject, with two notices that nobody has handed over yet; its flow run waits for later."""
        study = self.service.study
        now, today = study.clock.now(), self.today()
        infusion = f"{today + timedelta(days=4)}"
        stated = enrolment(code, now, today, first_infusion_on=infusion)
        [answer] = study.record([parse_event(stated)], now)
        assert answer.status == "recorded", answer.error
        assert start_journey(study, self.setup, self.service.subject(code))
        return self.service.wait_for_run(code, self.service.is_shown(code), "to wait")

    def wake(self, run: FlowRun) -> None:
        """Let Prefect have the flow run due now."""
        assert self.setup.propose(run.id, scheduled(self.service.study.wall()))

    def recorded(self, code: str) -> list[str]:
        """The types of the events in a subject's log."""
        return [each.event.type for each in log_lines(self.service.study.store, code)]

    def wait_until_told(self, code: str) -> None:
        """Wait for the notices of an enrolment, and see that each came once, and that the run waits again."""
        wait_until(lambda: len(self.service.told(code)) >= 2, f"the notices of {code}")
        paths = sorted(request.path.strip("/") for request in self.service.told(code))
        assert paths == ["cell-lab", "coordinator"]
        self.service.wait_for_run(code, self.service.is_shown(code), "to wait again")


@pytest.fixture
def first_service(
    tmp_path: Path, postgresql_url: str, receiver: Receiver, prefect_home: Path
) -> Iterator[AtWork]:
    """A worker that has just begun. It has the name by which `make test` gives a test its own place."""
    shutil.copytree(prefect_home, tmp_path / "prefect")
    with ExitStack() as stack:
        server = PrefectServer(tmp_path / "prefect")
        stack.callback(server.stop)
        server.start()
        environment: dict[str, object] = {
            "PREFECT_API_URL": server.api_url,
            "ITP_DATABASE_URL": postgresql_url,
        }
        service = Service(tmp_path / "worker", receiver, environment, part="worker")
        stack.callback(service.close)
        found = AtWork(service, server)
        stack.callback(found.setup.close)
        service.start(ready=False)
        wait_until(lambda: "started!" in service.log, "the worker to start")
        yield found


@pytest.mark.timeout(900)
def test_a_worker_executes_what_is_due_in_the_pool_and_leaves_to_others_what_they_hold(
    first_service: AtWork,
) -> None:
    found, service = first_service, first_service.service

    # Prefect shows the pool, of the type that this project ships, and who serves it.
    pool = found.setup.pool(POOL)
    assert pool is not None
    assert pool["type"] == POOL
    [worker] = wait_until(found.workers, "the worker to be shown") or []
    assert (worker["status"], "worker" in worker["name"]) == ("ONLINE", True)

    # A journey: its notices are handed over, and the same run waits for what comes next.
    found.wake(found.enrol("ITP-001"))
    found.wait_until_told("ITP-001")

    # A form is recorded.
    answers = {"subject": "ITP-001", "reached": True, "on": f"{found.today()}"}
    form = found.deployments["contact-attempt"]
    found.setup.create_named(form, "contact", {**answers, "by": "crc-01"}, scheduled(service.study.wall()))
    wait_until(
        lambda: "itp.contact.attempted" in found.recorded("ITP-001"),
        "the form to be recorded",
    )

    # A subject that a round wakes just now is left to that round.
    held, free = found.enrol("ITP-002"), found.enrol("ITP-003")
    other = Sharing.of(service.study)
    assert other.take({"ITP-002"}) == {"ITP-002"}

    def told_while_other_lives() -> bool:
        other.take_turn(())
        return len(service.told("ITP-003")) >= 2

    found.wake(held)
    found.wake(free)
    wait_until(told_while_other_lives, "the notices of the subject that nobody holds")
    assert service.told("ITP-002") == []
    other.resign()
    found.wait_until_told("ITP-002")

    # Prefect goes and comes back: the worker stays, and takes what is due again.
    found.server.stop()
    wait_until(lambda: "Going on without Prefect" in service.log, "the worker to notice")
    found.server.start()
    found.wake(found.enrol("ITP-004"))
    found.wait_until_told("ITP-004")

    assert (service.data_dir / "alive").exists()
    assert service.stop() == 0
    assert "Traceback" not in service.log


def test_on_sqlite_a_worker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="PostgreSQL"):
        PoolShare.open(Settings(data_dir=tmp_path))


def test_prefect_s_own_command_knows_the_type_by_the_project_s_entry_point() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    [module] = project["entry-points"]["prefect.collections"].values()
    assert import_module(module).VisitsWorker is VisitsWorker
    assert BaseWorker.get_worker_class_from_type(POOL) is VisitsWorker


def test_it_offers_nothing_about_a_process_and_claims_nothing_ahead_of_its_time() -> None:
    assert VisitsWorker.get_default_base_job_template()["variables"]["properties"] == {}
    worker = VisitsWorker(POOL, prefetch_seconds=10)
    assert worker.get_status()["settings"] == {"prefetch_seconds": 0}
