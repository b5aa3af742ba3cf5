"""Checks of a protocol version against the versions installed beside it.

This module reads no file. A subject may follow several versions one after the other, so that its plan holds
visits of each: what they have in common must stand in one order and in one epoch.
"""

from __future__ import annotations

from collections.abc import Iterable

from itp_events.protocol.model import Protocol


def unfit(new: Protocol, installed: Iterable[Protocol]) -> str | None:
    """The reason why a version cannot be installed beside others, in words; None when it can."""
    for other in installed:
        if problem := _unlike(new, other):
            return problem
    return None


def _unlike(new: Protocol, other: Protocol) -> str | None:
    if new.id != other.id:
        return f"is protocol {new.id!r}, and version {other.version!r} is protocol {other.id!r}"
    common = [code for code in new.by_code if code in other.by_code]
    for code, theirs in zip(common, (code for code in other.by_code if code in new.by_code), strict=True):
        if code != theirs:
            return f"has {code} where version {other.version!r} has {theirs}: visits must keep their order"
        if new.by_code[code].epoch != other.by_code[code].epoch:
            return f"has {code} in another epoch than version {other.version!r}"
    return None
