"""Links that lead back to the service: signed, those in notices valid for a time.

A link can be read by everybody who has it, and changed by nobody: subject code, visit, audience, the instant
at which it expires. The signature is HMAC-SHA256 under a key that stays with the service. The pages are in
`deployments.api.web`, the pictures in `deployments.api.routes.pictures`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote

from cryptography.fernet import Fernet, InvalidToken

from itp_events.errors import Forbidden, Refused
from itp_events.events import Language
from itp_events.notices.steps import Step
from itp_events.protocol.model import PARTICIPANT
from tasks.database.contents import OutboxContents
from tasks.database.queries import NoticeRow

# As long as an acknowledgement may reach; the next rung brings a link of its own.
VALID = timedelta(days=14)
# Steps that ask the investigator for a decision.
_TO_DECIDE = ("flag", "decision", "disposition")
# Each kind of link has a signature of its own: none can be made of another's.
_ACKNOWLEDGE, _PICTURE, _OPEN = b"acknowledge\n", b"picture\n", b"open\n"
# The service's own notice about a site as a whole, which leads to the page of the day.
_DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class Call:
    """The matter that a link in an escalation asks its recipient to acknowledge."""

    notice: str
    subject: str
    visit: str
    audience: str


@dataclass(frozen=True, slots=True)
class Matter:
    """The matter that a notice speaks of: the subject, the visit or adverse event if any, and its step."""

    subject: str
    visit: str | None
    step: str
    ae: str | None = None


@dataclass(frozen=True, slots=True)
class Appointment:
    """A visit of a subject on a site-local day, of which a reminder spoke in a language; None: the site's."""

    subject: str
    visit: str
    day: date
    language: Language | None = None


