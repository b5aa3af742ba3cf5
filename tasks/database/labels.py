"""The name of a recipient as people read it, from what a row of any version holds."""

from __future__ import annotations

# So much of a fingerprint tells recipients apart for a reader.
MARK = 6


def shown(label: str, recipient: str) -> str:
    """A row's label. Earlier versions stored the address there, a phone's number in it: it is not shown.

    `recipient` is the fingerprint of the address.
    """
    scheme, is_address, _ = label.partition("://")
    return f"{scheme} {recipient[:MARK]}" if is_address else label
