"""A client of REDCap's API: it exports records, the log, and what there is to know of the project.

It asks only when the gate lets it, and tells the gate what became of each request.
"""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from deployments.api.redcap.gate import REQUEST_SECONDS, Gate, OpenGate
from deployments.api.redcap.mapping import Mapping, fields
from deployments.api.redcap.rows import Row, SavedForm, plain, plain_rows, row_of
from deployments.api.redcap.trouble import RedcapRefuses, RedcapSilent, RedcapTooLong, RedcapUnsuited
from deployments.strict_json import parse
from itp_events.errors import BadEvent
from tasks.tls import trusted

# For the whole answer, however slowly it comes.
SECONDS = REQUEST_SECONDS
# One form of one record, in all its events.
MOST_BYTES = 1024 * 1024
# Several records with all their forms, or a piece of the log.
MOST_BYTES_OF_MANY = 8 * MOST_BYTES
# REDCap tells an address that it has banned so in plain text, with status 200.
_BANNED = re.compile(r"\bIP\b.{0,60}\b(banned|blocked)\b|too many requests|rate limit", re.IGNORECASE)
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True)
class Redcap:
    """One REDCap project: the address of its API and the token for it."""

    url: str
    token: str
    gate: Gate = field(default_factory=OpenGate, compare=False)

    def export(self, trigger: SavedForm, mapping: Mapping, *, background: bool = False) -> Row:
        """The form's fields, raw (codes, not labels), with the subject's code, which another form may hold.

        Raises:
            RedcapHasNone: there is no such form, and asking again gives none.
            RedcapSilent: no answer, a refusal, or an answer that cannot be used.
        """
        rows = self.records([trigger.record], [trigger.instrument], mapping, background=background)
        return row_of(trigger, rows, mapping)

    def has_record(self, name: str, mapping: Mapping) -> bool:
        """Whether this API user is given a record of that name; raises as `export` does."""
        return bool(self.records([name], [], mapping))

    def records(
        self,
        names: Sequence[str],
        forms: Sequence[str],
        mapping: Mapping,
        *,
        background: bool = False,
    ) -> list[Row]:
        """The rows of records, of all for no names, with the columns of whole forms and of the fields mapped.

        Raises:
            RedcapSilent: no answer, a refusal, or an answer that cannot be used.
        """
        mapped = (each for form in forms if form in mapping.instruments for each in fields(mapping, form))
        wanted = dict.fromkeys((mapping.record_id, mapping.subject, *(_asked_as(each) for each in mapped)))
        statuses = {f"{form}_complete" for form in forms}
        asked = {
            "content": "record",
            "action": "export",
            "type": "flat",
            "rawOrLabel": "raw",
            # Otherwise a field with a decimal comma comes with one.
            "decimalCharacter": ".",
            # Otherwise a form that nobody ever saved comes as one that is incomplete.
            "exportBlankForGrayFormStatus": "true",
            **_listed("records", names),
            **_listed("forms", forms),
            **_listed("fields", [each for each in wanted if each not in statuses]),
        }
        is_one = len(names) == 1 and len(forms) <= 1
        return self._rows(asked, MOST_BYTES if is_one else MOST_BYTES_OF_MANY, background=background)

    def log(self, begin: str, end: str) -> list[Row]:
        """The lines of the log about records, from `begin` to `end`: texts in the server's own time.

        Raises:
            RedcapSilent: no answer, a refusal, or an answer that cannot be used.
        """
        asked = {"content": "log", "logtype": "record", "beginTime": begin, "endTime": end}
        return self._rows(asked, MOST_BYTES_OF_MANY, background=True)

    def project(self) -> Row:
        """The settings of the project; raises as `log` does."""
        answer = self._ask({"content": "project"}, MOST_BYTES, background=True)
        if not isinstance(answer, dict):
            raise RedcapUnsuited("REDCap's answer does not describe a project; see ITP_REDCAP_URL")
        return plain_rows([answer])[0]

    def _rows(self, asked: dict[str, str], most: int, *, background: bool) -> list[Row]:
        answer = self._ask(asked, most, background=background)
        if not (isinstance(answer, list) and all(isinstance(row, dict) for row in answer)):
            raise RedcapUnsuited("REDCap's answer holds no records; see ITP_REDCAP_URL")
        if any(isinstance(value, dict | list) for row in answer for value in row.values()):
            raise RedcapUnsuited(
                "REDCap's answer holds records of another kind than flat ones; see ITP_REDCAP_URL"
            )
        return plain_rows(answer)

    def _ask(self, asked: dict[str, str], most: int, *, background: bool) -> Any:
        about = asked["content"]
        place = self.gate.enter(about, background=background)
        try:
            answer = self._answered(asked | {"token": self.token, "format": "json"}, most)
        except RedcapRefuses as error:
            self.gate.refused(place, error)
            raise
        except RedcapSilent:
            self.gate.unanswered(place)
            raise
        self.gate.answered(place)
        return answer

    def _answered(self, asked: dict[str, str], most: int) -> Any:
        try:
            status, headers, answer = asyncio.run(asyncio.wait_for(_post(self.url, asked, most), SECONDS))
        except TimeoutError as error:
            raise RedcapSilent(f"REDCap does not answer within {SECONDS:g} s") from error
        except httpx.HTTPError as error:
            raise RedcapSilent(f"REDCap does not answer: {type(error).__name__}") from error
        # A server may repeat the request in its answer, which is kept and shown.
        answer = answer.replace(self.token.encode(), b"[the token]")
        _check(status, headers, answer)
        try:
            return parse(answer, "it")
        except BadEvent as error:
            raise RedcapSilent(_unreadable(answer, error)) from error


