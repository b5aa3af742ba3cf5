"""The mapping file: the event of each REDCap instrument, and the field of each datum in it.

How a field's text becomes a value is in values.py.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from deployments.api.redcap.values import STANDARD_MISSING, Kind, is_unticked, missing_column, read
from itp_events.errors import BadInput, BadProtocol
from itp_events.events import FACT_TYPES, INVESTIGATORS
from itp_events.protocol.yaml_lines import line_of, refuse_doubled_keys

SETTING = "ITP_REDCAP_MAPPING"
# How PyYAML names a key like on or yes that stands there without quotes.
_YAML_BOOL = "tag:yaml.org,2002:bool"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _code(value: object) -> object:
    """A code as REDCap exports it; YAML reads -99 as a number, and no as false."""
    if isinstance(value, bool):
        raise ValueError("write this code in quotes: YAML reads it as true or false")
    return str(value) if isinstance(value, int) else value


Codes = tuple[Annotated[str, BeforeValidator(_code)], ...]


class Datum(_Part):
    """The origin of one datum of an event: a REDCap field, the REDCap event, or a constant.

    `missing` are the missing data codes of this field alone, in place of the mapping's.
    """

    field: str | None = None
    kind: Kind = Field("text", alias="as")
    values: dict[str, Any] | None = None
    by_event: dict[str, Any] | None = None
    constant: Any = None
    missing: Codes | None = None

    @model_validator(mode="after")
    def _has_one_origin(self) -> Datum:
        if self.by_event is not None and (self.field is not None or self.constant is not None):
            raise ValueError("by_event stands alone: leave out field and constant")
        if self.by_event is None and self.field is None and self.constant is None:
            raise ValueError("name a field, by_event or a constant")
        return self


class Instrument(_Part):
    """The event that a REDCap instrument states once it is complete."""

    event: str
    data: dict[str, Datum]
    ignore: tuple[str, ...] = ()
    when_complete: bool = True


class Mapping(_Part):
    """A whole mapping file; `missing` are the project's missing data codes."""

    source: str = "redcap"
    record_id: str = "record_id"
    subject: str = "record_id"
    missing: Codes = STANDARD_MISSING
    instruments: dict[str, Instrument]


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file (YAML).

    Raises:
        BadInput: it cannot be read, gives a key twice, or names an event that REDCap may not state. The
            error names the file and the line.
    """
    root, document = _read(path)
    try:
        mapping = Mapping.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _wrong(path, root, first["loc"], first["msg"].removeprefix("Value error, ")) from error
    _check(mapping, path, root)
    return mapping


def _read(path: Path) -> tuple[yaml.Node, Any]:
    """The YAML tree of the file, with the lines, and the document that it gives."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"{path} cannot be read: {error}", SETTING) from error
    if root is None:
        raise BadInput(f"{path} is empty", SETTING)
    try:
        refuse_doubled_keys(root, str(path))
    except BadProtocol as error:
        raise BadInput(str(error), SETTING) from error
    _refuse_bare_keys(root, path)
    return root, document


def _wrong(path: Path, root: yaml.Node, location: tuple[int | str, ...], problem: str) -> BadInput:
    where = ".".join(str(part) for part in location)
    return BadInput(f"{path}:{line_of(root, location)}: {where}: {problem}", SETTING)


def _refuse_bare_keys(node: yaml.Node, path: Path) -> None:
    """Refuse a key that YAML reads as true or false, as the bare `on` of a date.

    The keys of a mapping file stand on four levels; an anchor that holds itself cannot lead deeper.
    """
    _refuse_bare(node, path, levels=6)


def _refuse_bare(node: yaml.Node, path: Path, levels: int) -> None:
    if levels == 0 or not isinstance(node, yaml.MappingNode):
        return
    for name, value in node.value:
        if name.tag == _YAML_BOOL:
            said = f"write {name.value!r} in quotes: YAML reads it as true or false"
            raise BadInput(f"{path}:{name.start_mark.line + 1}: {said}", SETTING)
        _refuse_bare(value, path, levels - 1)


# REDCap's trigger names no investigator, so that events of investigators alone cannot come from there.
_OPEN = set(FACT_TYPES) - {data.type for data in INVESTIGATORS}


