"""One notice to one audience, and when it is of use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


def _always(_at: datetime) -> bool:
    return True


@dataclass(frozen=True)
class Row:
    """A notice: due at an instant, known from another on, and of use at some.

    `planned` is when a reminder would have been due, had what it hangs on been known: the later is the newer.
    """

    kind: str
    visit: str | None
    step: str
    audience: str
    due: datetime
    useful: Callable[[datetime], bool] = _always
    appears: datetime | None = None
    rank: int = 0
    repeat: int = 0
    planned: datetime | None = None

    @property
    def age(self) -> tuple[datetime, int]:
        """What tells the newer of two reminders."""
        return self.planned or self.due, self.rank

    @property
    def issued(self) -> datetime:
        """The instant at which the service would issue it."""
        return max(self.due, self.appears or self.due)

    def printed(self, due: datetime | None = None) -> dict[str, Any]:
        """The row as the plan prints it, its key aside; in a forecast due when it would be issued."""
        at = due or self.due
        return {
            "kind": self.kind,
            "visit": self.visit,
            "step": self.step,
            "audience": self.audience,
            "due": at.isoformat(timespec="seconds" if not at.microsecond else "auto").replace("+00:00", "Z"),
        }


REPEATS_SHOWN = 3


def due_by(rows: Sequence[Row], at: datetime) -> list[Row]:
    """What is due and of use at an instant, of a visit's reminders to one audience the newest."""
    due = [row for row in rows if row.issued <= at]
    return [row for row in due if row.useful(at) and not _superseded(row, due, at)]


def due_after(rows: Sequence[Row], at: datetime) -> list[Row]:
    """What will be due if nothing more is recorded; what repeats, up to the third time."""
    found = []
    for row in rows:
        if row.issued <= at or row.repeat > REPEATS_SHOWN or not row.useful(row.issued):
            continue
        if not _superseded(row, [each for each in rows if each.issued <= row.issued], row.issued):
            found.append(row)
    return found


def _superseded(row: Row, due: Sequence[Row], at: datetime) -> bool:
    return row.kind == "reminder" and any(
        each.kind == "reminder"
        and (each.visit, each.audience) == (row.visit, row.audience)
        and each.age > row.age
        for each in due
    )
