"""The types of a notice's contents: the values that fill its text.

This module does not choose the values (contents.py does) and does not put them into words (the texts do). The
log stores them as the JSON object `facts` of itp.notice.issued, so that every value is of a JSON type. A date
is YYYY-MM-DD and local to the subject's site; an instant is ISO 8601 in UTC. An absent value has no key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict, cast

from itp_events.events import Language, NoticeIssued
from itp_events.protocol.model import Reading, Source

StoodDownBecause = Literal["exit", "stopped", "missed", "fatal", "on-hold", "moved", "open"]


class VisitContents(TypedDict, total=False):
    """The visit that a notice is about, its dates, and why they lie there.

    `t` is the booked date, else the target. `offset` is the ISO 8601 duration from the anchor to the target;
    `agreed`: the target was agreed at enrolment instead. `anchor_basis`, `target_source`, `window_source` and
    `reading` are as in the plan. `deviation_days` is how many days outside the window the visit was done or
    is booked: negative when early, positive when late.
    """

    visit_label: str
    target: str
    opens: str
    closes: str
    t: str
    booked: bool
    anchor_code: str
    anchor_label: str
    anchor_on: str
    anchor_basis: Literal["actual", "planned", "projected"]
    reason: str
    offset: str
    agreed: bool
    target_source: Source
    reading: Reading
    window_source: Source
    deviation_days: int


class StatedContents(TypedDict, total=False):
    """The event or the decision that a notice tells of.

    `on` is its date: of the visit done, the event, the flag or the ending. `ae` is the adverse event's
    number, or the id under which a pregnancy is reported; `grade` is by CTCAE, 1 to 5. `outcome` is that of
    an adverse event, or how the last visit ended.
    """

    on: str
    ae: str
    term: str
    grade: int
    outcome: str


class StepContents(TypedDict, total=False):
    """Values of the step itself.

    `day` is the number of days from a window's last day to the escalation; `attempt` counts repetitions from
    1. `assumed` names the parts that rest on an assumption: see `assumed_in`.
    """

    day: int
    attempt: int
    assumed: Sequence[str]


class DoseContents(TypedDict):
    """A planned dose: `cells` as an absolute number, `weight_kg` taken at `weight_source` on `weight_on`.

    `weight_source` is a visit's code or `enrolment`. `weight_change` is relative, as 0.1 for ten per cent
    more, and stands where it is large enough to be pointed out.
    """

    cells: float
    cells_per_kg: float
    weight_kg: float
    weight_on: str
    weight_source: str
    source: Source
    weight_change: NotRequired[float]


class CellContents(TypedDict, total=False):
    """Cells that are ordered, were given, or are not needed; numbers of cells are absolute.

    `dose` is the dose to prepare, `replaces` the number of cells ordered before. `given` is the number of
    cells given and `planned` the number that was planned, which is that of `dose_for`, the dose for the
    weight at the infusion. Of a stand-down, `old_date` is the date for which cells were ordered, and
    `new_date` is the date that takes its place, if there is one.
    """

    dose: DoseContents
    replaces: float
    given: float
    planned: float
    dose_for: DoseContents
    old_date: str
    new_date: str
    because: StoodDownBecause


class SafetyContents(TypedDict, total=False):
    """A safety report's reporting clock.

    `hours` is how many hours of it have passed at this step, `deadline` the instant of its limit.
    `follow_up`: the event became worse after a submission. `submitted`: the event's report was submitted, and
    the change told here begins no new clock. `death`: the adverse event that led to the death is asked for.
    """

    hours: int
    deadline: str
    follow_up: bool
    submitted: bool
    death: bool


class EndingContents(TypedDict, total=False):
    """A withdrawal criterion, the disposition (SDTM DSDECOD) of an ending, whether treatment has ended."""

    criterion: str
    decode: str
    treatment_ended: bool


class EligibilityContents(TypedDict, total=False):
    """Inclusion criteria that an enrolment fails, or an age from which another consent is needed.

    `unmet` holds one sentence for each criterion; `shortfalls` the same as its rule, its mark and its values.
    """

    unmet: Sequence[str]
    shortfalls: Sequence[Mapping[str, str]]
    age_years: int
    from_years: float


class ConsentContents(TypedDict, total=False):
    """A consent that the protocol version `version` asks for anew."""

    consent: Literal["consent", "assent"]
    version: str


class ParticipantContents(TypedDict, total=False):
    """The language in which a subject wants to be reminded, where it is not the site's."""

    language: Language


class NoticeContents(
    ParticipantContents,
    ConsentContents,
    VisitContents,
    StatedContents,
    StepContents,
    CellContents,
    SafetyContents,
    EndingContents,
    EligibilityContents,
    total=False,
):
    """The contents of a notice about a subject: every family, of which each step uses some."""


def said_by(notice: NoticeIssued) -> NoticeContents:
    """The contents of a notice in the log.

    An older version of the service wrote values by the same names, but perhaps not all of them.
    """
    return cast("NoticeContents", notice.facts)
