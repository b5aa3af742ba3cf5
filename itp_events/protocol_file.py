"""Reading a protocol file: YAML checked against the protocol's model, refused with line and reason."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from itp_events.errors import BadProtocol
from itp_events.protocol import Protocol

BUILT_IN = Path(__file__).parent / "protocols" / "nct06813157.yaml"


@lru_cache(maxsize=16)
def load_protocol(path: Path | None = None) -> Protocol:
    """The protocol in `path`, or the built-in NCT06813157.

    In a folder, each *.yaml is a version; the file whose name sorts last is current for new subjects,
    and the others stay for those pinned to them. Raises BadProtocol with the line and the reason for a
    file that cannot be read or does not hold together: an unknown field, a doubled visit, a circular
    anchor.
    """
    path = path or BUILT_IN
    if not path.is_dir():
        return _load_file(path)
    versions = [_load_file(file) for file in sorted(path.glob("*.yaml"))]
    if not versions:
        raise BadProtocol("holds no protocol file (*.yaml)", str(path))
    names = [version.version for version in versions]
    if len(set(names)) < len(names):
        raise BadProtocol(f"holds a version twice: {', '.join(sorted(names))}", str(path))
    return versions[-1].beside(versions)


def _load_file(path: Path) -> Protocol:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadProtocol(f"cannot be read: {error}", str(path)) from error
    return parse_protocol(text, str(path))


def parse_protocol(text: str, name: str) -> Protocol:
    """The protocol that a YAML text gives; `name` is what errors call it. Raises BadProtocol."""
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        value = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _unreadable(error, name) from error
    if root is None or not isinstance(value, dict):
        raise BadProtocol("must be a mapping, as the built-in protocol is", f"{name}:1", 1)
    _refuse_doubled_keys(root, name)
    try:
        return Protocol.model_validate(value)
    except ValidationError as error:
        raise _refusal(error, root, name) from error


def _unreadable(error: yaml.YAMLError, name: str) -> BadProtocol:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else None
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return BadProtocol(f"is not YAML: {problem}", f"{name}:{line}" if line else name, line)


def _refuse_doubled_keys(node: yaml.Node, name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise BadProtocol(f"{key.value!r} is given twice", f"{name}:{line}", line)
            seen.add(key.value)
    for child in _children(node):
        _refuse_doubled_keys(child, name)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refusal(error: ValidationError, root: yaml.Node, name: str) -> BadProtocol:
    first = error.errors(include_url=False)[0]
    problem = first["msg"].removeprefix("Value error, ")
    location = first["loc"]
    if first["type"] == "extra_forbidden":
        problem = "unknown field"
    if not location:  # a rule across fields: its message begins with the field and names the visit
        location = _named_in(problem, root)
    line = _line(root, location)
    path = ".".join(str(part) for part in first["loc"])
    return BadProtocol(f"{path}: {problem}" if path else problem, f"{name}:{line}", line)


def _named_in(problem: str, root: yaml.Node) -> tuple[int | str, ...]:
    field = problem.partition(":")[0]
    rows = _value_of(root, field)
    for index, row in enumerate(_children(rows) if rows else []):
        code = _value_of(row, "code")
        if code is not None and str(code.value) in problem.replace(",", " ").split():
            return field, index
    return (field,)


def _value_of(node: yaml.Node, key: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
        children: list[Any] = node.value
        return children[key] if key < len(children) else None
    return None


def _line(root: yaml.Node, location: tuple[int | str, ...]) -> int:
    node, line = root, root.start_mark.line
    for part in location:
        child = _value_of(node, part)
        if child is None:
            break
        node, line = child, child.start_mark.line
    return line + 1
