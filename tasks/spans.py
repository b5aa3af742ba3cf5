"""Spans: the parts of an event's way, for those who watch the service: door, transaction, claim, send, wake.

A span names the subject that it is about, and each line of the log within it carries the name. Where the
process records traces (deployments/bootstrap/telemetry.py) it belongs to a trace. Elsewhere it costs next to
nothing, and no tracing library is loaded. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from typing import Protocol as Interface

Given = ParamSpec("Given")
Result = TypeVar("Result")
Value = str | int | float | bool


class Recorder(Interface):
    """Records spans; its own spans are what it makes of them."""

    def begin(self, name: str, within: Any, notes: dict[str, Value]) -> Any:
        """Begin a span within another one; None begins a trace."""

    def end(self, span: Any, name: str, notes: dict[str, Value], error: BaseException | None) -> None:
        """End a span; `error` is what broke it off."""

    def of_notice(self, key: str) -> Any:
        """The trace of a notice, which is the same in every process: a span to begin others within."""

    def link(self, span: Any, other: Any) -> None:
        """Let a span lead to another one."""

    def trace_id(self, span: Any) -> str:
        """The id of a span's trace, 32 hexadecimal digits."""


@dataclass
class OpenSpan:
    """A span that has begun. `notes` say more of it, and hold no text that people wrote."""

    name: str
    subject: str | None
    recorded: Any = None
    notes: dict[str, Value] = field(default_factory=dict)

    def note(self, **notes: Value) -> None:
        """Say more of the span, as its outcome."""
        self.notes |= notes


_recorder: Recorder | None = None
_open: ContextVar[OpenSpan | None] = ContextVar("itp_span", default=None)


def record_with(recorder: Recorder | None) -> None:
    """Record the spans of this process from now on; with None no more."""
    global _recorder
    _recorder = recorder


def are_recorded() -> bool:
    """Whether this process records its spans."""
    return _recorder is not None


@contextmanager
def span(name: str, subject: str | None = None, *, notice: str = "", above: Any = None) -> Iterator[OpenSpan]:
    """Open a span within the one that is open, or within the recorded span `above`.

    One that is about a `notice` and within no other continues the trace of that notice.
    """
    outer = _open.get()
    begun = OpenSpan(name, subject or (outer.subject if outer else None))
    if (recorder := _recorder) is None:
        token = _open.set(begun)
        try:
            yield begun
        finally:
            _open.reset(token)
        return
    if begun.subject:
        begun.note(subject=begun.subject)
    with _recorded(recorder, begun, outer, notice, above):
        yield begun


@contextmanager
def _recorded(
    recorder: Recorder, begun: OpenSpan, outer: OpenSpan | None, notice: str, above: Any
) -> Iterator[None]:
    within = outer.recorded if outer and outer.recorded is not None else above
    if notice:
        begun.note(notice=notice)
        of_notice = recorder.of_notice(notice)
        begun.recorded = recorder.begin(begun.name, within or of_notice, begun.notes)
        if within is not None:
            recorder.link(begun.recorded, of_notice)
    else:
        begun.recorded = recorder.begin(begun.name, within, begun.notes)
    token = _open.set(begun)
    error: BaseException | None = None
    try:
        yield
    except BaseException as problem:
        error = problem
        raise
    finally:
        _open.reset(token)
        recorder.end(begun.recorded, begun.name, begun.notes, error)


def decided(notices: Iterable[str]) -> None:
    """Let the open span lead to the traces of notices just decided, which may be sent later elsewhere."""
    at = _open.get()
    if _recorder is None or at is None or at.recorded is None:
        return
    for key in notices:
        _recorder.link(at.recorded, _recorder.of_notice(key))


def carried(work: Callable[Given, Result]) -> Callable[Given, Result]:
    """`work`, to be done by other threads within the span that is open now."""
    here = _open.get()
    if here is None:
        return work

    def done(*given: Given.args, **named: Given.kwargs) -> Result:
        token = _open.set(here)
        try:
            return work(*given, **named)
        finally:
            _open.reset(token)

    return done


def current_subject() -> str | None:
    """The subject that the open span is about; None outside any."""
    at = _open.get()
    return at.subject if at else None


def current_trace() -> str | None:
    """The id of the present trace, 32 hexadecimal digits; None where none is recorded."""
    at = _open.get()
    return _recorder.trace_id(at.recorded) if _recorder and at and at.recorded is not None else None
