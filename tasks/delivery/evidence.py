"""The evidence of a failed send: whether the provider surely did not accept the message.

Apprise answers only True or False. A message that may have been accepted in spite of a False must be marked
when it is repeated. Two public sources tell more: the interpreter's audit events
(https://docs.python.org/3/library/audit_events.html), which show when HTTP or SMTP begins to hand a message
over, and the HTTP status that Apprise's plugins log. A failure counts as "not accepted" only when that is
proven; in doubt it is "unknown".
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from apprise import NotifyBase

_EVENTS = frozenset({"http.client.send", "smtplib.send"})
_HTTP_HEAD = re.compile(rb"[A-Z]+ [/h*]")
_STATUS = re.compile(r"error=(\d{3})\b")
# These statuses say that the answer of the server behind a gateway was lost.
_GATEWAY = frozenset({502, 504})
# These statuses name another address, and do not say whether the message was taken first.
_SEEN_OTHER = frozenset({300, 302, 303})
_here = threading.local()


@dataclass
class Trace:
    """The acts of this thread's connections during one send."""

    requests: int = 0
    handing_over: bool = False
    status: int | None = None

    def see(self, event: str, sent: object) -> None:
        """Note one audit event of this thread; `sent` is what goes out."""
        head = bytes(sent[:64]) if isinstance(sent, bytes | bytearray) else b""
        if event == "smtplib.send":
            # Before DATA a mail server has heard of recipients at most, never of the message.
            self.handing_over = self.handing_over or head.lower().startswith(b"data")
        else:
            self.handing_over = True
            self.requests += bool(_HTTP_HEAD.match(head))

    def refusal(self, server: NotifyBase) -> str | None:
        """The reason why the provider surely did not accept the message; None when it may have."""
        if self.status and self.requests == 1 and self.status not in _GATEWAY | _SEEN_OTHER:
            return self._answer()
        if not self.handing_over and speaks(server, "requests", "smtplib"):
            return "the provider could not be reached"
        return None

    def doubt(self) -> str:
        """The words for a send of which it is not known whether the provider accepted the message."""
        if self.status in _GATEWAY:
            return f"a gateway answered {self.status}: the provider may have accepted it"
        if self.status:
            return f"{self._answer()}; it may have accepted the message"
        return "no clear answer: the provider may have accepted it"

    def _answer(self) -> str:
        said = f"the provider answered {self.status}"
        if self.status and self.status < 400:
            return f"{said}: it has moved; write its new address into the Apprise configuration"
        return said


@contextmanager
def traced() -> Iterator[Trace]:
    """Trace what this thread sends."""
    _install()
    _here.trace = Trace()
    try:
        yield _here.trace
    finally:
        _here.trace = None


@cache
def _install() -> None:
    logging.getLogger("apprise").addHandler(_StatusHandler(logging.WARNING))
    sys.addaudithook(_on_audit)


def _on_audit(event: str, args: tuple[Any, ...], events: frozenset[str] = _EVENTS) -> None:
    # Called for everything that the interpreter audits: most calls must end here.
    if event in events:
        trace = getattr(_here, "trace", None)
        if trace is not None:
            trace.see(event, args[1])


class _StatusHandler(logging.Handler):
    """Notes the HTTP status that a plugin logs for the send of the same thread."""

    def emit(self, record: logging.LogRecord) -> None:
        """Note the status, if the line has one."""
        trace = getattr(_here, "trace", None)
        match = _STATUS.search(record.getMessage()) if trace else None
        if trace and match and 300 <= int(match[1]) <= 599:
            trace.status = int(match[1])


def speaks(server: NotifyBase, *libraries: str) -> bool:
    """Whether the plugin sends through one of these libraries; `requests` and `smtplib` are traced here."""
    modules = [sys.modules[each.__module__] for each in type(server).__mro__]
    return any(hasattr(module, name) for module in modules for name in libraries)
