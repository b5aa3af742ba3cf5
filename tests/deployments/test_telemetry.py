"""Traces and metrics: off and not even loaded unless a collector is named; then one trace for each event."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments.bootstrap.telemetry import ENDPOINT, SpanRecorder, is_asked_for, telemetry
from itp_events.events import parse_event
from tasks import spans
from tests.support.api import Door, apprise_config, done, enrolment, served
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-07")


class Recorded:
    """The spans and metrics of this process, kept in memory."""

    def __init__(self) -> None:
        self._spans, self._metrics = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.recorder = SpanRecorder(tracers, MeterProvider([self._metrics], shutdown_on_exit=False))

    def spans(self, name: str) -> list[ReadableSpan]:
        """The spans of a name that have ended, oldest first."""
        return [each for each in self._spans.get_finished_spans() if each.name == name]

    def doors(self, route: str) -> list[ReadableSpan]:
        """The requests of a route whose spans have ended: each ends a moment after its answer."""
        return [each for each in self.spans("door") if noted(each, "route") == route]

    def labels(self) -> list[dict[str, object]]:
        """The labels of every series of durations."""
        data = self._metrics.get_metrics_data()
        assert data is not None
        [metric] = data.resource_metrics[0].scope_metrics[0].metrics
        assert metric.name == "itp.span.duration"
        return [dict(point.attributes or {}) for point in metric.data.data_points]


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    recorded = Recorded()
    spans.record_with(recorded.recorder)
    yield recorded
    spans.record_with(None)


@pytest.fixture
def door(recorded: Recorded, tmp_path: Path, receiver: Receiver) -> Iterator[Door]:
    config = apprise_config(tmp_path / "apprise.conf", receiver.apprise_url())
    with served(tmp_path / "data", apprise_config=config) as door:
        yield door


def trace(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)


def noted(span: ReadableSpan, name: str) -> object:
    assert span.attributes is not None
    return span.attributes[f"itp.{name}"]


def test_an_event_is_one_trace_from_the_door_to_each_recipient(
    door: Door, recorded: Recorded, receiver: Receiver
) -> None:
    sent_by = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    stated = enrolment("ITP-001", door.now, first_infusion_on=f"{door.now:%Y-%m-%d}")
    assert door.post(stated, headers={"traceparent": sent_by}).status_code == 201
    told = len(wait_until(lambda: receiver.requests, "the notices to arrive"))
    wait_until(lambda: len(recorded.spans("send")) >= told, "the sends to end")

    [came] = wait_until(lambda: recorded.doors("/events"), "the door's span, which ends after its answer")
    [kept], [claimed] = recorded.spans("transaction"), recorded.spans("claim")
    assert came.parent is not None
    assert format(came.parent.span_id, "016x") == "b7ad6b7169203331"
    assert kept.parent == came.context
    assert claimed.parent == kept.context
    assert kept.attributes == {"itp.subject": "ITP-001", "itp.outcome": "recorded"}
    sends = recorded.spans("send")
    assert {trace(each) for each in (came, kept, claimed, *sends)} == {0x0AF7651916CD43DD8448EB211C80319C}
    assert {noted(each, "outcome") for each in sends} == {"sent"}
    # What was decided leads to the trace of each notice, and so does what was sent.
    of_notices = {link.context.trace_id for link in kept.links}
    assert {link.context.trace_id for each in sends for link in each.links} <= of_notices


def test_a_notice_that_is_sent_later_elsewhere_has_a_trace_of_its_own_that_its_decision_leads_to(
    door: Door, recorded: Recorded, receiver: Receiver
) -> None:
    stated = parse_event(enrolment("ITP-001", door.now, first_infusion_on=f"{door.now:%Y-%m-%d}"))
    door.study.record([stated], door.now)
    # As the service's loop does, in another process: nothing but the database tells it of the notices.
    door.study.hand_over("ITP-001")
    [decision], sends = recorded.spans("transaction"), recorded.spans("send")
    assert len(sends) == len(receiver.requests) > 0
    of_notices = {link.context.trace_id for link in decision.links}
    assert {trace(each) for each in sends} <= of_notices
    assert trace(decision) not in of_notices


def test_no_label_of_a_metric_names_a_subject_or_a_notice(
    door: Door, recorded: Recorded, receiver: Receiver
) -> None:
    door.enrol("ITP-001")
    door.get("/subjects/ITP-001/plan")
    door.post(done("INF1", door.now))
    labels = recorded.labels()
    assert {"door", "transaction"} <= {each["itp.span"] for each in labels}
    assert "/subjects/{code}/plan" in {each.get("itp.route") for each in labels}
    assert not [value for each in labels for value in each.values() if "ITP-001" in str(value)]


def test_a_refusal_is_an_outcome_and_a_fault_tells_its_kind_alone(door: Door, recorded: Recorded) -> None:
    door.post(done("INF1", door.now))
    assert [noted(each, "outcome") for each in recorded.spans("transaction")] == ["refused"]
    with pytest.raises(ValueError, match="her name"), spans.span("send"):
        raise ValueError("her name")
    [broken] = recorded.spans("send")
    assert broken.attributes == {"itp.error": "ValueError"}
    assert "her name" not in broken.to_json()


def test_nothing_of_opentelemetrys_sdk_is_loaded_unless_a_collector_is_named() -> None:
    code = (
        "import sys, deployments.up, deployments.api.serve, deployments.service.loop\n"
        "from deployments.bootstrap.telemetry import telemetry\n"
        "with telemetry('up'): pass\n"
        "loaded = ('opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(loaded)])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({ENDPOINT: "http://127.0.0.1:4318"}, True),
        ({ENDPOINT: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_a_collector_is_asked_for_by_opentelemetrys_own_variables(
    environ: dict[str, str], asked: bool
) -> None:
    assert is_asked_for(environ) is asked


class _Collector(BaseHTTPRequestHandler):
    paths: set[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.paths.add(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Say nothing."""


def test_traces_and_metrics_reach_the_collector_before_the_process_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths: set[str] = set()
    handler = type("Collector", (_Collector,), {"paths": paths})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.server_port}")
        with telemetry("api"), spans.span("door"):
            assert spans.current_trace()
        server.shutdown()
    assert paths == {"/v1/traces", "/v1/metrics"}
    assert spans.current_trace() is None


def test_probes_are_not_traced(door: Door, recorded: Recorded) -> None:
    probes = {"/livez", "/readyz", "/healthz", "/metrics"}
    for path in probes:
        assert door.get(path).status_code in (200, 503)
    door.get("/subjects")

    # Those of the probes would have ended before.
    wait_until(lambda: recorded.doors("/subjects"), "the door that is traced")
    assert not {noted(each, "route") for each in recorded.spans("door")} & probes