def _check(status: int, headers: httpx.Headers, answer: bytes) -> None:
    said = f"REDCap answers {status}: {_shown(answer)}".rstrip(": ")
    if not _is_given(status, answer) and _BANNED.search(_shown(answer)):
        raise RedcapRefuses(said, of_address=True, seconds=_seconds(headers))
    if status in _REFUSALS:
        is_rate = status == HTTPStatus.TOO_MANY_REQUESTS
        raise RedcapRefuses(said, of_address=is_rate, seconds=_seconds(headers))
    if status == HTTPStatus.BAD_REQUEST:
        raise RedcapUnsuited(said)
    if 300 <= status < 400:
        raise RedcapSilent(f"REDCap answers {status}, a redirect; see ITP_REDCAP_URL")
    if status != HTTPStatus.OK:
        raise RedcapSilent(said)


def _is_given(status: int, answer: bytes) -> bool:
    """Whether an answer begins as what was asked for, in whose texts a ban may be spoken of."""
    begins = answer.removeprefix(codecs.BOM_UTF8).lstrip()
    return status == HTTPStatus.OK and begins[:1] in (b"[", b"{") and not begins.startswith(b'{"error"')


def _unreadable(answer: bytes, error: BadEvent) -> str:
    if answer.lstrip()[:1] == b"<":
        return "REDCap answers with a page and no JSON: it is offline, or see ITP_REDCAP_URL"
    return f"REDCap's answer is no JSON that can be read ({error}); see ITP_REDCAP_URL"


def _seconds(headers: httpx.Headers) -> float:
    """The seconds for which a server asks to be left alone; 0 when it does not say, or names a date."""
    given = headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdecimal() and len(given) < 6 else 0.0


async def _post(url: str, asked: dict[str, str], most: int) -> tuple[int, httpx.Headers, bytes]:
    """The status, headers and body of an answer that is neither too long nor compressed."""
    # A few compressed bytes can become any number of others.
    headers = {"Accept-Encoding": "identity"}
    async with (
        httpx.AsyncClient(timeout=SECONDS, verify=trusted()) as client,
        client.stream("POST", url, data=asked, headers=headers) as answer,
    ):
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise RedcapSilent("REDCap's answer is compressed, though it was asked not to be")
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) > most:
                raise RedcapTooLong(f"REDCap's answer is longer than {most} bytes")
        return answer.status_code, answer.headers, bytes(body)


def _listed(name: str, values: Iterable[str]) -> dict[str, str]:
    return {f"{name}[{number}]": value for number, value in enumerate(values)}


def _asked_as(column: str) -> str:
    """The field of a column: a checkbox is asked for whole."""
    return column.partition("___")[0]


def _shown(answer: bytes) -> str:
    return plain(" ".join(answer[:1000].decode(errors="replace").split()))[:200]
