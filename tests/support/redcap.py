"""A REDCap project on this machine that answers as REDCap's API is documented to do.

It holds records, a data dictionary, the rights of the API user and a log, and answers `record`, `log` and
`project` in JSON, flat and raw. What is documented, and held here: export rights leave columns out without a
word; a longitudinal project gives a row for each event and each repetition; the log has minutes in the
server's own time, the newest first, under the present name of a record; an address that asks too often is
banned and told so in plain text, with status 200.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import parse_qsl

from deployments.api.redcap.mapping import load_mapping

_MARK = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
EXAMPLE = Path(__file__).parents[2] / "examples" / "redcap.yaml"
TOKEN = "9A81268476645C4E5F03428B8AC3AA7B"
Access = Literal["full", "no-identifiers", "de-identified", "none"]
Json = dict[str, Any]


class Form(NamedTuple):
    """A form that was saved, in an event, perhaps one of its repetitions."""

    event: str
    name: str
    instance: str


@dataclass(frozen=True)
class Field:
    """A line of the data dictionary. A checkbox has `choices`, each of which is a column."""

    form: str
    kind: Literal["text", "notes", "radio", "yesno", "checkbox"] = "radio"
    validation: str = ""
    identifier: bool = False
    choices: tuple[str, ...] = ()

    def is_exported(self, access: Access) -> bool:
        """Whether a user with such export rights is given the field."""
        if access == "de-identified":
            is_free = self.kind == "notes" or (self.kind == "text" and not self.validation)
            return not (self.identifier or is_free or self.validation.startswith("date"))
        return access != "none" and not (access == "no-identifiers" and self.identifier)


@dataclass
class Rights:
    """The rights of the API user: to export records, of all forms or but some, and to read the log."""

    access: Access = "full"
    of_forms: dict[str, Access] = field(default_factory=dict)
    logging: bool = True
    api: bool = True


@dataclass(frozen=True)
class Raw:
    """An answer as it goes over the wire; with `drips` a byte of it at a time."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drips: bool = False


def example_dictionary() -> dict[str, Field]:
    """The fields of the example mapping, as a study would set them up."""
    found: dict[str, Field] = {"record_id": Field("enrolment", "text")}
    for form, instrument in load_mapping(EXAMPLE).instruments.items():
        found |= {datum.field: _field(form, datum.kind) for datum in instrument.data.values() if datum.field}
        found |= {each: Field(form, "notes") for each in instrument.ignore}
    boxes = {name: name.partition("___") for name in found if "___" in name}
    for name, (base, _, choice) in boxes.items():
        known = found.get(base, Field(found.pop(name).form, "checkbox"))
        found.pop(name, None)
        found[base] = Field(known.form, "checkbox", choices=(*known.choices, choice))
    return found | {"subject_code": Field("enrolment", "text", identifier=True)}


def _field(form: str, kind: str) -> Field:
    validations = {"number": "number", "integer": "integer", "date": "date_dmy", "text": ""}
    return Field(form, "yesno") if kind == "yes-no" else Field(form, "text", validations[kind])