@dataclass(frozen=True)
class Links:
    """Makes links to the service's pages, which people reach at `base`, and reads them back."""

    base: str
    key: bytes

    def of_notice(self, notice: NoticeRow, now: datetime) -> str | None:
        """The address of the page that answers a notice, valid from `now` (UTC); None where there is no
        page.
        """
        if notice.audience == PARTICIPANT:
            return self._of_participant(notice)
        if notice.subject is None:
            return f"{self.base}/today" if notice.step == _DIGEST else None
        if notice.kind == "escalation" and notice.visit:
            call = Call(notice.key, notice.subject, notice.visit, notice.audience)
            return self.acknowledge(call, now + VALID)
        if Step.read(notice.step).family in _TO_DECIDE and notice.audience == "investigator":
            return self.decide(notice.subject, notice.facts.get("criterion"))
        return self.open(
            Matter(notice.subject, notice.visit, notice.step, notice.facts.get("ae")), now + VALID
        )

    def _of_participant(self, notice: NoticeRow) -> str | None:
        day = notice.facts.get("t")
        if notice.subject is None or notice.visit is None or day is None:
            return None
        about = Appointment(
            notice.subject, notice.visit, date.fromisoformat(day), notice.facts.get("language")
        )
        return self.answer(about)

    def answer(self, about: Appointment) -> str:
        """The address at which a subject answers a reminder.

        It is encrypted, since a subject's code may name the disease, and others may read the phone.
        """
        said = [about.subject, about.visit, about.day.isoformat(), about.language]
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
        return f"{self.base}/p/{self._sealed.encrypt(text).decode().rstrip('=')}"

    def read_appointment(self, sealed: str, now: datetime) -> Appointment:
        """The appointment of a link of `answer`, which holds to the end of the appointment's day anywhere.

        Raises:
            Refused: the link was not made here, was changed (rule `link`), or has expired (`link-expired`).
        """
        try:
            # As bytes: of a text with other letters than ASCII's Fernet raises an error of its own.
            text = self._sealed.decrypt((sealed + "=" * (-len(sealed) % 4)).encode("utf-8", "replace"))
        except InvalidToken as error:
            raise Refused("link", "this link is not one of this service's") from error
        subject, visit, day, language = json.loads(text)
        on = date.fromisoformat(day)
        if now > datetime.combine(on + timedelta(days=2), time.min, UTC):
            raise Refused("link-expired", "this link has expired")
        return Appointment(subject, visit, on, language)

    @cached_property
    def _sealed(self) -> Fernet:
        secret = hmac.digest(self.key, b"participant\n", hashlib.sha256)
        return Fernet(base64.urlsafe_b64encode(secret))

    def open(self, matter: Matter, expires: datetime) -> str:
        """The address of the page of what a notice speaks of, until the instant `expires` (UTC)."""
        said = [matter.subject, matter.visit, matter.step, matter.ae, int(expires.timestamp())]
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
        return f"{self.base}/n/{self._signed(_OPEN, text)}"

    def read_matter(self, signed: str, now: datetime) -> Matter:
        """The matter that a link of `open` carries.

        Raises:
            Refused: the link was not signed here, was changed, or has expired (rule `link-expired`).
        """
        subject, visit, step, ae = self._unexpired(self._read(_OPEN, signed), now)
        return Matter(subject, visit, step, ae)

    def acknowledge(self, call: Call, expires: datetime) -> str:
        """The address of the page on which a call is acknowledged, until the instant `expires` (UTC)."""
        return f"{self.base}/acknowledge/{self.sign(call, expires)}"

    def decide(self, subject: str, criterion: str | None = None) -> str:
        """The address of the page on which an investigator decides, after signing in."""
        about = f"?criterion={quote(criterion)}" if criterion else ""
        return f"{self.base}/s/{quote(subject)}/decide{about}"

    def sign(self, call: Call, expires: datetime) -> str:
        """The signed part of a link."""
        said = [call.notice, call.subject, call.visit, call.audience, int(expires.timestamp())]
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
        return self._signed(_ACKNOWLEDGE, text)

    def read(self, signed: str, now: datetime) -> Call:
        """The call that a link carries.

        Raises:
            Refused: the link was not signed here, was changed, or has expired (rule `link-expired`).
        """
        return Call(*self._unexpired(self._read(_ACKNOWLEDGE, signed), now))

    def _unexpired(self, text: bytes | None, now: datetime) -> list[Any]:
        """The values of a signed link, without the instant at which it expires."""
        if text is None:
            raise Refused("link", "this link is not one of this service's; open it from the message again")
        values: list[Any] = json.loads(text)
        *said, expires = values
        if now > datetime.fromtimestamp(expires, UTC):
            raise Refused("link-expired", "this link has expired; use the newest message about this visit")
        return said

    def picture(self, subject: str | None) -> str:
        """The address of a subject's timeline, or of everybody's lanes; it does not expire."""
        return f"{self.base}/pictures/{self._signed(_PICTURE, json.dumps(subject).encode())}"

    def read_picture(self, signed: str) -> str | None:
        """The subject whose timeline an address shows; None for everybody's lanes.

        Raises:
            Forbidden: the address was not signed here, or was changed.
        """
        text = self._read(_PICTURE, signed)
        if text is None:
            raise Forbidden("link", "this address is not one of this service's; open Prefect's page again")
        subject: str | None = json.loads(text)
        return subject

    def _signed(self, kind: bytes, text: bytes) -> str:
        return f"{_text(text)}.{_text(self._signature(kind, text))}"

    def _read(self, kind: bytes, signed: str) -> bytes | None:
        """The text that was signed as this kind of link; None when it was not, or was changed."""
        body, _, signature = signed.partition(".")
        text = _bytes(body)
        return text if hmac.compare_digest(self._signature(kind, text), _bytes(signature)) else None

    def _signature(self, kind: bytes, text: bytes) -> bytes:
        return hmac.digest(self.key, kind + text, hashlib.sha256)


def with_link(links: Links | None, notice: NoticeRow, now: datetime) -> OutboxContents:
    """The contents of a notice, with its link where there is one; `links` is None where no links are made."""
    link = links.of_notice(notice, now) if links else None
    return notice.facts | {"link": link} if link else notice.facts


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(value: str) -> bytes:
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
