"""`itp up` as a process tree: it starts, says where it is, and leaves nothing behind.

A start costs ten seconds of a processor: each test looks at all that one start can show.
"""

import os
import signal
from collections.abc import Callable
from socket import gethostname

import httpx
import pytest

from deployments.prefect.server_process import is_ready
from itp_events.protocol.file import load_protocol
from tasks.audit.entries import Kind, Wanted
from tasks.audit.reading import audit
from tasks.database.store import Store
from tests.support.service import Service, children, is_running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-03")

SETTINGS: tuple[Kind, ...] = ("setting",)
MakeService = Callable[..., Service]


def test_on_an_empty_folder_it_becomes_ready_says_where_it_is_and_leaves_no_process(
    first_service: MakeService,
) -> None:
    # A proxy for the way out is not asked for what is on this machine.
    nowhere = "http://127.0.0.1:9"
    service = first_service(HTTP_PROXY=nowhere, http_proxy=nowhere, ALL_PROXY=nowhere, ITP_API_WORKERS=1)
    service.start()
    _says_where_it_is_and_what_to_try_next(service)
    _doors_are_a_process_of_their_own(service)
    _a_second_service_on_the_same_data_is_refused_in_one_line(first_service, service)
    _a_taken_port_is_named_before_anything_starts(service)
    tree = [service.pid, *children(service.pid)]
    assert service.stop() == 0
    assert [pid for pid in tree if is_running(pid)] == []
    assert "Traceback" not in service.log
    _its_settings_are_in_the_audit_trail(service)


def _says_where_it_is_and_what_to_try_next(service: Service) -> None:
    ui = f"http://127.0.0.1:{service.prefect_port}"
    assert f"Prefect's UI: {ui}" in service.log
    assert httpx.get(ui, trust_env=False).status_code == 200
    assert str(service.data_dir) in service.log
    assert "itp record" in service.log


def _its_settings_are_in_the_audit_trail(service: Service) -> None:
    store = Store.open(f"sqlite:///{service.data_dir / 'study.db'}")
    noted = {each.details["about"] for each in audit(store, load_protocol(), Wanted(kinds=SETTINGS))}
    store.close()
    assert {"ITP_DATA_DIR", "ITP_API_PORT"} <= noted


def _doors_are_a_process_of_their_own(service: Service) -> None:
    assert len(children(service.pid)) == 2, "Prefect's server and the doors"
    api = f"http://127.0.0.1:{service.api_port}"
    health = httpx.get(f"{api}/healthz", timeout=30, trust_env=False).json()
    assert health["runner"]["status"] == "ok"


def _a_second_service_on_the_same_data_is_refused_in_one_line(make: MakeService, first: Service) -> None:
    # It writes its log where the first does, as it has the same data.
    second = make()
    second.start(ready=False)
    assert second.wait_ended() != 0
    assert f"a service runs on {first.data_dir} already (process {first.pid})" in first.log


def _a_taken_port_is_named_before_anything_starts(first: Service) -> None:
    second = Service(first.data_dir.parent / "port", first.receiver, prefect_port=first.prefect_port)
    second.start(ready=False)
    assert second.wait_ended() != 0
    assert f"port {first.prefect_port} is in use: set ITP_PREFECT_PORT" in second.log


def test_it_has_one_prefect_for_a_study_starts_it_again_and_stops_on_ctrl_c(
    make_service: MakeService, postgresql_url: str
) -> None:
    service = make_service(ITP_DATABASE_URL=postgresql_url)
    service.start()
    _a_second_prefect_for_one_study_is_refused_in_one_line(service, postgresql_url)
    [server] = children(service.pid)
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: children(service.pid) not in ([], [server]), "a new server")
    wait_until(lambda: is_ready(service.settings.prefect_api), "the new server to answer")
    tree = [service.pid, *children(service.pid)]
    assert len(tree) == 2
    assert service.stop(signal.SIGINT) == 0
    assert [pid for pid in tree if is_running(pid)] == []


def _a_second_prefect_for_one_study_is_refused_in_one_line(first: Service, database: str) -> None:
    second = Service(first.data_dir.parent / "other", first.receiver, {"ITP_DATABASE_URL": database})
    second.start(ready=False)
    assert second.wait_ended() == 1
    [line] = second.log.splitlines()
    assert f"shows this study in the Prefect at {gethostname()}:{first.prefect_port}" in line


def test_it_can_be_stopped_while_it_starts(make_service: MakeService) -> None:
    service = make_service()
    service.start(ready=False)
    wait_until(lambda: "Starting" in service.log, "the service to start")
    tree = [service.pid, *children(service.pid)]
    assert service.stop() == 0
    assert [pid for pid in tree if is_running(pid)] == []


def test_killed_outright_it_takes_its_doors_and_prefect_s_server_with_it(make_service: MakeService) -> None:
    service = make_service(ITP_API_WORKERS=1)
    service.start()
    tree = [service.pid, *children(service.pid)]
    assert len(tree) == 3
    service.kill()
    wait_until(lambda: not any(is_running(pid) for pid in tree), "all its processes to end")
    assert "Traceback" not in service.log
