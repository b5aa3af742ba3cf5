"""Reading a behaviour file: YAML checked against its fields, refused with line and reason.

A file begins from another scenario with `like:` and states what differs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from deployments.simulation.people.behaviour import Behaviour
from deployments.simulation.people.draws import Spread
from itp_events.errors import BadInput
from itp_events.protocol.yaml_lines import line_of, refuse_doubled_keys

SCENARIOS = Path(__file__).parent / "scenarios"
NAMES = ("perfect", "typical", "holiday-season", "unreliable", "outage")

_WEIGHTS = ("choice", "lost", "grade")
_PLAIN = {
    "extra_forbidden": "unknown field",
    "missing": "this field is required; `like: typical` takes it from there",
    "model_type": "must be a mapping, as {name: value}",
    "dict_type": "must be a mapping, as {name: value}",
    "float_type": "must be a number",
    "string_too_short": "must not be empty",
    "date_from_datetime_parsing": "must be a date, as 2026-03-02",
    "date_type": "must be a date, as 2026-03-02",
}


def load_behaviour(source: str | Path = "typical") -> Behaviour:
    """The behaviour of a named scenario, or of a file.

    Raises:
        BadInput: names the file, the line, the field and what is wrong with it.
    """
    path = _path(source, "scenario")
    root, value = _read(path)
    try:
        return Behaviour.model_validate(_whole(path, root, value))
    except ValidationError as error:
        raise _refusal(error, root, path) from error


def _refusal(error: ValidationError, root: yaml.Node, path: Path) -> BadInput:
    # A misspelt field is unknown, and the right one is missing: the first of the two says what to mend.
    found = error.errors(include_url=False)
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    place = tuple(part for part in first["loc"] if part != "[key]")
    plain = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    rest = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    field = ".".join(str(part) for part in place).removesuffix(".always")
    return BadInput(f"{field}: {_PLAIN.get(first['type'], plain)}{rest}", f"{path}:{line_of(root, place)}")


def _path(source: str | Path, field: str) -> Path:
    if isinstance(source, Path):
        return source
    if source not in NAMES:
        raise BadInput(f"{source!r} is no scenario; there are {', '.join(NAMES)}", field)
    return SCENARIOS / f"{source}.yaml"


def _read(path: Path) -> tuple[yaml.Node, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", str(path)) from error
    except UnicodeDecodeError as error:
        raise BadInput("is not UTF-8 text; save it as UTF-8", str(path)) from error
    try:
        root, value = yaml.compose(text, yaml.CSafeLoader), yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable(error, path) from error
    if root is None or not isinstance(value, dict):
        raise BadInput("must be a mapping, as scenarios/typical.yaml is", f"{path}:1")
    refuse_doubled_keys(root, str(path))
    return root, value


def _unreadable(error: Exception, path: Path) -> BadInput:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return BadInput(f"is not YAML: {problem}", f"{path}:{mark.line + 1}" if mark else str(path))


def _whole(path: Path, root: yaml.Node, value: dict[str, Any]) -> dict[str, Any]:
    """A file's fields over those of the scenario that it is like."""
    like = value.pop("like", None)
    if like is None:
        return value
    base = _path(str(like), f"{path}:{line_of(root, ('like',))}: like")
    return _merged(_whole(base, *_read(base)), value)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` wins; groups of fields are merged, spreads and weights are replaced whole."""
    merged = dict(base)
    for key, value in over.items():
        before = base.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and not _replaced(key, before):
            merged[key] = _merged(before, value)
        else:
            merged[key] = value
    return merged


def _replaced(key: str, value: dict[str, Any]) -> bool:
    return key in _WEIGHTS or (len(value) == 1 and next(iter(value)) in Spread.model_fields)
