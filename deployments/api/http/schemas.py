"""The schemas of events, answers and problems in the OpenAPI document, made from the event catalogue."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from deployments.api.http.body import MEDIA_TYPES
from deployments.api.http.examples import COMPLETED, ENROLLED, EXAMPLES, Json
from deployments.http.problem_details import MEDIA_TYPE
from itp_events.events import FACTS, Data

_REF = "#/components/schemas/{model}"
_ATTRIBUTE: Json = {
    "anyOf": [
        {"type": "string", "maxLength": 1000},
        {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
        {"type": "boolean"},
    ]
}
_WORD: Json = {"type": "string", "minLength": 1, "maxLength": 200}

_RECORDED: Json = {
    "status": 201,
    "outcome": "recorded",
    "source": "redcap",
    "id": "8f1c",
    "subject": "ITP-007",
    "state": "Awaiting INF3",
    "wake_at": "2026-01-19T01:00:00Z",
}
_REFUSED: Json = {
    "type": "urn:itp:problem:recorded-once",
    "title": "Conflict",
    "status": 409,
    "detail": "INF2 is completed on 12 Jan 2026 already (source redcap, id 8f1c); "
    "void that event to correct it",
    "source": "redcap",
    "id": "8f1d",
}
_FORBIDDEN: Json = {
    "type": "urn:itp:problem:role",
    "title": "Forbidden",
    "status": 403,
    "detail": "only an investigator may state itp.withdrawal.decided; this request has the role recorder",
    "source": "edc",
    "id": "d-1",
}
_MALFORMED: Json = {
    "type": "urn:itp:problem:malformed",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "data.on: must be a site-local date, YYYY-MM-DD",
    "field": "data.on",
}

EVENTS_BODY: Json = {
    "required": True,
    "description": "One CloudEvent, or an array of at most 1000 of them; 2 MiB at most. In binary mode, with "
    "the event's attributes in headers `ce-...`, as application/json: its `data` alone.",
    "content": {
        media: {
            "schema": {
                "oneOf": [
                    {"$ref": _REF.format(model="Event")},
                    {
                        "type": "array",
                        "items": {"$ref": _REF.format(model="Event")},
                        "minItems": 1,
                        "maxItems": 1000,
                    },
                ]
            },
            "examples": {each["type"]: {"value": each} for each in EXAMPLES}
            | {"several at once": {"value": [ENROLLED, COMPLETED]}},
        }
        for media in MEDIA_TYPES
    },
}


def _json(model: str, example: Any = None, media: str = "application/json") -> Json:
    said = {"example": example} if example is not None else {}
    return {media: {"schema": {"$ref": _REF.format(model=model)}, **said}}


def problem(description: str, example: Json | None = None) -> Json:
    """A response with problem details."""
    return {"description": description, "content": _json("Problem", example, MEDIA_TYPE)}


def _outcome(description: str, example: Json) -> Json:
    either = {"oneOf": [{"$ref": _REF.format(model="Recorded")}, {"$ref": _REF.format(model="Results")}]}
    return {
        "description": description,
        "content": {"application/json": {"schema": either, "example": example}},
    }


def _refusal(description: str, example: Json) -> Json:
    content = _json("Problem", example, MEDIA_TYPE) | _json("Results", [example])
    return {"description": description, "content": content}


ASKING: dict[int | str, Json] = {
    401: problem("The request has no token, or an unknown one."),
    403: problem("The token's role does not permit this. Without any token only this machine may ask."),
    422: problem("The request is malformed.", _MALFORMED),
    503: problem("The study's database does not answer; send the request again."),
}
ABSENT: dict[int | str, Json] = {404: problem("No subject with this code is enrolled.")}
EVENTS_RESPONSES: dict[int | str, Json] = ASKING | {
    200: _outcome("Recorded before; nothing changed.", _RECORDED | {"status": 200, "outcome": "known"}),
    201: _outcome("The event is recorded.", _RECORDED),
    207: {
        "description": "The events of the array have different results; each has its own `status`.",
        "content": _json("Results", [_RECORDED, _REFUSED]),
    },
    403: _refusal("The role may not state this event; only an investigator may decide.", _FORBIDDEN),
    409: _refusal("The study's rules refuse the event; `type` names the rule.", _REFUSED),
    413: problem("The body is longer than 2 MiB, or holds more than 1000 events."),
    415: problem("The body is not declared as JSON in UTF-8."),
    422: _refusal("The event is malformed; `field` is the first wrong field.", _MALFORMED),
}


EVENTS_OPERATION: Json = {
    "tags": ["events"],
    "summary": "Record one event, or several at once",
    "description": """Each event is checked against the study's rules and answered by itself.

