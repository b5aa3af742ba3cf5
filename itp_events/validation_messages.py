"""Plain words for what pydantic finds wrong with a field, and the known names nearest to an unknown one.

This module does not say which field is wrong: its callers do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

_VALUE_ERROR = "Value error, "
_SAID = {
    "missing": "this field is required",
    "extra_forbidden": "unknown field",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
}


def plainly(kind: str, message: str) -> str:
    """One problem in plain words, from pydantic's name for its kind and pydantic's message."""
    said = _SAID.get(kind) or message.removeprefix(_VALUE_ERROR)
    return re.sub(r"^\w+ should ", "must ", said)


# How many known names are proposed. Longer names are compared by their beginning: the answer stays quick.
_PROPOSED = 3
_COMPARED = 100


def did_you_mean(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """`; did you mean a or b?` with the known names nearest to an unknown one; empty when none is near.

    `alike`, of 0 to 1, says how near: 1 is the same name in another case.
    """
    by_folded = {each.casefold(): each for each in known}
    near = get_close_matches(name[:_COMPARED].casefold(), by_folded, _PROPOSED, alike)
    return f"; did you mean {' or '.join(by_folded[each] for each in near)}?" if near else ""


def fields_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The names of the fields that may stand at a place inside a model; empty where there is no object."""
    models = [model]
    for part in location:
        # Places in lists, and names of the shapes of a union, lead to no other field.
        inner = [
            each.model_fields[part].annotation
            for each in models
            if isinstance(part, str) and part in each.model_fields
        ]
        models = [found for annotation in inner for found in _models(annotation)] or models
    return sorted({name for each in models for name in each.model_fields})


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)
