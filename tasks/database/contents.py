"""The types of what the outbox's notices say: those about a subject, and the service's own.

This module does not put them into words: the texts do. A date is YYYY-MM-DD and local to the site, an instant
is ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from itp_events.notices.content_types import NoticeContents


class DueVisit(TypedDict):
    """A visit that lies ahead or is due today.

    `held`: it must wait for the investigator's decision. `assumed` names those of `day` and `closes` that
    rest on an assumption.
    """

    subject: str
    visit: str
    day: str
    closes: str
    booked: bool
    held: bool
    assumed: Sequence[str]


class OverdueVisit(TypedDict):
    """A visit of which nothing was recorded for `days` days after its window closed.

    `rung` is the audience of its newest escalation, None when there was none.
    """

    subject: str
    visit: str
    days: int
    rung: str | None
    held: bool
    assumed: Sequence[str]


class Matter(TypedDict):
    """A matter that waits for the investigator.

    `about` is what it is about: an adverse event, a criterion, a deviation's category. A report has the
    instant `by` which it must be submitted; any other matter has its date `since`. `assumed` holds "it" when
    the matter rests on an assumption.
    """

    subject: str
    what: Literal["report", "flag", "fatal", "disposition", "deviation"]
    about: str
    by: NotRequired[str]
    since: NotRequired[str]
    visit: NotRequired[str | None]
    id: NotRequired[str]
    assumed: NotRequired[Sequence[str]]


class ConsentToAsk(TypedDict):
    """A consent that a protocol version asks for anew, and that is not given yet."""

    subject: str
    kind: Literal["consent", "assent"]
    version: str


class VersionInForce(TypedDict):
    """A protocol version in force since a date; `subjects` follow another one, and are still in the study."""

    version: str
    since: str
    subjects: Sequence[str]


class DutyLine(TypedDict):
    """The people on duty today for the audience `asked`: each a `person`, with whom they stand in for."""

    asked: str
    people: Sequence[Mapping[str, str]]
    missing: Sequence[Mapping[str, str]]


class GapLine(TypedDict):
    """Days, both ends included, on which nobody will be on duty for the audience `asked`, and why."""

    asked: str
    first: str
    last: str
    missing: Sequence[Mapping[str, str]]


class DigestContents(TypedDict, total=False):
    """The daily digest of a site, whose date stands under `on`.

    `today` and `week` list the visits that are due, `overdue` those of which nothing is recorded, `waiting`
    the matters that wait for the investigator. `consents` and `versions` are those of amendments. Where
    rotas stand, `duty` says who is on duty today, and `gaps` lists the days ahead on which nobody will be.
    """

    site: str
    today: Sequence[DueVisit]
    week: Sequence[DueVisit]
    overdue: Sequence[OverdueVisit]
    waiting: Sequence[Matter]
    consents: Sequence[ConsentToAsk]
    versions: Sequence[VersionInForce]
    duty: Sequence[DutyLine]
    gaps: Sequence[GapLine]


class RecordContents(TypedDict, total=False):
    """The state of a study's record, for the one monitor with the account `person`.

    `seal` is the newest seal as one line; `verified` the instant of the last verification, None when there
    was none, and `findings` the number of rows that it found changed.
    """

    person: str
    seal: str
    verified: str | None
    findings: int


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


class TroubleContents(TypedDict, total=False):
    """A trouble that a person must mend: its subject's code or part, in a sentence, since an instant."""

    about: str
    what: str
    since: str


class GapContents(TypedDict, total=False):
    """Nobody is on duty on the date `on`: the audiences passed over, why, and who was told in their place.

    `missing` holds a line for each person of the rota. `told` is the audience that got the first such notice.
    """

    asked: str
    missing: Sequence[Mapping[str, str]]
    told: str


class HandOverContents(TypedDict, total=False):
    """The matters that a `person` takes over, or finds on coming back; `places` names audiences with sites.

    `away` is the person who is or was absent, from the date `first` to the date `last`, if that is known;
    `back`: it is that person who is told, on the return. What is open stands as in a digest.
    """

    person: str
    away: str
    first: str
    last: str
    back: bool
    places: Sequence[str]


class OutboxContents(
    NoticeContents,
    DigestContents,
    RecordContents,
    OutageContents,
    TroubleContents,
    GapContents,
    HandOverContents,
    total=False,
):
    """The contents of any notice of the outbox; `link` is the address of the page on which to answer it."""

    link: str
