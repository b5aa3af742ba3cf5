"""Takes the meaning out of mark-up in messages to chats: no mention, no foreign link, no hidden text.

The service writes plain text, and mail and machines get it as it is. Chats read mark-up in it, each its own
kind. So for every other channel the characters that begin mark-up are replaced by others that look alike, or
parted by a space of no width.
"""

from __future__ import annotations

import re
from typing import Any

from apprise import NotifyBase, NotifyFormat

# Channels that show plain text as plain text, or get it as HTML that Apprise escapes.
_MAIL = frozenset(
    {
        *("mailto", "brevo", "mailersend", "mailgun", "azure", "o365", "postmark", "resend", "sendgrid"),
        *("sendpulse", "ses", "smtp2go", "sparkpost"),
    }
)
_VERBATIM = _MAIL | {"json", "xml", "form", "syslog", "rsyslog"}
_NO_WIDTH = "\u200b"
_ALIKE = str.maketrans({"<": "‹", ">": "›", "`": "'", "*": "∗", "~": "∼", "|": "¦", "@": f"@{_NO_WIDTH}"})
_EMPHASIS = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_LINK = re.compile(r"\](?=[(\[:])")


def fit(text: str, server: NotifyBase, links: str = "") -> str:
    """The text as it may be sent through a channel; addresses that begin with `links` are the service's
    own.
    """
    if _is_verbatim(server):
        return text
    if not links:
        return _neutral(text)
    parts = re.split(rf"({re.escape(links)}/\S*)", text)
    return "".join(part if number % 2 else _neutral(part) for number, part in enumerate(parts))


def is_mail(server: NotifyBase) -> bool:
    """Whether the channel is mail that may be HTML: unless its URL asks for another format."""
    in_html = server.resolve_format(NotifyFormat.HTML) == NotifyFormat.HTML
    return in_html and not _MAIL.isdisjoint(_schemes(server))


def _neutral(text: str) -> str:
    parted = _LINK.sub(f"]{_NO_WIDTH}", text.translate(_ALIKE))
    return _EMPHASIS.sub(lambda match: "ˍ" * len(match[0]), parted)


def _is_verbatim(server: NotifyBase) -> bool:
    shown_as = server.resolve_format(NotifyFormat.TEXT)
    return not _VERBATIM.isdisjoint(_schemes(server)) and shown_as != NotifyFormat.MARKDOWN


def _schemes(server: Any) -> set[str]:
    """The schemes of the channel's URLs; a plugin names none, one, or several of each kind.

    They are the class's: one plugin keeps a number of its own under the same name.
    """
    named = (type(server).protocol, type(server).secure_protocol)
    return {scheme for each in named for scheme in ((each,) if isinstance(each, str) else each or ())}
