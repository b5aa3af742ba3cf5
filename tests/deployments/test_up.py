"""`itp up` as a process tree: it starts, says where it is, and leaves nothing behind."""

import os
import signal
from collections.abc import Callable
from socket import gethostname

import httpx
import pytest

from deployments.prefect.server_process import is_ready
from tests.support.service import Service, children, is_running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-03")

MakeService = Callable[..., Service]


@pytest.mark.parametrize(
    ("data", "how"), [("first_service", signal.SIGTERM), ("make_service", signal.SIGINT)]
)
def test_it_becomes_ready_and_stops_leaving_no_process(
    request: pytest.FixtureRequest, first_service: MakeService, data: str, how: signal.Signals
) -> None:
    """The first time on an empty folder, later on what is there."""
    request.getfixturevalue(data)
    service = first_service()
    service.start()
    tree = [service.pid, *children(service.pid)]
    assert len(tree) == 2
    assert service.stop(how) == 0
    assert [pid for pid in tree if is_running(pid)] == []


def test_it_says_where_the_ui_and_the_data_are_and_what_to_try_next(make_service: MakeService) -> None:
    # A proxy for the way out is not asked for what is on this machine.
    nowhere = "http://127.0.0.1:9"
    service = make_service(HTTP_PROXY=nowhere, http_proxy=nowhere, ALL_PROXY=nowhere)
    service.start()
    ui = f"http://127.0.0.1:{service.prefect_port}"
    assert f"Prefect's UI: {ui}" in service.log
    assert httpx.get(ui).status_code == 200
    assert str(service.data_dir) in service.log
    assert "itp record" in service.log
    assert "Traceback" not in service.log


def test_it_can_be_stopped_while_it_starts(make_service: MakeService) -> None:
    service = make_service()
    service.start(ready=False)
    wait_until(lambda: "Starting" in service.log, "the service to start")
    tree = [service.pid, *children(service.pid)]
    assert service.stop() == 0
    assert [pid for pid in tree if is_running(pid)] == []


def test_killed_outright_it_takes_prefect_s_server_with_it(make_service: MakeService) -> None:
    service = make_service()
    service.start()
    [server] = children(service.pid)
    os.kill(service.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(server), "Prefect's server to end with its parent")


def test_a_server_that_ended_is_started_again(make_service: MakeService) -> None:
    service = make_service()
    service.start()
    [server] = children(service.pid)
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: children(service.pid) not in ([], [server]), "a new server")
    wait_until(lambda: is_ready(service.settings.prefect_api), "the new server to answer")


def test_a_second_service_on_the_same_data_is_refused_in_one_line(make_service: MakeService) -> None:
    first = make_service()
    first.start(ready=False)
    wait_until(lambda: "Starting" in first.log, "the first service to hold the lock")
    second = make_service()
    second.start(ready=False)
    assert second.wait_ended() != 0
    assert f"a service runs on {first.data_dir} already (process {first.pid})" in first.log


def test_a_taken_port_is_named_before_anything_starts(make_service: MakeService) -> None:
    first = make_service()
    first.start()
    second = Service(first.data_dir.parent / "other", first.receiver, prefect_port=first.prefect_port)
    second.start(ready=False)
    assert second.wait_ended() != 0
    assert f"port {first.prefect_port} is in use: set ITP_PREFECT_PORT" in second.log


def test_a_second_prefect_for_one_study_is_refused_in_one_line(
    make_service: MakeService, postgresql_url: str
) -> None:
    first = make_service(ITP_DATABASE_URL=postgresql_url)
    first.start(ready=False)
    wait_until(lambda: "Starting" in first.log, "the first service to say which Prefect it uses")
    other = first.data_dir.parent / "other"
    second = Service(other, first.receiver, {"ITP_DATABASE_URL": postgresql_url})
    second.start(ready=False)
    assert second.wait_ended() == 1
    [line] = second.log.splitlines()
    assert f"shows this study in the Prefect at {gethostname()}:{first.prefect_port}" in line


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_its_doors_are_a_process_of_their_own_that_ends_with_it(
    make_service: MakeService, how: signal.Signals
) -> None:
    service = make_service(ITP_API_WORKERS=1)
    service.start()
    tree = [service.pid, *children(service.pid)]
    assert len(tree) == 3
    api = f"http://127.0.0.1:{service.api_port}"
    health = httpx.get(f"{api}/healthz", timeout=30, trust_env=False).json()
    assert health["runner"]["status"] == "ok"
    assert service.stop(how) == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    wait_until(lambda: not any(is_running(pid) for pid in tree), "all its processes to end")
    assert "Traceback" not in service.log
