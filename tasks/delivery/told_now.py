"""Reads who is told now, in one query: the recipients that stand, and the roster.

A claim asks for both in its transaction, and a statement costs more than the rows it reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from itp_events.duty.changes import Entry, read_change
from itp_events.duty.roster import Roster, roster
from tasks.database.compiled import Compiled, Question, Row
from tasks.database.schema import accounts, duty_changes, recipients

_RECIPIENTS, _CHANGE, _INACTIVE = "recipients", "change", "inactive"


@dataclass(frozen=True, slots=True)
class ToldNow:
    """The fingerprint of the recipients that stand, None before the first service has run; the roster."""

    fingerprint: str | None
    roster: Roster


def _lines(what: str, number: sa.ColumnElement[int], text: sa.ColumnElement[str]) -> sa.Select[Any, int, str]:
    return sa.select(sa.literal_column(f"'{what}'").label("what"), number.label("number"), text.label("text"))


_NONE = sa.literal_column("0", sa.Integer)
_ASKED = Compiled(
    sa.union_all(
        _lines(_RECIPIENTS, _NONE, recipients.c.fingerprint),
        _lines(_CHANGE, duty_changes.c.id, sa.cast(duty_changes.c.body, sa.Text)),
        _lines(_INACTIVE, _NONE, accounts.c.code).where(~accounts.c.active),
    )
)


ASKED: Question = _ASKED, {}
"""The question who is told now."""


def read(connection: sa.Connection) -> ToldNow:
    """The recipients that stand and the roster, as the transaction sees them."""
    return told_by(_ASKED.ask(connection, {}))


def told_by(lines: Sequence[Row]) -> ToldNow:
    """The recipients and the roster in the rows of the question."""
    changes = tuple(sorted((line["number"], line["text"]) for line in lines if line["what"] == _CHANGE))
    inactive = frozenset(line["text"] for line in lines if line["what"] == _INACTIVE)
    standing = next((line["text"] for line in lines if line["what"] == _RECIPIENTS), None)
    return ToldNow(standing, _roster(changes, inactive) if changes else Roster())


# A change is never edited, so the same changes give the same roster.
@lru_cache(maxsize=4)
def _roster(changes: tuple[tuple[int, str], ...], inactive: frozenset[str]) -> Roster:
    return roster([Entry(number, read_change(json.loads(text))) for number, text in changes], inactive)
