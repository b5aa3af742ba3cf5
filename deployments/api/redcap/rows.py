"""The rows of a flat export: the one of a saved form, and the saved forms that the rows of a record hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deployments.api.redcap.mapping import Mapping, fields, subject_code
from itp_events.errors import ItpError

Row = dict[str, str]

# Characters that a database or a terminal cannot take.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class RedcapHasNone(ItpError):
    """REDCap answers that it has no such form, so that asking again gives nothing."""


@dataclass(frozen=True)
class SavedForm:
    """A saved form as a Data Entry Trigger names it: of a record, in an event, in an instance."""

    project: str
    record: str
    instrument: str
    event: str
    instance: str

    def __str__(self) -> str:
        """The form's name for people and in event ids."""
        return "/".join(
            part for part in (self.project, self.record, self.event, self.instrument, self.instance) if part
        )


def plain_rows(answer: Iterable[dict[str, Any]]) -> list[Row]:
    """The rows of an answer as texts that can be stored and shown."""
    return [
        {plain(name): "" if value is None else plain(str(value)) for name, value in row.items()}
        for row in answer
    ]


def plain(text: str) -> str:
    """A text without the characters that a database or a terminal cannot take."""
    return _CONTROL.sub("\ufffd", text)


def row_of(trigger: SavedForm, rows: list[Row], mapping: Mapping) -> Row:
    """The row of the saved form, with the subject's code, which another form of the record may hold.

    REDCap exports one row for each event and each repetition.

    Raises:
        RedcapHasNone: there is no such row.
    """
    # In a longitudinal project the subject's code often stands in the first event only.
    codes = [code for row in rows if (code := subject_code(mapping, row))]
    row = _of(trigger, rows)
    return row if subject_code(mapping, row) or not codes else row | {mapping.subject: codes[0]}


def _of(trigger: SavedForm, rows: list[Row]) -> Row:
    of_the_form = [
        row
        for row in rows
        if row.get("redcap_event_name", "") in ("", trigger.event)
        and row.get("redcap_repeat_instrument", "") in ("", trigger.instrument)
    ]
    # A form that does not repeat has no instance in the export, whatever the trigger says; the first of a
    # form that repeats has a row of its own beside the record's.
    for instance in (trigger.instance, *(("1", "") if trigger.instance in ("", "1") else ())):
        for row in of_the_form:
            if row.get("redcap_repeat_instance", "") == instance:
                return row
    raise RedcapHasNone(_nothing(trigger, rows))


def _nothing(trigger: SavedForm, rows: list[Row]) -> str:
    if rows:
        return f"REDCap has no form {trigger}: its event or its repetition was deleted"
    return (
        f"REDCap has no record {trigger.record} for this API user: it was deleted or renamed, or is in "
        "another data access group"
    )


def saved_forms(project: str, record: str, rows: list[Row], mapping: Mapping) -> Iterator[SavedForm]:
    """The forms of one record that were ever saved, of those that the mapping knows."""
    for row in rows:
        repeating, event = row.get("redcap_repeat_instrument", ""), row.get("redcap_event_name", "")
        for name in mapping.instruments:
            if repeating in ("", name) and _was_saved(name, row, mapping):
                yield SavedForm(project, record, name, event, row.get("redcap_repeat_instance", ""))


def _was_saved(name: str, row: Row, mapping: Mapping) -> bool:
    """Whether a row holds something of a form; REDCap may give the status 0 to one that nobody opened."""
    status = row.get(f"{name}_complete", "")
    own = (field for field in fields(mapping, name) if field not in (mapping.subject, f"{name}_complete"))
    return status not in ("", "0") or any(row.get(field, "") not in ("", "0") for field in own)
