"""Places in a YAML file: the line of a value, the value at a place, and keys that stand twice.

This module knows nothing of protocols.
"""

from __future__ import annotations

import yaml

from itp_events.errors import BadProtocol


def line_of(root: yaml.Node, location: tuple[int | str, ...]) -> int:
    """The line, counted from 1, on which a location begins; for a missing field, the line of its mapping."""
    line, node = root.start_mark.line, root
    for part in location:
        pair = _child(node, part)
        if pair is None:
            break
        line, node = pair[0].start_mark.line, pair[1]
    return line + 1


def value_at(root: yaml.Node, location: tuple[int | str, ...]) -> yaml.Node | None:
    """The node at a location; None when there is none."""
    node = root
    for part in location:
        pair = _child(node, part)
        if pair is None:
            return None
        node = pair[1]
    return node


def _child(node: yaml.Node, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    """A child, behind the node at which it begins: its name in a mapping, the child itself in a list."""
    if isinstance(node, yaml.MappingNode):
        return next(((name, value) for name, value in node.value if name.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def refuse_doubled_keys(root: yaml.Node, file: str) -> None:
    """Refuse a mapping that gives a name twice, of which YAML itself would silently take the last.

    Raises:
        BadProtocol: a name is given twice; the error names `file` and the line.
    """
    known: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in known:
            continue
        known.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _refuse_doubled(node, file)
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _refuse_doubled(node: yaml.MappingNode, file: str) -> None:
    names: set[object] = set()
    for name, _ in node.value:
        if name.value in names:
            line = name.start_mark.line + 1
            raise BadProtocol(f"{name.value!r} is given twice", f"{file}:{line}", line)
        names.add(name.value)