`source` and `id` identify an event: posting the same event again changes nothing and answers 200. An
array is answered by an array in the same order, with the status that all its events share, else 207. When
an array voids an event and states it anew, both are recorded or neither. An event may also come in the
binary mode of CloudEvents: its data as the body, its attributes in headers `ce-...`.""",
    "operationId": "record_events_events_post",
    "requestBody": EVENTS_BODY,
    "responses": {str(status): EVENTS_RESPONSES[status] for status in sorted(EVENTS_RESPONSES)},
}


def components() -> Json:
    """The schemas of the catalogue's events, of answers and of problems."""
    refs, definitions = models_json_schema([(data, "validation") for data in FACTS], ref_template=_REF)
    schemas: Json = dict(definitions["$defs"])
    for data in FACTS:
        envelope = _envelope(data, refs[data, "validation"])
        shown = [each for each in EXAMPLES if each["type"] == data.type]
        schemas[f"{data.__name__}Event"] = envelope | {"examples": shown}
    names = {data.type: _REF.format(model=f"{data.__name__}Event") for data in FACTS}
    schemas["Event"] = {
        "description": "A CloudEvent 1.0. Dates in `data` are local dates of the site. No text holds NUL.",
        "oneOf": [{"$ref": ref} for ref in names.values()],
        "discriminator": {"propertyName": "type", "mapping": names},
    }
    return schemas | _answers()


def _envelope(kind: type[Data], data: Json) -> Json:
    return {
        "type": "object",
        # Further attributes are kept, and mean nothing here. A field of `data` beside `data` is refused.
        "additionalProperties": _ATTRIBUTE,
        "propertyNames": {
            "pattern": "^[a-z0-9]{1,40}$",
            "not": {"enum": sorted({*kind.model_fields, "restatessource", "restatesid"})},
        },
        "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": _WORD,
            "source": _WORD
            | {
                "description": "the system that sends the event; `itp` is reserved for the service",
                "not": {"const": "itp"},
            },
            "type": {"const": kind.type},
            "subject": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
            "time": {
                "type": "string",
                "format": "date-time",
                "pattern": "^(19|20|21)[0-9]{2}-",
                "description": "the instant at which it was reported",
            },
            "datacontenttype": {
                "type": "string",
                "pattern": "^application/json( *;.*)?$",
                "description": "the media type of `data`, with parameters or without",
            },
            "dataschema": {"type": "string", "maxLength": 1000, "description": "kept, and not looked at"},
            "data": data,
        },
    }


def _answers() -> Json:
    text: Json = {"type": "string"}
    recorded = {
        "type": "object",
        "required": ["status", "outcome", "source", "id", "subject"],
        "properties": {
            "status": {"enum": [200, 201]},
            "outcome": {"enum": ["recorded", "known"]},
            "source": text,
            "id": text,
            "subject": text,
            "state": text | {"description": "the subject's state after the event"},
            "wake_at": {"type": ["string", "null"], "format": "date-time"},
        },
    }
    refused = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": text | {"description": "urn:itp:problem: followed by the rule's short name"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text | {"description": "what is wrong and what to do, in one sentence"},
            "field": text | {"description": "dotted path of the first wrong field"},
            "unmet": {
                "type": "array",
                "items": text,
                "description": "each inclusion criterion not met; † marks an assumption",
            },
            "source": text,
            "id": text,
        },
    }
    either = [{"$ref": _REF.format(model=model)} for model in ("Recorded", "Problem")]
    return {
        "Recorded": recorded,
        "Problem": refused,
        "Results": {"type": "array", "items": {"oneOf": either}},
    }
