"""Reading a protocol file: YAML checked against the protocol's model, refused with line and reason.

This module holds no rule about what a protocol must say: model.py and checks.py do.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from itp_events.errors import BadProtocol
from itp_events.protocol.beside import unfit
from itp_events.protocol.checks import Finding, Location, findings
from itp_events.protocol.model import Protocol
from itp_events.protocol.yaml_lines import line_of, refuse_doubled_keys, value_at
from itp_events.validation_messages import plainly

BUILT_IN = Path(__file__).parent / "nct06813157.yaml"


@lru_cache(maxsize=16)
def load_protocol(path: Path | None = None) -> Protocol:
    """The protocol in `path`, or the built-in NCT06813157.

    In a folder, each *.yaml is a version. The file whose name sorts last is current for new subjects; the
    others stay installed for the subjects pinned to them.

    Raises:
        BadProtocol: a file cannot be read, or does not hold together (an unknown field, a doubled visit, a
            circular anchor). The error names the line and the reason.
    """
    path = path or BUILT_IN
    if not path.is_dir():
        return _load_file(path)
    versions = _versions_in(path)
    return versions[-1].beside(versions, lambda: installed_by_now(path))


def installed_by_now(path: Path) -> list[Protocol]:
    """The versions in a folder; none while one of its files cannot be read, or while there is no folder."""
    try:
        return _versions_in(path) if path.is_dir() else []
    except (BadProtocol, OSError):
        return []


def _versions_in(path: Path) -> list[Protocol]:
    versions = [_load_unchanged(file, file.stat().st_mtime_ns) for file in protocol_files(path)]
    if not versions:
        raise BadProtocol("holds no protocol file (*.yaml)", str(path))
    names = [version.version for version in versions]
    if len(set(names)) < len(names):
        raise BadProtocol(f"holds a version twice: {', '.join(sorted(names))}", str(path))
    for number, version in enumerate(versions):
        if problem := unfit(version, versions[:number]):
            raise BadProtocol(f"version {version.version!r} {problem}", str(path))
    return versions


@lru_cache(maxsize=64)
def _load_unchanged(file: Path, changed: int) -> Protocol:
    return _load_file(file)


def protocol_files(path: Path | None = None) -> list[Path]:
    """The protocol files in `path`, a file or a folder, in the order of their names; or the built-in one."""
    path = path or BUILT_IN
    return sorted(path.glob("*.yaml")) if path.is_dir() else [path]


def _load_file(path: Path) -> Protocol:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadProtocol(f"cannot be read: {error.strerror}", str(path)) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadProtocol("is not UTF-8 text; save it as UTF-8", f"{path}:{line}", line) from error
    return parse_protocol(text, str(path))


def parse_protocol(text: str, name: str) -> Protocol:
    """The protocol that a YAML text gives; errors call the text by `name`.

    Raises:
        BadProtocol: the text is no YAML, or no protocol; the error names the line and the reason.
    """
    root, value = _read(text, name)
    refuse_doubled_keys(root, name)
    try:
        protocol = Protocol.model_validate(value)
    except ValidationError as error:
        raise _refusal(_flaws(error, root), root, name) from error
    flaws = list(findings(protocol))
    if flaws:
        raise _refusal(flaws, root, name)
    return protocol


def _read(text: str, name: str) -> tuple[yaml.Node, object]:
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        value = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _unreadable(error, name) from error
    except ValueError as error:
        raise BadProtocol(f"holds a value that is none: {error}", name) from error
    except RecursionError as error:
        raise BadProtocol("is nested too deeply", name) from error
    if root is None:
        raise BadProtocol("is empty", name, 1)
    if not isinstance(value, dict):
        raise BadProtocol("must be a mapping, as the built-in protocol is", f"{name}:1", 1)
    return root, value


def _unreadable(error: yaml.YAMLError, name: str) -> BadProtocol:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else None
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return BadProtocol(f"is not YAML: {problem}", f"{name}:{line}" if line else name, line)


def _refusal(flaws: list[Finding], root: yaml.Node, name: str) -> BadProtocol:
    """The error for the first flaw in the file; it says how many more there are."""
    lines = [line_of(root, location) for location, _ in flaws]
    line, (location, problem) = min(zip(lines, flaws, strict=True), key=lambda pair: pair[0])
    path = ".".join(str(part) for part in location)
    more = f" (and {len(flaws) - 1} more)" if len(flaws) > 1 else ""
    said = f"{path}: {problem}{more}" if path else f"{problem}{more}"
    return BadProtocol(said, f"{name}:{line}", line)


def _flaws(error: ValidationError, root: yaml.Node) -> list[Finding]:
    found = error.errors(include_url=False)
    # A misspelt field causes two errors: an unknown field and a missing one. The unknown field shows the
    # mistake.
    unknown = [each for each in found if each["type"] in ("extra_forbidden", "invalid_key")]
    return [
        (_place(each["loc"], each["msg"], root), _problem(each["type"], each["msg"]))
        for each in unknown or found
    ]


def _place(location: Location, problem: str, root: yaml.Node) -> Location:
    if not location:  # the message of a rule across fields begins with the field and names the visit
        return _named_in(problem.removeprefix(_VALUE_ERROR), root)
    return location[:-1] if location[-1] == "[key]" else location


def _problem(kind: str, message: str) -> str:
    plain = _PLAIN.get(kind) or plainly(kind, message)
    field, _, rest = plain.partition(": ")
    return rest if kind == "value_error" and field in Protocol.model_fields else plain


_VALUE_ERROR = "Value error, "
_PLAIN = {
    "invalid_key": "unknown field",
    "string_type": 'must be text; put it in quotes, as "1"',
    "model_type": "must be a mapping, as {name: value}",
    "mapping_type": "must be a mapping, as {name: value}",
    "tuple_type": "must be a list",
    "recursion_loop": "must not contain itself",
}


def _named_in(problem: str, root: yaml.Node) -> Location:
    """The place of the visit that a rule names first; of a doubled visit, the place of the second."""
    field, _, rest = problem.partition(":")
    codes = [value_at(root, (field, place, "code")) for place in range(_length(root, field))]
    places = {code.value: place for place, code in enumerate(codes) if code is not None}
    for word in rest.replace(",", " ").replace(":", " ").split():
        if word in places:
            return field, places[word], "anchor" if "anchor" in rest else "code"
    return (field,)


def _length(root: yaml.Node, field: str) -> int:
    """The number of entries of a list in the file; 0 when it is no list."""
    entries = value_at(root, (field,))
    return len(entries.value) if isinstance(entries, yaml.SequenceNode) else 0
