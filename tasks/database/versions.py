"""The protocol versions that the subjects of a study follow, and whether they are installed.

This module reads no protocol file and assigns nothing.
"""

from __future__ import annotations

from collections import defaultdict

import sqlalchemy as sa

from itp_events.errors import ItpError
from itp_events.protocol.model import Protocol
from tasks.database.schema import subjects
from tasks.database.store import Store

_NAMED = 5


def refuse_missing(store: Store, protocol: Protocol) -> None:
    """Check that each version that a subject follows is installed.

    Raises:
        ItpError: one is not; the error names the version and its subjects.
    """
    installed = {version.version for version in protocol.installed}
    followers: dict[str, list[str]] = defaultdict(list)
    with store.reading() as connection:
        asked = sa.select(subjects.c.protocol_version, subjects.c.code).order_by(subjects.c.code)
        for version, code in connection.execute(asked):
            if version not in installed:
                followers[version].append(code)
    if not followers:
        return
    missing = "; ".join(f"{version!r}, which {_said(codes)} follow" for version, codes in followers.items())
    raise ItpError(
        f"protocol version not installed: {missing}; put its file back beside the others (see ITP_PROTOCOL)"
    )


def _said(codes: list[str]) -> str:
    more = len(codes) - _NAMED
    return ", ".join(codes[:_NAMED]) + (f" and {more} more" if more > 0 else "")
