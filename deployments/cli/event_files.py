"""Reads events from a file: a JSON array, one JSON object, or JSON Lines; each with its line."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployments import strict_json
from itp_events.errors import BadEvent, BadInput, ItpError, Refused
from itp_events.events import Event, parse_event

STDIN = "-"
_SPACE = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Place:
    """The beginning of an event, `FILE:LINE`; its number in the file, and whether others share its line."""

    at: str
    number: int = 1
    shared: bool = False

    def explained(self, error: ItpError) -> str:
        """An error of the event as one line: file, line, the field or the rule, and the reason."""
        rule = f"{error.rule}: " if isinstance(error, Refused) else ""
        return f"{self.at}: {rule}{error}" + (f" (event {self.number})" if self.shared else "")


@dataclass(frozen=True, slots=True)
class Stated:
    """An event, and the place at which it begins."""

    place: Place
    event: Event


@dataclass(frozen=True, slots=True)
class Malformed:
    """A value in the file that is no event, and the place at which it begins."""

    place: Place
    error: BadInput

    def __str__(self) -> str:
        """One line: file, line, field, problem."""
        return self.place.explained(self.error)


@dataclass(frozen=True)
class Events:
    """The contents of a file, in its order."""

    stated: list[Stated] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)


def read_events(name: str) -> Events:
    """The events in a file, or on the standard input for `-`; malformed ones beside the good ones.

    Raises BadInput when the file cannot be read, is not UTF-8 text, holds nothing, or holds a JSON array
    that is broken: where its elements end cannot be known then.
    """
    shown = called(name)
    found = Events()
    values = list(_values(_text(name, shown), shown))
    on_line = Counter(line for line, _ in values)
    for number, (line, value) in enumerate(values, 1):
        place = Place(f"{shown}:{line}", number, on_line[line] > 1)
        try:
            found.stated.append(Stated(place, _parsed(value)))
        except BadInput as error:
            found.malformed.append(Malformed(place, error))
    return found


def _parsed(value: Any) -> Event:
    if isinstance(value, BadEvent):
        raise value
    strict_json.check(value)
    return parse_event(value)


def called(name: str) -> str:
    """The name of a file in messages."""
    return "<stdin>" if name == STDIN else name


def _text(name: str, shown: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", shown) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput("is not UTF-8 text; save it as UTF-8", f"{shown}:{line}") from error
    if not text.strip():
        raise BadInput("holds no event; it is empty", shown)
    return text


def _values(text: str, shown: str) -> Iterator[tuple[int, Any]]:
    """Each JSON value of a file with the line at which it begins; a BadEvent in place of unreadable JSON."""
    begins = _skip(text, 0, _SPACE)
    if text[begins] == "[":
        yield from _elements(text, shown)
        return
    line = text.count("\n", 0, begins) + 1
    _, whole = _decoded(text, line)
    if isinstance(whole, BadEvent):
        yield from _lines(text)
    else:
        yield line, whole


def _decoded(text: str, line: int) -> tuple[int, Any]:
    """The JSON value of a text that begins at a line; or the line that breaks it, and a BadEvent."""
    try:
        return line, strict_json.decode(text)
    except strict_json.NotJson as error:
        return line + (error.line or 1) - 1, BadEvent(error.problem)


def _lines(text: str) -> Iterator[tuple[int, Any]]:
    """JSON Lines; an object may go on over several lines when the next one begins with `{`."""
    rows = text.split("\n")
    at = 0
    while at < len(rows):
        end = at + 1
        if rows[at].strip():
            line, value = _decoded(rows[at], at + 1)
            if isinstance(value, BadEvent):
                end = next((row for row in range(end, len(rows)) if _begins(rows[row])), len(rows))
            more = "\n".join(rows[at:end]).rstrip()
            yield _decoded(more, at + 1) if "\n" in more else (line, value)
        at = end


def _begins(row: str) -> bool:
    """Whether an event begins with this line: unindented, or whole within it."""
    return row.startswith("{") or ('"specversion"' in row and isinstance(_decoded(row, 1)[1], dict))


def _elements(text: str, shown: str) -> Iterator[tuple[int, Any]]:
    """The elements of a JSON array."""
    broken, array = _decoded(text, 1)
    if isinstance(array, BadEvent):
        raise BadInput(array.problem, f"{shown}:{broken}")
    end = text.index("[") + 1
    line = text.count("\n", 0, end) + 1
    for _ in array:
        begins = _skip(text, end, _SPACE + ",")
        line += text.count("\n", end, begins)
        value, after = strict_json.decode_at(text, begins)
        yield line, value
        line, end = line + text.count("\n", begins, after), after


def _skip(text: str, at: int, blank: str) -> int:
    while text[at] in blank:
        at += 1
    return at
