"""A client of REDCap's API that exports one form of one record."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import httpx

from deployments.api.redcap.mapping import Mapping, subject_code
from deployments.strict_json import parse
from itp_events.errors import BadEvent, ItpError

# For the whole answer, however slowly it comes.
SECONDS = 20.0
# One form of one record, in all its events.
MOST_BYTES = 1024 * 1024
# Characters that a database or a terminal cannot take.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class RedcapSilent(ItpError):
    """REDCap does not answer, or refuses; the trigger is kept and can be repeated."""


@dataclass(frozen=True)
class Trigger:
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


@dataclass(frozen=True)
class Redcap:
    """One REDCap project: the address of its API and the token for it."""

    url: str
    token: str

    def export(self, trigger: Trigger, mapping: Mapping) -> dict[str, str]:
        """The form's fields, raw (codes, not labels), with the subject's code, which another form may hold.

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
            # Otherwise a field with a decimal comma comes with one.
            "decimalCharacter": ".",
            "records[0]": trigger.record,
            "forms[0]": trigger.instrument,
            "fields[0]": mapping.record_id,
        }
        if mapping.subject != mapping.record_id:
            asked["fields[1]"] = mapping.subject
        rows = self._ask(asked)
        codes = [code for row in rows if (code := subject_code(mapping, row))]
        row = _of(trigger, rows)
        return row if subject_code(mapping, row) or not codes else row | {mapping.subject: codes[0]}

    def _ask(self, asked: dict[str, str]) -> list[dict[str, str]]:
        try:
            status, answer = asyncio.run(asyncio.wait_for(_post(self.url, asked), SECONDS))
        except TimeoutError as error:
            raise RedcapSilent(f"REDCap does not answer within {SECONDS:g} s") from error
        except httpx.HTTPError as error:
            raise RedcapSilent(f"REDCap does not answer: {type(error).__name__}") from error
        # A server may repeat the request in its answer, which is kept and shown.
        answer = answer.replace(self.token.encode(), b"[the token]")
        if 300 <= status < 400:
            raise RedcapSilent(f"REDCap answers {status}, a redirect; see ITP_REDCAP_URL")
        if status != httpx.codes.OK:
            raise RedcapSilent(f"REDCap answers {status}: {_shown(answer)}".rstrip(": "))
        try:
            answered = parse(answer)
        except BadEvent as error:
            raise RedcapSilent(f"REDCap's answer cannot be read ({error}); see ITP_REDCAP_URL") from error
        return _rows(answered)


async def _post(url: str, asked: dict[str, str]) -> tuple[int, bytes]:
    """The status and the body of an answer that is neither too long nor compressed."""
    # A few compressed bytes can become any number of others.
    headers = {"Accept-Encoding": "identity"}
    async with (
        httpx.AsyncClient(timeout=SECONDS) as client,
        client.stream("POST", url, data=asked, headers=headers) as answer,
    ):
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise RedcapSilent("REDCap's answer is compressed, though it was asked not to be")
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) > MOST_BYTES:
                raise RedcapSilent(f"REDCap's answer is longer than {MOST_BYTES} bytes")
        return answer.status_code, bytes(body)


def _shown(answer: bytes) -> str:
    return _plain(" ".join(answer[:1000].decode(errors="replace").split()))[:200]


def _rows(answer: Any) -> list[dict[str, str]]:
    if not (isinstance(answer, list) and all(isinstance(row, dict) for row in answer)):
        raise RedcapSilent("REDCap's answer holds no records; see ITP_REDCAP_URL")
    if any(isinstance(value, dict | list) for row in answer for value in row.values()):
        raise RedcapSilent("REDCap's answer holds records of another kind than flat ones; see ITP_REDCAP_URL")
    return [
        {_plain(name): "" if value is None else _plain(str(value)) for name, value in row.items()}
        for row in answer
    ]


def _plain(text: str) -> str:
    return _CONTROL.sub("\ufffd", text)


def _of(trigger: Trigger, rows: list[dict[str, str]]) -> dict[str, str]:
    """The row of the saved form: REDCap exports one for each event and each repetition."""
    of_the_form = [
        row
        for row in rows
        if row.get("redcap_event_name", "") in ("", trigger.event)
        and (row.get("redcap_repeat_instrument") or "") in ("", trigger.instrument)
    ]
    # A form that does not repeat has no instance in the export, whatever the trigger says; the first of a
    # form that repeats has a row of its own beside the record's.
    for instance in (trigger.instance, *(("1", "") if trigger.instance in ("", "1") else ())):
        for row in of_the_form:
            if str(row.get("redcap_repeat_instance") or "") == instance:
                return row
    raise RedcapSilent(f"REDCap exports nothing for {trigger}")
