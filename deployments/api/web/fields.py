"""The fields of a form, derived from the typed event catalogue: their kind, limits and choices.

The catalogue (`itp_events.events`) stays the one place that says what an event holds; forms.py says only in
which order its fields stand, and words_*.py what they are called.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from itp_events.events import Data, plain_number

Kind = Literal[
    "date", "instant", "yes-no", "tick", "choice", "number", "cells", "whole", "bleeding", "text", "line"
]
_LONG = 500

# People write a dose in thousand millions of cells; a plain number from here on is one of cells.
_CELLS = "cells_given"
_TEN_TO = 9
_PLAIN_CELLS = 1_000_000
# The ways to write 6.15 × 10⁹ out, full-width signs included.
_POWER = re.compile(r"(?P<number>[^*x×✕]+?)\s*[*x×✕]\s*10\s*\^?\s*(?P<power>\d{1,2})", re.ASCII)
_SUPERSCRIPTS = str.maketrans({raised: f"^{digit}" for digit, raised in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form: its place in the event's data, and the values to choose from."""

    path: str
    kind: Kind
    required: bool
    choices: tuple[str, ...] = ()
    longest: int | None = None

    @property
    def name(self) -> str:
        """The last part of its path: its name in the words."""
        return self.path.rpartition(".")[2]


@cache
def field_of(data: type[Data], path: str) -> Field:
    """The field at a dotted path in the data of an event type."""
    schema = data.model_json_schema()
    found, required = _at(schema, path.split("."))
    return _field(path, found, required=required)


def _at(schema: Mapping[str, Any], parts: list[str]) -> tuple[Mapping[str, Any], bool]:
    here: Mapping[str, Any] = schema
    required = True
    for part in parts:
        here = _object(schema, here)
        required = required and part in here.get("required", ())
        here = here["properties"][part]
    return here, required


def _object(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part with properties that a reference, or the first object of several shapes, stands for."""
    if "$ref" in part:
        resolved: Mapping[str, Any] = schema["$defs"][part["$ref"].rpartition("/")[2]]
        return resolved
    if "properties" in part:
        return part
    shapes = [*part.get("anyOf", ()), *part.get("oneOf", ())]
    return next(_object(schema, each) for each in shapes if {"$ref", "anyOf", "oneOf"} & each.keys())


def _field(path: str, found: Mapping[str, Any], *, required: bool) -> Field:
    shapes = [each for each in found.get("anyOf", (found,)) if each.get("type") != "null"]
    if len(shapes) > 1:
        return Field(path, "bleeding", required, ("0", "1", "2", "3", "4", "yes"))
    shape = shapes[0]
    if "enum" in shape:
        return Field(path, "choice", required, tuple(shape["enum"]))
    return _simple(path, shape, required=required, has_default=found.get("default") is False)


def _simple(path: str, shape: Mapping[str, Any], *, required: bool, has_default: bool) -> Field:
    kind = {"boolean": "yes-no", "number": "number", "integer": "whole"}.get(shape["type"])
    if kind == "yes-no":
        return Field(
            path, "tick" if has_default else "yes-no", required, () if has_default else ("yes", "no")
        )
    if kind == "whole" and shape.get("maximum", _LONG) - shape.get("minimum", 0) < 10:
        choices = range(shape["minimum"], shape["maximum"] + 1)
        return Field(path, "choice", required, tuple(str(each) for each in choices))
    if path == _CELLS:
        return Field(path, "cells", required)
    if kind == "number" or kind == "whole":
        return Field(path, "number" if kind == "number" else "whole", required)
    if shape.get("format") in ("date", "date-time"):
        return Field(path, "date" if shape["format"] == "date" else "instant", required)
    longest = shape.get("maxLength")
    return Field(path, "text" if longest == _LONG else "line", required, longest=longest)


def read(field: Field, data: type[Data], text: str, zone: ZoneInfo) -> Any:
    """The value that was entered, as JSON types; None for nothing.

    What cannot be read stays as it was entered, so that the catalogue refuses it by name.
    """
    text = text.strip()
    if field.kind == "tick":
        return True if text else None
    if not text:
        return None
    if field.kind == "cells":
        return _cells(text)
    narrow = unicodedata.normalize("NFKC", text)
    if field.kind in ("yes-no", "bleeding"):
        return _of_choice(narrow, field.kind)
    if field.kind in ("number", "whole") or _holds_whole(field, data):
        return _number(narrow)
    if field.kind == "instant":
        return _instant(narrow, zone)
    return text if field.kind in ("text", "line") else narrow


def _holds_whole(field: Field, data: type[Data]) -> bool:
    return field.kind == "choice" and all(each.isdigit() for each in field.choices)


def _of_choice(text: str, kind: Kind) -> Any:
    said: dict[str, Any] = {"yes": True, "no": False}
    if kind == "bleeding":
        said |= {str(grade): grade for grade in range(5)}
    return said.get(text, text)


def _number(text: str) -> Any:
    if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def _cells(text: str) -> Any:
    """A number of cells: stated in thousand millions, or written out."""
    narrow = unicodedata.normalize("NFKC", text.translate(_SUPERSCRIPTS))
    if power := _POWER.fullmatch(narrow):
        narrow = f"{power['number']}e{power['power']}"
    if not _DECIMAL.fullmatch(narrow):
        return text
    number = Decimal(narrow)
    if "e" not in narrow.lower() and abs(number) < _PLAIN_CELLS:
        number = number.scaleb(_TEN_TO)
    return float(number)


def thousand_millions(cells: float) -> str:
    """A number of cells in thousand millions, in plain digits and never rounded."""
    number = Decimal(repr(cells)).scaleb(-_TEN_TO)
    return f"{number.normalize():f}"


def _cells_shown(cells: float) -> str:
    said = thousand_millions(cells)
    return said if abs(Decimal(said)) < _PLAIN_CELLS else plain_number(cells)


def _instant(text: str, zone: ZoneInfo) -> str:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).isoformat()
    except ValueError:
        return text


def shown(field: Field, value: Any, zone: ZoneInfo) -> str:
    """A recorded value as a form shows it: what `read` reads back to the same value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        # Bleeding is a grade, or only whether there was any.
        return ("0" if field.kind == "bleeding" else "no") if not value else "yes"
    if isinstance(value, int | float):
        return _cells_shown(value) if field.kind == "cells" else plain_number(value)
    if field.kind == "instant":
        return f"{datetime.fromisoformat(value).astimezone(zone):%Y-%m-%dT%H:%M}"
    return str(value)


def value_at(data: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path of an event's data: of several regimens the first, None for none."""
    here: Any = data
    for part in path.split("."):
        if isinstance(here, list | tuple):
            here = here[0] if here else None
        if not isinstance(here, Mapping):
            return None
        here = here.get(part)
    return here


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """An event's data from the values of its fields by dotted path; absent ones are left out."""
    made: dict[str, Any] = {}
    for path, value in values.items():
        if value is None:
            continue
        *parents, last = path.split(".")
        here = made
        for part in parents:
            here = here.setdefault(part, {})
        here[last] = value
    return made
