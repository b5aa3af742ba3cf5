"""Traces and metrics by OpenTelemetry, sent to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.

Without that variable nothing is loaded, and the service records nothing. OpenTelemetry's other variables mean
what they mean elsewhere. The provider is this project's alone and not the process's: Prefect would otherwise
trace its runs too, and write to each of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks import spans
from tasks.spans import Value

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SERVICE = "OTEL_SERVICE_NAME"
# A collector that does not answer delays the end of a process by no more.
FLUSH_MILLISECONDS = 3000
# The notes by which the duration of spans is told apart. None of them names a subject or a notice.
LABELS = frozenset({"outcome", "route", "method", "status"})
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def is_asked_for(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a collector is named, and OpenTelemetry not switched off."""
    return bool(environ.get(ENDPOINT)) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


@contextmanager
def telemetry(part: str) -> Iterator[None]:
    """Record the spans of this process, as the service `itp-PART`, where a collector is named."""
    if not is_asked_for():
        yield
        return
    recorder = _to_collector(part)
    spans.record_with(recorder)
    try:
        yield
    finally:
        spans.record_with(None)
        recorder.close()


def _to_collector(part: str) -> SpanRecorder:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {} if os.environ.get(SERVICE) else {"service.name": f"itp-{part}"}
    resource = Resource.create(named)
    # Both flush at the end of `telemetry`, which bounds it.
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    return SpanRecorder(tracers, MeterProvider([reader], resource, shutdown_on_exit=False))


class SpanRecorder:
    """Records each span for the collector, and its duration in a histogram."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._tracers, self._meters = tracers, meters
        self._tracer = tracers.get_tracer("itp")
        self._durations = meters.get_meter("itp").create_histogram(
            "itp.span.duration",
            "s",
            "How long each part of an event's way takes.",
            explicit_bucket_boundaries_advisory=list(BUCKETS),
        )

    def close(self) -> None:
        """Send what is left, for three seconds at most."""
        self._tracers.force_flush(FLUSH_MILLISECONDS)
        self._tracers.shutdown()
        self._meters.shutdown(FLUSH_MILLISECONDS)

    def begin(self, name: str, within: Span | None, notes: dict[str, Value]) -> Span:
        """Begin a span within another one; None begins a trace."""
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        context = Context() if within is None else set_span_in_context(within, Context())
        return self._tracer.start_span(name, context)

    def end(self, span: Span, name: str, notes: dict[str, Value], error: BaseException | None) -> None:
        """End a span. Of an error its kind is told, not its message, in which text of a request may stand."""
        from opentelemetry.trace import Status, StatusCode

        if error is not None:
            notes = notes | {"error": type(error).__name__}
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        span.set_attributes({f"itp.{key}": value for key, value in notes.items()})
        span.end()
        began, ended = getattr(span, "start_time", None), getattr(span, "end_time", None)
        if began and ended:
            labels = {f"itp.{key}": value for key, value in notes.items() if key in LABELS}
            self._durations.record((ended - began) / 1e9, {"itp.span": name, **labels})

    def of_notice(self, key: str) -> Span:
        """The trace of a notice. Its ids follow from the notice's key, so that nothing need be stored."""
        from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

        digest = hashlib.sha256(key.encode()).digest()
        trace, span = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
        sampled = TraceFlags(TraceFlags.SAMPLED)
        return NonRecordingSpan(SpanContext(trace, span, is_remote=True, trace_flags=sampled))

    def link(self, span: Span, other: Span) -> None:
        """Let a span lead to another one."""
        span.add_link(other.get_span_context())

    def trace_id(self, span: Span) -> str:
        """The id of a span's trace, 32 hexadecimal digits."""
        return format(span.get_span_context().trace_id, "032x")


def arriving(headers: Mapping[str, str]) -> Any:
    """The span of the sender, as its W3C `traceparent` header names it; None when it names none."""
    from opentelemetry.context import Context
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(headers, Context())
    span = get_current_span(context)
    return span if span.get_span_context().is_valid else None
