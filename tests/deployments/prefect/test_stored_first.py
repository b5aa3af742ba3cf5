"""What Prefect's server has answered for is stored: a real server, asked and killed."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deployments.bootstrap.clock import Clock
from deployments.prefect.server_process import PrefectServer
from flows.prefect_api.flow_runs import FlowRuns
from flows.prefect_api.posted import stored_events
from itp_events.events import FACT_TYPES
from tests.support.asking import prefect_at
from tests.support.ports import free_port
from tests.support.posting import of_kind
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-09")

# Prefect writes each event when it comes, and complains at once.
EACH = {
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_MAX_FLUSH_RETRIES": "1",
}
OURS, ANOTHERS = "itp.contact.attempted", "of.another.program"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, prefect_home: Path) -> Iterator[PrefectServer]:
    """The service's own server."""
    home = tmp_path_factory.mktemp("stored") / "home"
    shutil.copytree(prefect_home, home)
    server = PrefectServer(home, free_port(), home / "log", {**os.environ, **EACH})
    server.start()
    server.wait_ready(120)
    yield server
    server.stop()


@dataclass
class Sender:
    """Posts events that only this one has posted, and reads the numbers in the stored ones."""

    server: PrefectServer
    name: str = field(default_factory=lambda: f"{uuid4()}")

    def made(
        self, number: int, *, event: str = OURS, known: str = "", note: str = "", days: int = 0
    ) -> dict[str, Any]:
        said = {"sender": self.name, "number": number, "note": note}
        return of_kind(event, said, Clock().now() + timedelta(days=days), known=known)

    def post(self, *events: dict[str, Any]) -> httpx.Response:
        with prefect_at(self.server.api) as prefect:
            return prefect.post("/events", json=list(events))

    def stored(self, *types: str) -> list[int]:
        runs = FlowRuns(self.server.api, 30.0)
        try:
            found = [each.payload for page in stored_events(runs, types or FACT_TYPES) for each in page]
        finally:
            runs.close()
        return sorted(payload["number"] for payload in found if payload["sender"] == self.name)


@pytest.fixture
def sender(server: PrefectServer) -> Sender:
    return Sender(server)


def test_a_server_that_is_killed_after_its_answer_knows_the_event_when_it_is_back(
    server: PrefectServer, sender: Sender
) -> None:
    assert sender.post(*(sender.made(number) for number in range(3))).status_code == 204
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: server.pid is None, "the server to be gone")
    server.stop()
    server.start()
    server.wait_ready(120)
    assert sender.stored() == [0, 1, 2]


def test_an_event_that_is_posted_again_is_one_and_prefect_drops_nothing(
    server: PrefectServer, sender: Sender
) -> None:
    once = sender.made(1)
    for _ in range(2):
        assert sender.post(once).status_code == 204
    sender.post(sender.made(2, event=ANOTHERS)).raise_for_status()
    wait_until(lambda: sender.stored(ANOTHERS) == [2], "Prefect to store what came after it")
    assert sender.stored() == [1]
    assert "dropping" not in server.log.read_text()


def test_another_event_with_a_known_id_is_refused_and_nothing_beside_it_taken(sender: Sender) -> None:
    known = sender.made(1)
    sender.post(known).raise_for_status()
    answer = sender.post(sender.made(2), sender.made(3, known=known["id"]))
    assert (answer.status_code, known["id"] in answer.json()["detail"]) == (409, True)
    assert sender.stored() == [1]


def test_an_event_that_is_too_long_for_a_run_is_refused(sender: Sender) -> None:
    answer = sender.post(sender.made(1), sender.made(2, note="x" * 600_000))
    assert (answer.status_code, "less than" in answer.json()["detail"]) == (413, True)
    assert sender.post(sender.made(3, event=ANOTHERS, note="x" * 600_000)).status_code == 204
    assert sender.stored() == []


@pytest.mark.parametrize("days", [-400, 400])
def test_what_occurred_long_ago_is_kept_as_long_as_what_occurred_today(sender: Sender, days: int) -> None:
    began = Clock().now()
    posted = sender.made(1, days=days)
    sender.post(posted).raise_for_status()
    with prefect_at(sender.server.api) as prefect:
        query = {"filter": {"id": {"id": [posted["id"]]}}}
        [found] = prefect.post("/events/filter", json=query).raise_for_status().json()["events"]
    assert began <= datetime.fromisoformat(found["occurred"]) <= Clock().now()


def test_many_events_are_read_page_by_page(sender: Sender) -> None:
    sender.post(*(sender.made(number) for number in range(120))).raise_for_status()
    assert sender.stored() == list(range(120))
