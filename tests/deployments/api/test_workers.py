"""The API in processes of its own: shared between them, started again, ended with the service."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from deployments.api.workers import ApiWorkers, WorkerRefused
from deployments.bootstrap.settings import Settings
from deployments.service.lateness import WAKE_LATENESS
from tasks.database.instance import Instance
from tests.support.ports import free_port
from tests.support.service import children, enrolment
from tests.support.waiting import wait_until
from tests.tasks.desk import ENROLLED_AT

pytestmark = pytest.mark.requirement("RUN-08")


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", database_url=SecretStr(sqlite_url), api_port=free_port(), api_workers=2
    )


@pytest.fixture
def workers(settings: Settings) -> Iterator[ApiWorkers]:
    workers = ApiWorkers(settings, Instance())
    workers.start()
    yield workers
    workers.stop()


def pids() -> set[int]:
    """The children of this process that serve the API."""
    return {pid for pid in children(os.getpid()) if "deployments.api.worker" in _command(pid)}


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_killed_they_are_started_again_and_no_client_is_turned_away(
    workers: ApiWorkers, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{settings.api_port}"
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        assert client.get("/subjects").json() == []
    # What the service's loop counts is shown by its doors.
    WAKE_LATENESS.observe(0.3)
    monkeypatch.setattr("deployments.api.workers.TELL_SECONDS", 0.1)

    def shown() -> bool:
        workers.look()
        text = httpx.get(f"{url}/metrics", timeout=60, trust_env=False).text
        return 'itp_wake_lateness_seconds_bucket{le="0.5"} 0.0' not in text

    wait_until(shown, "the lateness to be shown")
    before = pids()
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def started_again() -> bool:
        workers.look()
        return len(pids() - before) == 2

    wait_until(started_again, "two new processes")
    event = enrolment("ITP-001", ENROLLED_AT, ENROLLED_AT.date())
    # The listening socket was there all the time: a client waits, and is not refused.
    [answer] = httpx.post(f"{url}/events", json=[event], timeout=60, trust_env=False).json()
    assert answer["status"] == 201
    assert workers.stop()
    assert pids() == set()


def test_ended_while_they_are_loaded_they_have_ended_in_order(workers: ApiWorkers) -> None:
    assert workers.stop()
    assert pids() == set()


def test_what_keeps_them_from_serving_is_said_in_the_services_own_words(settings: Settings) -> None:
    workers = ApiWorkers(
        settings.model_copy(update={"database_url": SecretStr("mysql://db/study")}), Instance()
    )
    workers.start()

    def refused() -> str:
        try:
            workers.look()
        except WorkerRefused as problem:
            return str(problem)
        return ""

    assert "mysql is not supported" in wait_until(refused, "the reason")
    workers.stop()


def test_what_a_process_of_the_api_held_has_ended_with_its_service() -> None:
    service, next_one = Instance(), Instance()
    next_one.note_ended(service.id)
    assert next_one.has_ended(service.id)
    assert next_one.has_ended(f"{service.id}-3")
    assert not next_one.has_ended(f"{next_one.id}-1")
