"""Links in notices that lead back to the service: signed, and valid for a time.

A link can be read by everybody who has it, and changed by nobody: subject code, visit, audience, the instant
at which it expires. The signature is HMAC-SHA256 under a key that stays with the service. The pages are in
`deployments.api.pages`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from itp_events.errors import Refused
from itp_events.notices.steps import Step
from tasks.database.contents import OutboxContents
from tasks.database.queries import NoticeRow

# As long as an acknowledgement may reach; the next rung brings a link of its own.
VALID = timedelta(days=14)
# Steps that ask the investigator for a decision.
_TO_DECIDE = ("flag", "decision", "disposition")


@dataclass(frozen=True, slots=True)
class Call:
    """The matter that a link in an escalation asks its recipient to acknowledge."""

    notice: str
    subject: str
    visit: str
    audience: str


@dataclass(frozen=True)
class Links:
    """Makes links to the service's pages, which people reach at `base`, and reads them back."""

    base: str
    key: bytes

    def of_notice(self, notice: NoticeRow, now: datetime) -> str | None:
        """The address of the page that answers a notice, valid from `now` (UTC); None where there is no
        page.
        """
        if notice.subject is None:
            return None
        if notice.kind == "escalation" and notice.visit:
            call = Call(notice.key, notice.subject, notice.visit, notice.audience)
            return self.acknowledge(call, now + VALID)
        if Step.read(notice.step).family in _TO_DECIDE:
            return self.decide(notice.subject, notice.facts.get("criterion"))
        return None

    def acknowledge(self, call: Call, expires: datetime) -> str:
        """The address of the page on which a call is acknowledged, until the instant `expires` (UTC)."""
        return f"{self.base}/acknowledge/{self.sign(call, expires)}"

    def decide(self, subject: str, criterion: str | None = None) -> str:
        """The address of the page on which an investigator decides; the page asks for a token."""
        about = f"?criterion={quote(criterion)}" if criterion else ""
        return f"{self.base}/decide/{quote(subject)}{about}"

    def sign(self, call: Call, expires: datetime) -> str:
        """The signed part of a link."""
        said = [call.notice, call.subject, call.visit, call.audience, int(expires.timestamp())]
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
        return f"{_text(text)}.{_text(self._signature(text))}"

    def read(self, signed: str, now: datetime) -> Call:
        """The call that a link carries.

        Raises:
            Refused: the link was not signed here, was changed, or has expired (rule `link-expired`).
        """
        body, _, signature = signed.partition(".")
        text = _bytes(body)
        if not hmac.compare_digest(self._signature(text), _bytes(signature)):
            raise Refused("link", "this link is not one of this service's; open it from the message again")
        *call, expires = json.loads(text)
        if now > datetime.fromtimestamp(expires, UTC):
            raise Refused("link-expired", "this link has expired; use the newest message about this visit")
        return Call(*call)

    def _signature(self, text: bytes) -> bytes:
        return hmac.digest(self.key, b"acknowledge\n" + text, hashlib.sha256)


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
