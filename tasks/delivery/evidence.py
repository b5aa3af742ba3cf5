"""The evidence of a send: whether the provider took the message, surely did not, or may have.

Apprise answers only True or False. A message that may have been accepted in spite of a False must be marked
when it is repeated, and a True counts for nothing where the provider answers HTTP 200 and refuses in the
body. So two sources are read beside it: the interpreter's audit events
(https://docs.python.org/3/library/audit_events.html), which show when HTTP or SMTP begins to hand a message
over, and the answers that `requests` receives, through which all of Apprise's plugins speak HTTP. A failure
counts as "not accepted" only when that is proven; in doubt it is "unknown".
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import Any
from urllib.parse import urlsplit

from apprise import NotifyBase
from requests import PreparedRequest, Session
from requests import Response as Answered

from tasks.delivery.answers import Response

_EVENTS = frozenset({"http.client.send", "smtplib.send"})
_HTTP_HEAD = re.compile(rb"[A-Z]+ (/|\*|https?://)")
# A proxy is asked for a connection; the message goes through it later.
_TO_PROXY = b"CONNECT "
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
    responses: list[Response] = field(default_factory=list)

    @property
    def status(self) -> int | None:
        """The HTTP status of the last answer, when it is none of success."""
        last = self.responses[-1].status if self.responses else 0
        return last if last >= 300 else None

    @property
    def all_answered(self) -> bool:
        """Whether each request that began has its answer."""
        return self.requests == len(self.responses)

    def see(self, event: str, sent: object) -> None:
        """Note one audit event of this thread; `sent` is what goes out."""
        head = bytes(sent[:64]) if isinstance(sent, bytes | bytearray) else b""
        if event == "smtplib.send":
            # Before DATA a mail server has heard of recipients at most, never of the message.
            self.handing_over = self.handing_over or head.lower().startswith(b"data")
        elif not head.startswith(_TO_PROXY):
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
    sys.addaudithook(_on_audit)
    # What the plugins log belongs into the service's log, and not onto the terminal of a command.
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    send = Session.send

    @wraps(send)
    def seen(session: Session, request: PreparedRequest, **kwargs: Any) -> Answered:
        response = send(session, request, **kwargs)
        trace = getattr(_here, "trace", None)
        if trace is not None:
            address = urlsplit(response.url)
            # The body of a stream is the plugin's to read.
            body = b"" if kwargs.get("stream") else response.content or b""
            url = f"{address.scheme}://{address.hostname}{address.path}"
            trace.responses.append(Response(url, response.status_code, body))
        return response

    # Apprise has no hook for the answers, and its plugins make a session for each request.
    Session.send = seen  # type: ignore[assignment, method-assign]


def _on_audit(event: str, args: tuple[Any, ...], events: frozenset[str] = _EVENTS) -> None:
    # Called for everything that the interpreter audits: most calls must end here.
    if event in events:
        trace = getattr(_here, "trace", None)
        if trace is not None:
            trace.see(event, args[1])


def speaks(server: NotifyBase, *libraries: str) -> bool:
    """Whether the plugin sends through one of these libraries; `requests` and `smtplib` are traced here."""
    modules = [sys.modules[each.__module__] for each in type(server).__mro__]
    return any(hasattr(module, name) for module in modules for name in libraries)
