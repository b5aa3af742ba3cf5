"""The mapping file: the event of each REDCap instrument, and the field of each datum in it."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from itp_events.errors import BadInput
from itp_events.events import FACT_TYPES, INVESTIGATORS

SETTING = "ITP_REDCAP_MAPPING"
Kind = Literal["text", "number", "integer", "yes-no", "date"]
# How REDCap exports a yes-no field and a checkbox, raw.
_YES, _NO = {"1", "yes", "y", "true"}, {"0", "no", "n", "false"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Datum(_Part):
    """Where one datum of an event comes from: a REDCap field, the REDCap event, or a constant."""

    field: str | None = None
    kind: Kind = Field("text", alias="as")
    values: dict[str, Any] | None = None
    by_event: dict[str, Any] | None = None
    constant: Any = None


class Instrument(_Part):
    """The event that a REDCap instrument states once it is complete."""

    event: str
    data: dict[str, Datum]
    ignore: tuple[str, ...] = ()
    when_complete: bool = True


class Mapping(_Part):
    """A whole mapping file."""

    source: str = "redcap"
    record_id: str = "record_id"
    subject: str = "record_id"
    instruments: dict[str, Instrument]


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file (YAML).

    Raises:
        BadInput: it cannot be read, or names an event that REDCap may not state.
    """
    try:
        mapping = Mapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(f"{path} cannot be read: {error}", SETTING) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{path}: {where}: {first['msg']}", SETTING) from error
    _check(mapping, path)
    return mapping


# REDCap's trigger names no investigator, so that events of investigators alone cannot come from there.
_OPEN = set(FACT_TYPES) - {data.type for data in INVESTIGATORS}


def _check(mapping: Mapping, path: Path) -> None:
    for name, instrument in mapping.instruments.items():
        if instrument.event not in _OPEN:
            raise BadInput(f"{path}: {name}: REDCap cannot state {instrument.event!r}", SETTING)


def read_data(instrument: Instrument, record: dict[str, str], event: str) -> dict[str, Any]:
    """The data of the event that a record's form states; dotted names give nested objects.

    Raises:
        BadInput: a field with a value that the mapping does not know, by its name.
    """
    data: dict[str, Any] = {}
    for name, datum in instrument.data.items():
        value = _value(datum, record, event)
        if value is not None:
            _put(data, name, value)
    return data


def _put(data: dict[str, Any], name: str, value: Any) -> None:
    *outer, last = name.split(".")
    for part in outer:
        data = data.setdefault(part, {})
    data[last] = value


def _value(datum: Datum, record: dict[str, str], event: str) -> Any:
    if datum.by_event is not None:
        if event not in datum.by_event:
            raise BadInput(f"the mapping does not know the REDCap event {event!r}", "redcap_event_name")
        return datum.by_event[event]
    if datum.field is None:
        return datum.constant
    text = str(record.get(datum.field, "")).strip()
    if text == "":
        return datum.constant
    try:
        return datum.values[text] if datum.values is not None else _READERS[datum.kind](text)
    except (KeyError, ValueError) as error:
        raise BadInput(f"{text!r} cannot be mapped as {datum.kind}", datum.field) from error


def _yes_no(text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise ValueError(text)
    return text.lower() in _YES


def _date(text: str) -> str:
    """A REDCap date; of a datetime its date."""
    return (
        date.fromisoformat(text).isoformat()
        if len(text) == 10
        else f"{datetime.fromisoformat(text):%Y-%m-%d}"
    )


_READERS: dict[str, Any] = {"text": str, "number": float, "integer": int, "yes-no": _yes_no, "date": _date}


def unmapped(mapping: Mapping, name: str, record: dict[str, str]) -> dict[str, str]:
    """The filled fields of a form that the mapping neither uses nor ignores."""
    instrument = mapping.instruments[name]
    used = {datum.field for datum in instrument.data.values()} | set(instrument.ignore)
    used |= {mapping.record_id, mapping.subject, f"{name}_complete"}
    return {
        field: value
        for field, value in record.items()
        if str(value).strip() and field not in used and not field.startswith("redcap_")
    }
