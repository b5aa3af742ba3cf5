"""REDCap's API, as far as it is needed: exporting one form of one record."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from itp_events.errors import ItpError

SECONDS = 20.0


class RedcapSilent(ItpError):
    """REDCap does not answer, or refuses; the trigger is kept and can be repeated."""


@dataclass(frozen=True)
class Trigger:
    """What a Data Entry Trigger says was saved: a form of a record, in an event, in an instance."""

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


@dataclass(frozen=True)
class Redcap:
    """One REDCap project: the address of its API and the token for it."""

    url: str
    token: str

    def export(self, trigger: Trigger, record_id: str, subject: str) -> dict[str, str]:
        """The form's fields, raw (codes, not labels), and the subject's code of whichever form holds it.

        Raises:
            RedcapSilent: no answer, a refusal, or no such record.
        """
        # Of all events: in a longitudinal project the subject's code often stands in the first one only.
        asked = {
            "token": self.token,
            "content": "record",
            "action": "export",
            "format": "json",
            "type": "flat",
            "rawOrLabel": "raw",
            "records[0]": trigger.record,
            "forms[0]": trigger.instrument,
            "fields[0]": record_id,
        }
        if subject != record_id:
            asked["fields[1]"] = subject
        rows = self._ask(asked)
        codes = [row[subject] for row in rows if str(row.get(subject) or "").strip()]
        row = _of(trigger, rows)
        return row if str(row.get(subject) or "").strip() or not codes else row | {subject: codes[0]}

    def _ask(self, asked: dict[str, str]) -> list[dict[str, str]]:
        try:
            answer = httpx.post(self.url, data=asked, timeout=SECONDS)
        except httpx.HTTPError as error:
            raise RedcapSilent(f"REDCap does not answer: {type(error).__name__}") from error
        if answer.is_error:
            raise RedcapSilent(f"REDCap answers {answer.status_code}: {answer.text[:200]}")
        try:
            found = answer.json()
        except ValueError as error:
            raise RedcapSilent("REDCap's answer is no JSON; see ITP_REDCAP_URL") from error
        if not (isinstance(found, list) and all(isinstance(row, dict) for row in found)):
            raise RedcapSilent("REDCap's answer holds no records; see ITP_REDCAP_URL")
        return found


def _of(trigger: Trigger, rows: list[dict[str, str]]) -> dict[str, str]:
    """The row of the form that was saved: REDCap exports one for each event and each repetition."""
    mine = [
        row
        for row in rows
        if row.get("redcap_event_name", "") in ("", trigger.event)
        and (row.get("redcap_repeat_instrument") or "") in ("", trigger.instrument)
    ]
    # A form that does not repeat has no instance in the export, whatever the trigger says; the first of a
    # form that repeats has a row of its own beside the record's.
    for instance in (trigger.instance, *(("1", "") if trigger.instance in ("", "1") else ())):
        for row in mine:
            if str(row.get("redcap_repeat_instance") or "") == instance:
                return row
    raise RedcapSilent(f"REDCap exports nothing for {trigger}")
