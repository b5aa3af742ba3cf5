"""A REDCap that answers as the documented API does: token, content=record, format=json, flat and raw rows."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl

TOKEN = "9A81268476645C4E5F03428B8AC3AA7B"


@dataclass
class RedcapStandIn:
    """One project: `save` is what a coordinator does, `rows` holds the forms by record, event and name."""

    rows: dict[tuple[str, str, str], dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    down: bool = False

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

    def save(self, record: str, event: str, form: str, complete: str = "2", **fields: str) -> dict[str, str]:
        """Save a form, and return what REDCap's Data Entry Trigger sends then."""
        self.rows[record, event, form] = fields | {f"{form}_complete": complete}
        return {
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
        return 200, self._exported(asked)

    def _exported(self, asked: dict[str, str]) -> list[dict[str, str]]:
        record, form = asked["records[0]"], asked["forms[0]"]
        found = []
        for (whose, event, name), fields in self.rows.items():
            if (whose, name) == (record, form) and asked.get("events[0]", event) == event:
                found.append({"record_id": record, "redcap_event_name": event} | fields)
        return found


class _Server(ThreadingHTTPServer):
    redcap: RedcapStandIn


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Answer one request to the API."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status, answer = self.server.redcap.answer(dict(parse_qsl(body)))
        said = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
