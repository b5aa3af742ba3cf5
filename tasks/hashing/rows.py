"""The hash of a row as it is stored, and of a row that follows another.

A hash is the SHA-256 of a text of three lines in UTF-8: the table's name, the hash of the row before (empty
for none), and the row as a JSON object. The object has the row's columns by name in sorted order, without
those that are null, and without spaces. So a column that a later version adds changes no earlier hash, as
long as it is null in the earlier rows. Every hash begins with the version of this form, `1:`.

The values are those of an archive: instants as UTC text of one width, dates as YYYY-MM-DD, JSON as the text
that is stored, truth as true and false.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

VERSION = "1:"
NOTHING_BEFORE = ""

Row = Mapping[str, object]


def hash_of(table: str, row: Row, before: str = NOTHING_BEFORE) -> str:
    """The hash of a row of a table; `before` is the hash of the row that it follows in a chain."""
    text = f"{table}\n{before}\n{canonical(row)}"
    # A damaged text may hold half a letter; its row has a hash too, which is not the one of the whole text.
    return VERSION + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def canonical(row: Row) -> str:
    """The row as JSON, in the one form that is hashed."""
    told = {name: value for name, value in row.items() if value is not None}
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=repr)


def chained(table: str, rows: Sequence[Row], before: str) -> Iterator[str]:
    """The hash of each of several rows that follow each other, the first one after `before`."""
    for row in rows:
        before = hash_of(table, row, before)
        yield before


def text_hash(text: str) -> str:
    """The hash of a text: the SHA-256 of its bytes in UTF-8."""
    return VERSION + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
