"""The check of a chain: its rows have numbers without a gap, and each has the hash after the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tasks.archive.rows import Row
from tasks.hashing.rows import NOTHING_BEFORE, hash_of

CHANGED = "is not what was recorded"


@dataclass
class Chain:
    """A chain that is being read; `last` and `head` are its end so far."""

    table: str
    number: str
    last: Any = 0
    head: str = NOTHING_BEFORE
    # The hashes after which the next row may come: the one that is stored, and where that is wrong the one
    # that ought to be. So a hash that was changed is found in its own row alone. Empty after a gap.
    _before: set[str] = field(default_factory=lambda: {NOTHING_BEFORE})

    def check(self, rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
        """The flaws of the rows, in order: the numbers of the rows, and what is wrong with them."""
        for row in rows:
            yield from self._flaws(row)

    def _flaws(self, row: Row) -> Iterator[tuple[str, str]]:
        number, stored = row[self.number], row["hash"]
        said = {name: value for name, value in row.items() if name != "hash"}
        if number != self.last + 1:
            yield from self.missing(number)
            self._before = set()
        ought = {hash_of(self.table, said, before) for before in self._before}
        if stored not in ought and ought:
            yield f"row {number}", CHANGED
        self._before = ought | {str(stored)}
        self.last, self.head = number if isinstance(number, int) else self.last + 1, str(stored)

    def missing(self, until: Any) -> Iterator[tuple[str, str]]:
        """The rows that are missing before a number."""
        if not isinstance(until, int) or until <= self.last:
            yield f"row {until}", "has no number that follows the one before"
        elif until == self.last + 2:
            yield f"row {self.last + 1}", "is missing"
        else:
            yield f"rows {self.last + 1} to {until - 1}", "are missing"