def _check(mapping: Mapping, path: Path, root: yaml.Node) -> None:
    for name, instrument in mapping.instruments.items():
        place = ("instruments", name)
        if instrument.event not in _OPEN:
            problem = f"REDCap cannot state {instrument.event!r}"
            raise _wrong(path, root, (*place, "event"), problem)
        for datum in instrument.data:
            if inner := next((each for each in instrument.data if each.startswith(f"{datum}.")), None):
                problem = f"it is given whole, and {inner} is given within it"
                raise _wrong(path, root, (*place, "data", datum), problem)


def fields(mapping: Mapping, name: str) -> tuple[str, ...]:
    """The columns of REDCap's export that an instrument's event is read from, in order."""
    instrument = mapping.instruments[name]
    status = (f"{name}_complete",) if instrument.when_complete else ()
    mapped = (datum.field for datum in instrument.data.values() if datum.field is not None)
    return tuple(dict.fromkeys((mapping.subject, *mapped, *status)))


def hidden(mapping: Mapping, name: str, record: dict[str, str]) -> tuple[str, ...]:
    """The columns that an instrument's event is read from and that REDCap did not export.

    REDCap leaves out, without a word, the columns that the API user's export rights do not cover. A field
    that somebody emptied has a column, and no text in it.
    """
    return tuple(field for field in fields(mapping, name) if field not in record)


def subject_code(mapping: Mapping, record: dict[str, str]) -> str:
    """The subject's code in a record; empty when it holds none, or a missing data code."""
    code = str(record.get(mapping.subject) or "").strip()
    return "" if code in mapping.missing else code


def read_data(mapping: Mapping, name: str, record: dict[str, str], event: str) -> dict[str, Any]:
    """The data of the event that a record's form states; dotted names give nested objects.

    Raises:
        BadInput: a field with a value that the mapping does not know, by its name.
    """
    data: dict[str, Any] = {}
    for each, datum in mapping.instruments[name].data.items():
        value = _value(datum, record, event, mapping.missing if datum.missing is None else datum.missing)
        if value is not None:
            _put(data, each, value)
    return data


def _put(data: dict[str, Any], name: str, value: Any) -> None:
    *outer, last = name.split(".")
    for part in outer:
        data = data.setdefault(part, {})
    data[last] = value


def _value(datum: Datum, record: dict[str, str], event: str, missing: Collection[str]) -> Any:
    if datum.by_event is not None:
        if event not in datum.by_event:
            raise BadInput(f"the mapping does not know the REDCap event {event!r}", "redcap_event_name")
        return datum.by_event[event]
    if datum.field is None:
        return datum.constant
    return _of_field(datum, datum.field, record, missing)


def _of_field(datum: Datum, field: str, record: dict[str, str], missing: Collection[str]) -> Any:
    text = str(record.get(field, "")).strip()
    if datum.values is not None and text in datum.values:
        return datum.values[text]
    # A code says that nobody knows the value. That is no empty field, for which the constant would count.
    if text in missing or _is_missing_checkbox(field, record, missing):
        return None
    if text == "":
        return datum.constant
    try:
        if datum.values is not None:
            raise ValueError(text)
        return read(datum.kind, text)
    except ValueError as error:
        raise BadInput(f"{text!r} cannot be mapped as {datum.kind}", field) from error


def _is_missing_checkbox(field: str, record: dict[str, str], missing: Collection[str]) -> bool:
    """Whether a missing data code is ticked for a checkbox: it has a column of its own for each code."""
    base, mark, _ = field.partition("___")
    return bool(mark) and any(record.get(missing_column(base, code)) == "1" for code in missing)


def unmapped(mapping: Mapping, name: str, record: dict[str, str]) -> dict[str, str]:
    """The filled fields of a form that the mapping neither uses nor ignores."""
    instrument = mapping.instruments[name]
    used = {*fields(mapping, name), *instrument.ignore, mapping.record_id, f"{name}_complete"}
    boxes = {field.partition("___")[0] for field in used if "___" in field}
    used |= {missing_column(box, code) for box in boxes for code in mapping.missing}
    return {
        field: value
        for field, value in record.items()
        if field not in used
        and not field.startswith("redcap_")
        and str(value).strip() not in ("", *mapping.missing)
        and not is_unticked(field, str(value))
    }
