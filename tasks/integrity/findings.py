"""One finding of a verification: which row of which table, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.database.register import BETWEEN


@dataclass(frozen=True, slots=True)
class Finding:
    """A row, or a trigger, that is not what was recorded; `row` names it within its table."""

    table: str
    row: str
    said: str
    subject: str | None = None

    def __str__(self) -> str:
        """The finding as one line."""
        about = f"{self.subject}, " if self.subject and self.subject != self.row else ""
        where = f"{about}{self.row.replace(BETWEEN, ' ')}"
        line = f"{self.table}, {where}: {self.said}" if where else f"{self.table}: {self.said}"
        return "".join(letter if letter.isprintable() else "?" for letter in line)
