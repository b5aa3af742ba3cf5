"""The keys of the service's own decisions: how they are built, and the one place in which they are read back.

This module does not say which decisions are due. A key is a public contract: it stays to the letter.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import quote

from itp_events.events import OWN_SOURCE, EventKey

# The service's own ids fit the field that holds other ids. A count of repetitions and a mark ("~void") come
# on top. A longer key is cut, and a hash of the whole key names what was cut.
LONGEST_KEY = 200
_HEAD = 120
# The service puts a mark behind a key to name another decision about it. No key may end like a mark by
# itself.
_LIKE_A_MARK = re.compile(r"~(?=(?:void|superseded|[0-9]+)$)")
_UNRECORDED = re.compile(r"[^/]+/([^/]+)/(missed|silent)/.+")


class Unrecorded(NamedTuple):
    """A visit of which nothing was recorded in time.

    `how` is "missed" when the service counts the visit as missed, and "silent" when its window has been
    closed for long.
    """

    visit: str
    how: Literal["missed", "silent"]


def missed_key(subject: str, visit: str, target: date) -> EventKey:
    """The identity of the service's own statement that a visit was missed; `target` is local to the site."""
    return OWN_SOURCE, bounded(f"{subject}/{visit}/missed/{target}")


def silent_key(subject: str, visit: str, target: date) -> EventKey:
    """The identity by which a flag names a visit with nothing recorded; `target` is local to the site."""
    return OWN_SOURCE, f"{subject}/{visit}/silent/{target}"


def unrecorded(key: EventKey) -> Unrecorded | None:
    """The visit that `missed_key` or `silent_key` was built from; None for the identity of any other event.

    A flag in the log holds no more than this identity, so that it is read back here.
    """
    parts = _UNRECORDED.fullmatch(key[1]) if key[0] == OWN_SOURCE else None
    return Unrecorded(parts[1], "missed" if parts[2] == "missed" else "silent") if parts else None


def day_of(key: str) -> date | None:
    """The site-local date in which a notice's stable key ends; None for a key that ends in no date.

    Notices in the log hold this date in their key only, so that it is read back here.
    """
    try:
        return date.fromisoformat(key.rpartition("/")[2])
    except ValueError:
        return None


@lru_cache(maxsize=16384)
def stable(key: str) -> str:
    """The stable key of an outbox key or of a decision's id: the key without its count of repetitions."""
    return bounded(key.partition("#")[0])


def next_key(key: str) -> str:
    """The outbox key under which a notice is issued once more: `a/b` is followed by `a/b#2`, then `a/b#3`."""
    count = int(key.partition("#")[2] or 1)
    return f"{stable(key)}#{count + 1}"


def previous_key(key: str) -> str | None:
    """The outbox key that `next_key` turned into this one; None for the first of its notice."""
    count = int(key.partition("#")[2] or 1)
    if count == 1:
        return None
    return stable(key) if count == 2 else f"{stable(key)}#{count - 1}"


def about(key: str) -> str:
    """The last part of a notice's key: the name of an event, as `named` gives it, or a date."""
    return stable(key).rpartition("/")[2]


def decision_id(key: str, mark: str | int) -> str:
    """The id of a decision about a notice or about an earlier decision: its key, bounded, with the mark."""
    head, count, number = key.partition("#")
    return f"{bounded(head)}{count}{number}~{mark}"


@lru_cache(maxsize=4096)
def bounded(key: str) -> str:
    """The key itself when it has at most 200 characters, else its beginning and its hash.

    A short last part, such as a date, stays. A log may hold keys from before keys were bounded: the same is
    done with every key that is read, so that an old key means what it meant.
    """
    if "~" in key:
        key = _LIKE_A_MARK.sub("%7E", key)
    if len(key) <= LONGEST_KEY:
        return key
    head, _, last = key.rpartition("/")
    # No event's name looks like this: an event's name holds a colon.
    digest = f"sha256-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    kept = [last] if len(last) < len(digest) else []
    return "/".join([head[:_HEAD], digest, *kept])


@lru_cache(maxsize=4096)
def named(key: EventKey) -> str:
    """An event's source and id as one part of a key, escaped so that no id can imitate another key."""
    return ":".join(quote(part, safe="") for part in key)
