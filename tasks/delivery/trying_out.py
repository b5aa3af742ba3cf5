"""Sends a marked test to recipients, side by side, and tells what each provider answered.

Nothing of it is recorded: a test is no notice of the study.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from itp_events.errors import BadInput
from itp_events.protocol.model import Protocol
from tasks.delivery.channels import AUDIENCES, Channels, Recipient, tells
from tasks.delivery.sending import Message, Outcome, all_at_once, send
from tasks.text.trying_out import test_message


@dataclass(frozen=True, slots=True)
class Tried:
    """The outcome of a test to one recipient: its audiences, and how many seconds the answer took."""

    recipient: Recipient
    audiences: tuple[str, ...]
    outcome: Outcome
    seconds: float


def recipients_of(channels: Channels, protocol: Protocol, named: str | None) -> list[Recipient]:
    """The configured recipients of an audience, or with its site's code of that site; with None all.

    Raises:
        BadInput: there is no such audience or site.
    """
    if named is None:
        # Subjects are not disturbed by a test.
        return [each for each in channels.configured if _audiences(each) and not each.is_participant]
    audience, site = _split(named, protocol)
    return [each for each in channels.of(audience, site) if not each.is_console]


def _split(named: str, protocol: Protocol) -> tuple[str, str | None]:
    wanted = named.strip().lower()
    for audience in AUDIENCES:
        site = wanted.removeprefix(f"{audience}-") if wanted.startswith(f"{audience}-") else None
        if wanted == audience or site:
            return audience, _site(site, protocol) if site else None
    raise BadInput(f"there is no audience {named}; name one of {', '.join(AUDIENCES)}", "AUDIENCE")


def _site(code: str, protocol: Protocol) -> str:
    known = {each.lower(): each for each in protocol.sites}
    # Any code is a site, by the rules of `default`; it is asked for as people write it.
    return known.get(code, code)


def try_out(
    channels: Channels, protocol: Protocol, recipients: Sequence[Recipient], place: str
) -> Iterator[Tried]:
    """Send a test to each recipient, and yield the outcomes as they come, within 30 s.

    `place` names the machine that sends, for the readers.
    """
    for ended in all_at_once(recipients, lambda each: _send(channels, protocol, each, place)):
        yield Tried(ended.item, _audiences(ended.item), ended.outcome, ended.seconds)


def _send(channels: Channels, protocol: Protocol, recipient: Recipient, place: str) -> Outcome:
    audiences = _audiences(recipient)
    language = protocol.site(_site_of(audiences)).language
    base = channels.links.base if channels.links else ""
    title, body = test_message(language, protocol.id, audiences, place, f"{base}/healthz")
    return send(recipient, Message(title, body, links=base, language=language), channels.out)


def _audiences(recipient: Recipient) -> tuple[str, ...]:
    return tuple(sorted(tag for tag in recipient.tags if any(tells(tag, each) for each in AUDIENCES)))


def _site_of(audiences: Sequence[str]) -> str:
    """The one site of which a recipient is told; `default` where there are several or none."""
    behind = ((tag, f"{each}-") for tag in audiences for each in AUDIENCES)
    codes = {tag.removeprefix(begin) for tag, begin in behind if tag.startswith(begin)}
    return codes.pop() if len(codes) == 1 and not set(audiences) & {*AUDIENCES, "always"} else "default"
