"""Reads the texts that REDCap exports as values: its numbers, dates, ticks and missing data codes.

Raw values as the API gives them: a date is YYYY-MM-DD whatever its form on the screen, a checkbox is a column
of 0 or 1 for each choice, and a decimal comma has become a point (`decimalCharacter`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Literal

Kind = Literal["text", "number", "integer", "yes-no", "date"]

# The codes that REDCap offers for "missing data codes". A project may choose others, as -99.
STANDARD_MISSING = (
    *("NI", "INV", "UNK", "NASK", "ASKU", "NAV", "MSK", "NA", "NAVU", "NP"),
    *("QS", "QI", "TRC", "UNC", "DER", "PINF", "NINF", "OTH"),
)

# The numbers and integers of REDCap's field validation. Python itself would read 7_2 as 72, and nan.
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
# Python itself would read a week, as 2026-W01-1.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?")
# How REDCap exports a yes-no field and a checkbox, raw.
_YES, _NO = {"1", "yes", "y", "true"}, {"0", "no", "n", "false"}
_NOT_IN_A_COLUMN = re.compile(r"[^a-z0-9]")


def read(kind: Kind, text: str) -> Any:
    """The value of a text that is not empty.

    Raises:
        ValueError: it is none of this kind.
    """
    return _READERS[kind](text)


def missing_column(field: str, code: str) -> str:
    """The column that REDCap exports for a checkbox and a missing data code."""
    return f"{field}___{_NOT_IN_A_COLUMN.sub('_', code.lower())}"


def is_unticked(field: str, text: str) -> bool:
    """Whether a column is that of a checkbox's choice which nobody ticked."""
    return "___" in field and text.strip() == "0"


def _number(text: str) -> float:
    number = float(_matching(_NUMBER, text))
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _integer(text: str) -> int:
    return int(_matching(_INTEGER, text))


def _yes_no(text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise ValueError(text)
    return text.lower() in _YES


def _date(text: str) -> str:
    """A REDCap date; of a datetime its date."""
    whole = _matching(_DATE, text)
    if len(whole) == len("YYYY-MM-DD"):
        return date.fromisoformat(whole).isoformat()
    return f"{datetime.fromisoformat(whole):%Y-%m-%d}"


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(text)
    return text


_READERS: dict[Kind, Callable[[str], Any]] = {
    "text": str,
    "number": _number,
    "integer": _integer,
    "yes-no": _yes_no,
    "date": _date,
}
