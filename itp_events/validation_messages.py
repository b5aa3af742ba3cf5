"""Plain words for what pydantic finds wrong with a field.

This module does not say which field is wrong: its callers do.
"""

from __future__ import annotations

import re

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