@dataclass
class RedcapStandIn:
    """One project: `save` is what a coordinator does, `forms` holds what was saved of each record.

    `raw` is answered instead of what the project holds; nothing is answered before `holds` is set. The
    server's clock is `ahead` of UTC. `before` stands before each answer, as a byte order mark that a module
    of the site adds.
    """

    forms: dict[str, dict[Form, dict[str, str]]] = field(default_factory=dict)
    dictionary: dict[str, Field] = field(default_factory=example_dictionary)
    rights: Rights = field(default_factory=Rights)
    missing_data_codes: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    asked_at: list[datetime] = field(default_factory=list)
    log: list[Json] = field(default_factory=list)
    ahead: timedelta = timedelta(hours=8)
    at: datetime | None = None
    most_per_minute: int = 600
    banned: bool = False
    down: bool = False
    answers: object = None
    raw: Raw | None = None
    before: bytes = b""
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

    @property
    def exports(self) -> list[dict[str, str]]:
        """The requests for records, without those for the log or the project."""
        return [asked for asked in self.asked if asked.get("content") == "record"]

    def save(
        self, record: str, event: str, form: str, complete: str = "2", instance: str = "", **fields: str
    ) -> dict[str, str]:
        """Save a form, a repetition of it with `instance`; what REDCap's Data Entry Trigger sends then."""
        saved = fields | {f"{form}_complete": complete}
        action = "Update" if record in self.forms else "Create"
        self.forms.setdefault(record, {})[Form(event, form, instance)] = saved
        details = ",\n".join(f"{name} = '{value}'" for name, value in saved.items())
        self._note(f"{action} record {record}", details, record)
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

    def rename(self, record: str, to: str) -> None:
        """Give a record another name; the log then knows it by that alone."""
        self.forms[to] = self.forms.pop(record)
        for line in self.log:
            line["record"] = to if line["record"] == record else line["record"]
        self._note(f"Update record {to}", f"record_id = '{to}'", to)

    def delete(self, record: str) -> None:
        """Delete a record."""
        del self.forms[record]
        self._note(f"Delete record {record}", f"record_id = '{record}'", record)

    def _note(self, action: str, details: str, record: str) -> None:
        line = {"username": "crc-01", "action": action, "details": details, "record": record}
        self.log.insert(0, {"timestamp": f"{self.now:%Y-%m-%d %H:%M}", **line})

    @property
    def now(self) -> datetime:
        """The present instant on the server's clock, without a zone as REDCap writes it."""
        return ((self.at or datetime.now(UTC)) + self.ahead).replace(tzinfo=None)

    def answer(self, asked: dict[str, str]) -> tuple[int, Any]:
        """What the API answers to a request's fields."""
        self.asked.append(asked)
        self.asked_at.append(datetime.now(UTC))
        if self.down:
            return 503, {"error": "REDCap is offline"}
        if asked.get("token") != TOKEN or not self.rights.api:
            return 403, {"error": "You do not have permissions to use the API"}
        contents = {"record": self._records, "log": self._logged, "project": self._project}
        if asked.get("content") not in contents or asked.get("format") != "json":
            return 400, {"error": 'The value of the parameter "content" is not valid'}
        return (200, self.answers) if self.answers else contents[asked["content"]](asked)

    def hits(self) -> int:
        """The requests of the last minute; more than the limit ban the address for good."""
        since = datetime.now(UTC) - timedelta(minutes=1)
        number = sum(at > since for at in self.asked_at)
        self.banned = self.banned or number > self.most_per_minute
        return number

    def _project(self, asked: dict[str, str]) -> tuple[int, Any]:
        about = {"project_id": 42, "project_title": "ITP", "is_longitudinal": 1, "in_production": 1}
        return 200, about | {"missing_data_codes": self.missing_data_codes}

    def _logged(self, asked: dict[str, str]) -> tuple[int, Any]:
        if not self.rights.logging:
            return 403, {"error": "You do not have permissions to use the API"}
        begin, end = asked.get("beginTime", ""), asked.get("endTime") or "9999"
        lines = [line for line in self.log if begin <= line["timestamp"] <= end]
        return 200, lines if asked.get("logtype") == "record" else [self._exported_line(), *lines]

    def _exported_line(self) -> Json:
        said = {"username": "api", "action": "Data export (API)", "details": "record_id", "record": ""}
        return {"timestamp": f"{self.now:%Y-%m-%d %H:%M}", **said}

    def _records(self, asked: dict[str, str]) -> tuple[int, Any]:
        """The rows of the wanted records, or why they are not given."""
        forms, named = set(_listed(asked, "forms")), set(_listed(asked, "fields"))
        known = {each.form for each in self.dictionary.values()} | self._saved_forms()
        for parameter, unknown in (("forms", forms - known), ("fields", named - self._fields(known).keys())):
            if unknown:
                said = ", ".join(f"'{each}'" for each in sorted(unknown))
                return 400, {
                    "error": f'The following values in the parameter "{parameter}" are not valid: {said}'
                }
        if self.rights.access == "none":
            return 403, {"error": 'You do not have "API Export" or "Data Export" rights in this project'}
        wanted = _listed(asked, "records") or list(self.forms)
        return 200, [row for record in wanted for row in self._rows(record, forms, named, asked)]

    def _saved_forms(self) -> set[str]:
        return {form.name for saved in self.forms.values() for form in saved}

    def _fields(self, forms: Iterable[str]) -> dict[str, Field]:
        """All fields: those of the dictionary, and those that were only ever saved."""
        found = dict(self.dictionary)
        for saved in self.forms.values():
            for form, fields in saved.items():
                for name in fields:
                    base = name.partition("___")[0] or name
                    found.setdefault(base, Field(form.name, choices=()))
        return found | {f"{form}_complete": Field(form) for form in forms}

    def _columns(self, forms: set[str], named: set[str]) -> list[str]:
        """The columns of the wanted fields that the user's rights cover."""
        known = {each.form for each in self.dictionary.values()} | self._saved_forms()
        columns: list[str] = []
        for name, each in self._fields(known).items():
            access = self.rights.of_forms.get(each.form, self.rights.access)
            if name != "record_id" and (each.form in forms or name in named) and each.is_exported(access):
                columns += self._columns_of(name, each)
        return columns

    def _columns_of(self, name: str, each: Field) -> list[str]:
        if each.kind != "checkbox":
            return [name]
        codes = [
            code.partition(",")[0].strip() for code in self.missing_data_codes.split("|") if code.strip()
        ]
        return [f"{name}___{re.sub('[^a-z0-9]', '_', code.lower())}" for code in (*each.choices, *codes)]

    def _rows(self, record: str, forms: set[str], named: set[str], asked: dict[str, str]) -> list[Json]:
        """One row for each event and each repetition; what a row does not hold is empty in it."""
        saved = self.forms.get(record, {})
        columns = self._columns(forms, named)
        boxes = {name for name in columns if "___" in name}
        rows: dict[tuple[str, str, str], Json] = {}
        for form, fields in saved.items():
            mark = (form.event, form.name if form.instance else "", form.instance)
            row = rows.setdefault(mark, dict.fromkeys(columns, "") | self._named(record, mark))
            row |= {
                name: self._shown(name, value, asked) for name, value in fields.items() if name in columns
            }
            row |= {name: row[name] or "0" for name in boxes if self._form_of(name) == form.name}
        return [row for _, row in sorted(rows.items())]

    def _form_of(self, column: str) -> str:
        return self.dictionary[column.partition("___")[0]].form if "___" in column else ""

    def _named(self, record: str, mark: tuple[str, str, str]) -> Json:
        """Which row it is: its instance is a number, and an identifier as the record's name is hashed."""
        event, instrument, instance = mark
        row: Json = dict(zip(_MARK, (event, instrument, int(instance) if instance else ""), strict=True))
        is_hashed = self.dictionary["record_id"].identifier and self.rights.access != "full"
        return row | {"record_id": md5(record.encode()).hexdigest() if is_hashed else record}

    def _shown(self, name: str, value: str, asked: dict[str, str]) -> str:
        """A value as it is stored; numbers with the decimal character that was asked for."""
        each = self.dictionary.get(name)
        if each is None or "comma_decimal" not in each.validation or not asked.get("decimalCharacter"):
            return value
        return value.replace(",", asked["decimalCharacter"])


def _listed(asked: dict[str, str], name: str) -> list[str]:
    return [value for key, value in asked.items() if key.startswith(f"{name}[")]


class _Server(ThreadingHTTPServer):
    redcap: RedcapStandIn


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Answer one request to the API."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        redcap = self.server.redcap
        status, answer = redcap.answer(dict(parse_qsl(body)))
        raw = redcap.raw or Raw(redcap.before + json.dumps(answer).encode(), status)
        if redcap.hits() and redcap.banned:
            raw = Raw(b"Your IP address (127.0.0.1) has been banned due to suspected abuse.")
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
