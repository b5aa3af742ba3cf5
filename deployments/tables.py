"""Tables as CSV files, which spreadsheets, R and other programs read alike.

Every cell stands in quotes: otherwise a carriage return alone would end a line for some of them. The files
are UTF-8 with its mark, without which spreadsheets guess another encoding. No cell runs as a formula.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, TextIO

from itp_events.events import plain_number
from itp_events.outputs.plan_json import instant

ENCODING = "utf-8-sig"


class TableWriter:
    """Writes the rows of one table below its head; `file` is opened with `ENCODING` and `newline=""`."""

    def __init__(self, file: TextIO, columns: Sequence[str]) -> None:
        self._rows = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._rows.writerow(columns)

    def row(self, values: Iterable[Any]) -> None:
        """Append a row."""
        self._rows.writerow([cell(value) for value in values])


def table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """A whole table as text, to be written with `ENCODING`."""
    text = io.StringIO(newline="")
    writer = TableWriter(text, columns)
    for row in rows:
        writer.row(row)
    return text.getvalue()


def cell(value: Any) -> str:
    """A value as text: instants in UTC, numbers as stated, yes and no as Y and N, the rest as JSON."""
    if isinstance(value, str) or value is None:
        return _harmless(value or "")
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "Y" if value else "N"
    return plain_number(value) if isinstance(value, int | float) else _harmless_json(value)


# The characters with which a spreadsheet begins a formula, also in their full-width forms: at the beginning
# of a cell, and behind a separator or a line break, for spreadsheets that split cells there in spite of the
# quotes.
_BREAKS = "\t\r\n\v\f\x85\u2028\u2029"
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(rf"(^|[;{_BREAKS}])(\s*)('*[{_SIGNS}])")
_BEGINS_WITH_BREAK = re.compile(rf"'*[{_BREAKS}]")
_SIGN = re.compile(rf"(^|[;{_BREAKS}])(\s*)([{_SIGNS}])")


def _harmless(text: str) -> str:
    """Text that no spreadsheet executes: one more apostrophe stands before the beginning of a formula.

    Taking that one away gives the text as it was stated.
    """
    text = _FORMULA.sub(r"\1\2'\3", text)
    return f"'{text}" if _BEGINS_WITH_BREAK.match(text) else text


def _harmless_json(value: Any) -> str:
    """JSON that reads back the same: the beginning of a formula in it is escaped as JSON escapes."""
    text = json.dumps(value, ensure_ascii=False)
    return _SIGN.sub(lambda found: f"{found[1]}{found[2]}\\u{ord(found[3]):04x}", text)
