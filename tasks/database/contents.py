"""The contents of the notices of the outbox, as types: those about a subject, and the service's own.

This module does not put them into words: the texts do. A date is YYYY-MM-DD and local to the site, an instant
is ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from itp_events.notices.content_types import NoticeContents


class DigestContents(TypedDict, total=False):
    """The daily digest of a site, whose date stands under `on`.

    `today` and `week` list the visits that are due, `overdue` those of which nothing is recorded, `waiting`
    what waits for the investigator.
    """

    site: str
    today: Sequence[dict[str, Any]]
    week: Sequence[dict[str, Any]]
    overdue: Sequence[dict[str, Any]]
    waiting: Sequence[dict[str, Any]]


class OutageContents(TypedDict, total=False):
    """A channel through which nothing has got since an instant.

    `channel` is its address without secrets, `channel_id` its id; `failures` counts the failed attempts;
    `error` is the last answer, None when there was none.
    """

    channel: str
    channel_id: str
    since: str
    failures: int
    error: str | None


class OutboxContents(NoticeContents, DigestContents, OutageContents, total=False):
    """The contents of any notice of the outbox; `link` leads to the page on which it can be answered."""

    link: str
