"""JSON in which nothing is ambiguous: how requests, files of events and REDCap's answers are read.

What the values mean is not judged here; `itp_events.events` does that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from itp_events.errors import BadEvent

MAX_DEPTH = 16
_TOO_DEEP = "is nested too deeply to hold events"


class NotJson(ValueError):
    """A text that is not JSON: `problem` follows the text's name in a sentence, `line` counts from 1."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        self.problem = problem
        self.line = line
        super().__init__(problem)


class _Doubled(dict[str, Any]):
    """A JSON object in which a field stands twice: which of the two is meant cannot be known."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def parse(text: bytes, what: str = "the body") -> Any:
    """The checked JSON value of a whole text. A large text takes long: no event loop may wait for it.

    Raises:
        BadEvent: it is not UTF-8 or not JSON, or holds what `check` refuses; `what` names the text.
    """
    try:
        # Not the bytes: json would guess UTF-16 and UTF-32 too.
        value = decode(text.decode("utf-8-sig"))
        check(value)
    except UnicodeDecodeError as error:
        raise BadEvent(f"{what} is not UTF-8 text") from error
    except NotJson as error:
        line = f" (line {error.line})" if error.line else ""
        raise BadEvent(f"{what} {error.problem}{line}") from error
    except BadEvent as error:
        raise error if error.field else BadEvent(f"{what} {error.problem}") from error
    return value


def decode(text: str) -> Any:
    """The JSON value of a whole text; `check` it before it is used.

    Raises:
        NotJson: the text is not JSON, or holds NaN or Infinity.
    """
    return _decoded(text, None)[0]


def decode_at(text: str, begins: int) -> tuple[Any, int]:
    """The JSON value that begins at an offset, and the offset behind it; `check` it before it is used.

    Raises:
        NotJson: what begins there is not JSON, or holds NaN or Infinity.
    """
    return _decoded(text, begins)


def check(value: Any) -> None:
    """Refuse a decoded value that is no safe event.

    Raises:
        BadEvent: a field stands twice in an object, which is named; nested deeper than 16 levels; half of a
            surrogate pair, which is no text.
    """
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise BadEvent(_TOO_DEEP)
        for each in level:
            _check_one(each)
        level = [inner for each in level for inner in _inner(each)]


def _check_one(value: Any) -> None:
    if isinstance(value, _Doubled):
        raise BadEvent("this field stands twice", value.name[:100])
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise BadEvent("holds half of a surrogate pair, which is no text") from error


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, list) else ()


def _decoded(text: str, begins: int | None) -> tuple[Any, int]:
    try:
        return (_DECODER.decode(text), len(text)) if begins is None else _DECODER.raw_decode(text, begins)
    except json.JSONDecodeError as error:
        raise NotJson(f"is not JSON: {error.msg}", error.lineno) from error
    except RecursionError as error:
        raise NotJson(_TOO_DEEP) from error
    except ValueError as error:
        raise NotJson(f"is not JSON: {str(error).partition(';')[0]}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Doubled(_repeated(name for name, _ in pairs))


def _repeated(names: Iterable[str]) -> str:
    """The first name that stands there a second time, found in one pass: a body may hold 100,000 names."""
    known: set[str] = set()
    for name in names:
        if name in known:
            return name
        known.add(name)
    raise AssertionError("some name stands there twice")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)
