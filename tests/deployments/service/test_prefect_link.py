"""Prefect is found and lost: what is wrong is said, and said once."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from deployments.bootstrap.clock import Clock
from deployments.prefect.server_process import proxy_environment
from deployments.service import prefect_link
from deployments.service.loop import ServiceLoop
from deployments.service.prefect_link import PrefectLink
from flows.prefect_api.flow_runs import JOURNEY, Deployment, FlowRuns, PrefectRefused, PrefectSilent
from flows.study.runtime import Runtime
from itp_events.events import parse_event
from itp_events.protocol.file import load_protocol
from tasks.database.prefect_notes import remember_flow_runs
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tests.support.api import enrolment

pytestmark = pytest.mark.requirement("RUN-01")


class _Page(BaseHTTPRequestHandler):
    """Answers everything with a page, as the login of a network does; a path of digits, with that status."""

    body = b"<html>Please log in</html>"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status = self.path.rpartition("/")[2]
        self.send_response(int(status) if status.isdecimal() else 200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[str]:
    """The address of something that is no Prefect."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


@pytest.fixture
def study(sqlite_url: str) -> Iterator[Runtime]:
    """An empty study whose Prefect never answers."""
    store = Store.open(sqlite_url)
    yield Runtime(store, load_protocol(), Channels.from_config(None), Clock(), "http://127.0.0.1:9/api")
    store.close()


def test_what_is_no_prefect_is_told_from_a_prefect_without_deployments(page: str) -> None:
    runs = FlowRuns(page)
    with pytest.raises(PrefectSilent, match="is not Prefect's API"):
        runs.deployment(JOURNEY)
    runs.close()


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b"[{}]", b"null", b'"ok"', b"7", b"[7]"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda runs: runs.deployment(JOURNEY),
        lambda runs: runs.find(["ITP-001"]),
        lambda runs: runs.read(uuid4()),
        lambda runs: runs.create(Deployment(uuid4(), uuid4()), "ITP-001", {}),
        lambda runs: runs.propose(uuid4(), {}),
        lambda runs: runs.due([Deployment(uuid4(), uuid4())], Clock().now()),
        lambda runs: runs.in_states([Deployment(uuid4(), uuid4())], ["PENDING"]),
        lambda runs: runs.live(Deployment(uuid4(), uuid4())),
    ],
)
def test_an_answer_without_sense_is_silence_or_says_nothing(
    page: str, monkeypatch: pytest.MonkeyPatch, ask: Callable[[FlowRuns], object], body: bytes
) -> None:
    monkeypatch.setattr(_Page, "body", body)
    runs = FlowRuns(page)
    with suppress(PrefectSilent):
        assert ask(runs) in (None, False, [], {}, 7)
    runs.close()


@pytest.mark.parametrize("status", [404, 405, 409, 413, 422])
def test_a_refused_request_is_no_silence_and_prefect_is_used_on(
    study: Runtime, page: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    link = PrefectLink(study)
    link.deployments = {JOURNEY: Deployment(uuid4(), uuid4())}
    with pytest.raises(PrefectRefused, match=f"answers {status} to PATCH") as refused:
        Asking(page).ask(status)
    link.note(refused.value)
    assert link.answers
    assert f"answers {status}" in caplog.text


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503])
def test_an_answer_that_every_request_would_get_is_silence(study: Runtime, page: str, status: int) -> None:
    link = PrefectLink(study)
    link.deployments = {JOURNEY: Deployment(uuid4(), uuid4())}
    with pytest.raises(PrefectSilent, match=f"answers {status} to PATCH") as silent:
        Asking(page).ask(status)
    link.note(silent.value)
    assert not link.answers


class Asking(FlowRuns):
    """Asks what is no Prefect, with little patience."""

    def __init__(self, api: str) -> None:
        super().__init__(api, 0.2)

    def ask(self, status: int) -> None:
        """Ask for an answer of a status."""
        try:
            self.call("PATCH", f"/{status}", {})
        finally:
            self.close()


