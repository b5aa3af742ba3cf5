"""The names of recipients: what people read in place of an address, which would show a phone's number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from apprise import NotifyBase

from itp_events.protocol.model import PARTICIPANT
from tasks.database.labels import MARK
from tasks.delivery.providers import Provider, provider

# A subject's own recipient is tagged with this and the subject's code.
OF_SUBJECT = f"{PARTICIPANT}-"
# A plugin that nobody has looked through: its `targets` are people, as nearly everywhere.
UNKNOWN = Provider("", people=("targets",))
# The parts of an Apprise URL; shorter ones are no secrets.
_PARTS = re.compile(r"[/?&=@:,]+")
_SECRET_FROM = 5
# What the number of a phone or the address of a mailbox has.
_OF_ADDRESSES = re.compile(r"[\d@]")


def name_of(server: NotifyBase, tags: Iterable[str], fingerprint: str = "") -> str:
    """The name of a recipient: its tags, the provider, and the beginning of its fingerprint.

    A subject's own recipient is called by its tag alone.
    """
    known = sorted(tags)
    own = next((tag for tag in known if tag.startswith(OF_SUBJECT)), None)
    if own is not None:
        return own
    parts = (str(server.service_name), fingerprint[:MARK])
    return f"{', '.join(known) or '(no tag)'} ({' '.join(filter(None, parts))})"


def unspoken(text: str, server: NotifyBase) -> str:
    """The text without the secrets of a server's URL, and without the numbers and addresses it reaches."""
    shown = unquote(address(server, privacy=True))
    reached = set(_reached(server))
    parts = {unquote(each) for each in _PARTS.split(address(server, privacy=False))} | reached
    # The longest first: a short one may be a part of it.
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SECRET_FROM and (part in reached or part not in shown):
            text = text.replace(part, "***")
    return text


def address(server: Any, *, privacy: bool) -> str:
    """The Apprise URL of a server; with `privacy` its secrets are masked, and whom it reaches is not."""
    return str(server.url(privacy=privacy))


def entries(server: NotifyBase, name: str) -> list[Any]:
    """The entries of a list of a plugin; the name `targets.emails` is that of a list inside a dictionary."""
    held = listed(server, name)
    if isinstance(held, dict):
        return list(held.items())
    return list(held) if isinstance(held, list | tuple | set | frozenset) else []


def listed(server: NotifyBase, name: str) -> Any:
    """A list of a plugin, as the plugin keeps it."""
    name, _, key = name.partition(".")
    held = getattr(server, name, None)
    return held.get(key) if key and isinstance(held, dict) else held


def _reached(server: NotifyBase) -> Iterator[str]:
    """The numbers and addresses that a server reaches, each with and without the plus of a country's code."""
    for name in (provider(server) or UNKNOWN).people:
        for entry in entries(server, name):
            for part in map(str, entry if isinstance(entry, tuple) else (entry,)):
                # Words such as `device` stay: a provider's answer would lose its meaning with them.
                if _OF_ADDRESSES.search(part):
                    yield from (part, part.removeprefix("+"))
