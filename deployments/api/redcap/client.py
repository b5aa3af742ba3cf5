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
        """The form's fields, raw (codes, not labels).

        Raises:
            RedcapSilent: no answer, a refusal, or no such record.
        """
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
        if trigger.event:
            asked["events[0]"] = trigger.event
        return self._of(trigger, self._ask(asked))

    def _ask(self, asked: dict[str, str]) -> list[dict[str, str]]:
        try:
            answer = httpx.post(self.url, data=asked, timeout=SECONDS)
        except httpx.HTTPError as error:
            raise RedcapSilent(f"REDCap does not answer: {type(error).__name__}") from error
        if answer.is_error:
            raise RedcapSilent(f"REDCap answers {answer.status_code}: {answer.text[:200]}")
        try:
            found: list[dict[str, str]] = answer.json()
        except ValueError as error:
            raise RedcapSilent("REDCap's answer is no JSON; see ITP_REDCAP_URL") from error
        return found

    def _of(self, trigger: Trigger, rows: list[dict[str, str]]) -> dict[str, str]:
        for row in rows:
            if str(row.get("redcap_repeat_instance") or "1") == (trigger.instance or "1"):
                return row
        raise RedcapSilent(f"REDCap exports nothing for {trigger}")