def test_a_page_that_is_no_prefect_is_not_taken_for_one(study: Runtime, page: str) -> None:
    link = PrefectLink(replace(study, prefect_api=page))
    with pytest.raises(PrefectSilent, match="is not Prefect's API"):
        asyncio.run(link.look_up())
    link.runs.close()


def test_why_prefect_is_not_used_is_said_once_for_each_reason(
    study: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    link = PrefectLink(study)
    for reason in ("answers 401", "answers 401", "does not answer"):
        link.lost(PrefectSilent(reason))
    assert [record.getMessage() for record in caplog.records] == [
        "Going on without Prefect: answers 401",
        "Going on without Prefect: does not answer",
    ]


@pytest.mark.parametrize("fails", ["before", "during", "after"])
def test_a_service_that_uses_prefect_never_takes_it_for_absent(
    study: Runtime, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """It would leave all that is to be done there to another service, for ever."""
    link = PrefectLink(study)
    silence = PrefectSilent("timed out")

    def look() -> dict[str, Deployment]:
        if fails == "during":
            link.lost(silence)
        return {JOURNEY: Deployment(uuid4(), uuid4())}

    monkeypatch.setattr(prefect_link, "is_ready", lambda _api: True)
    monkeypatch.setattr(link, "_look_up", look)
    if fails == "before":
        link.lost(silence)
    assert asyncio.run(link.find())
    if fails == "after":
        link.lost(silence)
    assert link.is_there == link.answers == (fails != "after")
    link.runs.close()


@pytest.mark.parametrize("refused", [False, True])
def test_a_prefect_that_is_found_during_its_repair_is_repaired_again(
    study: Runtime, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    loop, repaired = ServiceLoop(study, repair_seconds=180), Counter[str]()

    async def repair() -> None:
        repaired["times"] += 1
        if repaired["times"] == 1 and refused:
            raise PrefectRefused("gone")
        if repaired["times"] == 1:
            await loop._find_prefect()

    async def found() -> bool:
        return True

    async def lead(times: int) -> None:
        for _ in range(times):
            with suppress(PrefectRefused):
                await loop._lead()

    monkeypatch.setattr(loop, "_is_leading", lambda: True)
    monkeypatch.setattr(loop, "_take_up", lambda: asyncio.sleep(0))
    monkeypatch.setattr(loop, "_repair", repair)
    monkeypatch.setattr(loop.link, "find", found)
    asyncio.run(lead(4))
    assert repaired["times"] == 2
    loop.link.runs.close()


def test_pages_wait_until_the_flow_runs_of_new_subjects_are_made(
    study: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, published = ServiceLoop(study, repair_seconds=180), Counter[str]()

    def publish() -> int:
        published["times"] += 1
        return 1

    def show() -> int:
        asyncio.run(loop._show_some())
        return published["times"]

    monkeypatch.setattr(loop, "_is_leading", lambda: True)
    monkeypatch.setattr(loop._publisher, "publish", publish)
    now = study.clock.now()
    [answer] = study.record([parse_event(enrolment("ITP-001", now))], now)
    assert answer.status == "recorded", answer.error
    assert show() == 0
    remember_flow_runs(study.store, {"ITP-001": "its run"})
    assert show() == 1
    loop.link.runs.close()


@pytest.mark.parametrize(
    ("environ", "bypassed"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "intranet"}, "intranet,127.0.0.1,localhost"),
        ({"NO_PROXY": "ignored", "no_proxy": "intranet"}, "intranet,127.0.0.1,localhost"),
    ],
)
def test_a_proxy_is_not_asked_for_what_is_on_this_machine(environ: dict[str, str], bypassed: str) -> None:
    assert proxy_environment(environ) == {"NO_PROXY": bypassed, "no_proxy": bypassed}
