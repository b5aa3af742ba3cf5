"""A REDCap that answers as the documented API does: token, content=record, format=json, flat and raw rows."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl

_MARK = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
TOKEN = "9A81268476645C4E5F03428B8AC3AA7B"


class Form(NamedTuple):
    """A form that was saved, in an event, perhaps one of its repetitions."""

    event: str
    name: str
    instance: str


@dataclass(frozen=True)
class Raw:
    """An answer as it goes over the wire; with `drips` a byte of it at a time."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drips: bool = False


@dataclass
class RedcapStandIn:
    """One project: `save` is what a coordinator does, `forms` holds what was saved of each record.

    `raw` is answered instead of what the project holds; nothing is answered before `holds` is set.
    """

    forms: dict[str, dict[Form, dict[str, str]]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    down: bool = False
    answers: object = None
    raw: Raw | None = None
    holds: threading.Event | None = None

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.redcap = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self._server.server_port}/api/"

    def save(
        self, record: str, event: str, form: str, complete: str = "2", instance: str = "", **fields: str
    ) -> dict[str, str]:
        """Save a form, a repetition of it with `instance`; what REDCap's Data Entry Trigger sends then."""
        saved = fields | {f"{form}_complete": complete}
        self.forms.setdefault(record, {})[Form(event, form, instance)] = saved
        repeats = {"redcap_repeat_instance": instance, "redcap_repeat_instrument": form} if instance else {}
        return repeats | {
            "project_id": "42",
            "username": "crc-01",
            "instrument": form,
            "record": record,
            "redcap_event_name": event,
            f"{form}_complete": complete,
            "redcap_url": "http://127.0.0.1/",
            "project_url": "http://127.0.0.1/redcap_v14/index.php?pid=42",
        }

    def answer(self, asked: dict[str, str]) -> tuple[int, Any]:
        """What the API answers to a request's fields."""
        self.asked.append(asked)
        if self.down:
            return 503, {"error": "REDCap is offline"}
        if asked.get("token") != TOKEN:
            return 403, {"error": "You do not have permissions to use the API"}
        if asked.get("content") != "record" or asked.get("format") != "json":
            return 400, {"error": 'The value of the parameter "content" is not valid'}
        return 200, self.answers or self._exported(asked)

    def _exported(self, asked: dict[str, str]) -> list[dict[str, str]]:
        """One row for each event and each repetition of a form; what a row does not hold is empty in it."""
        saved = self.forms.get(asked["records[0]"], {})
        wanted = {value for name, value in asked.items() if name.startswith("fields[")}
        for form, fields in saved.items():
            wanted |= set(fields) if form.name == asked["forms[0]"] else set()
        rows: dict[tuple[str, str, str], dict[str, str]] = {}
        for form, fields in saved.items():
            mark = (form.event, form.name if form.instance else "", form.instance)
            named = {"record_id": asked["records[0]"]} | dict(zip(_MARK, mark, strict=True))
            row = rows.setdefault(mark, dict.fromkeys(sorted(wanted), "") | named)
            row |= {name: value for name, value in fields.items() if name in wanted}
        return [row for mark, row in sorted(rows.items()) if asked.get("events[0]", mark[0]) == mark[0]]


class _Server(ThreadingHTTPServer):
    redcap: RedcapStandIn


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Answer one request to the API."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        redcap = self.server.redcap
        status, answer = redcap.answer(dict(parse_qsl(body)))
        raw = redcap.raw or Raw(json.dumps(answer).encode(), status)
        if redcap.holds is not None:
            redcap.holds.wait(30)
        with suppress(OSError):
            self._send(raw)

    def _send(self, raw: Raw) -> None:
        self.send_response(raw.status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **raw.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw.body)))
        self.end_headers()
        if not raw.drips:
            self.wfile.write(raw.body)
            return
        for byte in raw.body:
            self.wfile.write(bytes([byte]))
            threading.Event().wait(0.1)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
