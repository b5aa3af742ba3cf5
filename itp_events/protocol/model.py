"""The protocol as data: schedule of activities, reminders, ladder, alerts, withdrawal criteria.

This module applies no rule to a subject. Each rule carries its source: `synopsis` (the sponsor's text) or
`assumption` (to be confirmed by the site). Nothing in the code repeats a number of the protocol file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

import pendulum
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)

from itp_events.errors import BadInput
from itp_events.protocol.workdays import WorkCalendar, known_calendar

ENROLMENT = "enrolment"
END_OF_TREATMENT = "end-of-treatment"

Source = Literal["synopsis", "assumption"]
# The reading of words of the synopsis that allow more than one. Every reading is an assumption.
Reading = Literal["calendar-months", "days-after", "each-holds"]
Epoch = Literal["treatment", "follow-up"]
# The subjects themselves. They are no audience of a site: nobody is on duty for them.
PARTICIPANT = "participant"
Audience = Literal["coordinator", "investigator", "sponsor", "cell-lab", "ops"]


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Span:
    """An ISO 8601 duration in calendar months and days; `text` is its form in the protocol file."""

    months: int
    days: int
    text: str

    def after(self, day: date) -> date:
        """The date this span after `day`; months are calendar months, clamped to the month's end."""
        return (_months_after(day, self.months) if self.months else day) + timedelta(days=self.days)


@lru_cache(maxsize=65536)
def _months_after(day: date, months: int) -> date:
    # Cached, since every wake of a subject asks for the same few dates.
    moved = pendulum.date(day.year, day.month, day.day).add(months=months)
    return date(moved.year, moved.month, moved.day)


# Whole days only. No more digits than a study lasts: beyond, windows would leave the calendar.
_DURATION = re.compile(r"P(?=\d)(?:(\d)Y)?(?:(\d{1,2})M)?(?:(\d{1,3})W)?(?:(\d{1,4})D)?", re.ASCII)


def _span(value: object) -> object:
    if isinstance(value, Span):
        return value
    if isinstance(value, str) and "-" in value:
        raise ValueError("must not be negative; a window's two sides are written as P3D each")
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be an ISO 8601 duration in whole days, weeks or months, as P3D, P2W or P1M")
    years, months, weeks, days = (int(part or 0) for part in found.groups())
    return Span(12 * years + months, 7 * weeks + days, found.string)


def _whole_days(span: Span) -> Span:
    if span.months:
        raise ValueError("a window is counted in days or weeks, as P3D")
    return span


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {value!r}; use an IANA name as Asia/Shanghai") from error
    return value


def _calendar(value: str) -> str:
    if not known_calendar(value):
        raise ValueError(f"unknown working calendar {value!r}; use an ISO country code as CN")
    return value


def _clock_time(value: object) -> object:
    if isinstance(value, time):
        return value
    # YAML reads 10:00 without quotes as the number 600.
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError('must be a local time of day in quotes, as "09:00"')
    return time.fromisoformat(value)


def _local_date(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"(19|20|21)\d{2}-\d{2}-\d{2}", value, re.ASCII):
        return date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("must be a date, as 2026-06-01")


Duration = Annotated[Span, BeforeValidator(_span)]
WindowSide = Annotated[Duration, AfterValidator(_whole_days)]
EffectiveDate = Annotated[date, BeforeValidator(_local_date)]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
Word = Annotated[str, Field(min_length=1)]
Days = Annotated[int, Field(ge=1, le=366)]
Count = Annotated[int, Field(le=366)]


class Site(_Rule):
    """A study site: its IANA time zone, the language of its notices, the calendar of its working days."""

    time_zone: Annotated[str, AfterValidator(_zone)]
    language: Literal["en", "zh-CN"]
    calendar: Annotated[str, AfterValidator(_calendar)]
    source: Source

    @cached_property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.time_zone)

    @cached_property
    def workdays(self) -> WorkCalendar:
        """The site's working days."""
        return WorkCalendar(self.calendar)

    def at(self, day: date, clock: time) -> datetime:
        """The instant (UTC) at which the site's clocks show `clock` on the local date `day`."""
        return _instant(self.zone, day, clock)

    def date_of(self, instant: datetime) -> date:
        """The site-local date at `instant`."""
        return instant.astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        """The instant (UTC) at which the local date `day` begins."""
        return self.at(day, time.min)


@lru_cache(maxsize=65536)
def _instant(zone: ZoneInfo, day: date, clock: time) -> datetime:
    # Through UTC and back: a local time that a clock change skips becomes the instant that follows it.
    return datetime.combine(day, clock, zone).astimezone(UTC)


class VisitSource(_Rule):
    """The sources of a visit's target and of its window."""

    target: Source
    window: Source


class Visit(_Rule):
    """One planned visit: its target is counted from its anchor, its window from its target."""

    code: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]*$")]
    label: Word
    epoch: Epoch
    anchor: str
    target: Duration
    before: WindowSide
    after: WindowSide
    source: VisitSource
    reading: Reading | None = None

    @property
    def target_assumed(self) -> bool:
        """Whether the site must confirm the target, or the reading of the synopsis behind it."""
        return self.source.target == "assumption" or self.reading is not None

    def opens(self, target: date) -> date:
        """The window's first day (site-local) for a target date."""
        return target - timedelta(days=self.before.days)

    def closes(self, target: date) -> date:
        """The window's last day (site-local) for a target date."""
        return self.after.after(target)


class Reminder(_Rule):
    """A reminder of a visit that is not recorded yet: its audience, and its date.

    The date lies `days` after the day `from`: the target or booking (`T`), the booking alone (`booked`), or
    the window's last day (`closes`).
    """

    step: str
    from_: Literal["T", "booked", "closes"] = Field(alias="from")
    days: Annotated[int, Field(ge=-366, le=366)]
    audience: Audience
    unless_booked: bool = False
    prepares_cells: bool = False
    source: Source


class Rung(_Rule):
    """One step of the ladder: its audience, and its day after a window closed with nothing recorded."""

    step: str
    day: Days
    audience: Audience
    source: Source


class Ladder(_Rule):
    """The escalation of a visit that nobody recorded, in days after its window's last day."""

    rungs: tuple[Rung, ...]
    missed_on_day: Days
    acknowledged_at_most_days: Days
    missed_after_acknowledgement_days: Days
    source: Source


class Alert(_Rule):
    """An alert: its audiences, and its repetition while it waits for somebody.

    `later` names further audiences with the repetition from which they are told. `clock_hours` are the hours
    of a reporting clock, the limit last. `every_working_days` is the spacing of repetitions.
    """

    audiences: tuple[Audience, ...]
    later: Mapping[Audience, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    clock_hours: tuple[Annotated[int, Field(ge=1, le=8760)], ...] = ()
    every_working_days: Days | None = None
    source: Source


AlertName = Literal[
    "sae",
    "out-of-window",
    "infusion-on-hold",
    "booking-out-of-window",
    "eligibility",
    "dose-deviation",
    "flag",
    "decision",
    "treatment-stopped",
    "exit",
    "stand-down",
    "disposition",
    "majority",
    "assent",
    "death-unrecorded",
    "re-consent",
    "cannot-come",
]
# Only a version that asks for consents anew says how it reminds of them, and only one that reminds the
# subjects themselves who is told when one cannot come.
_AS_NEEDED: frozenset[AlertName] = frozenset({"re-consent", "cannot-come"})

DeviationCategory = Literal["window", "missed", "dose", "on-hold", "eligibility", "safety-report", "consent"]


class Criterion(_Rule):
    """A withdrawal criterion: its effect, its DSDECOD, and its parameters."""

    criterion: str
    effect: Literal["exit", "stop-treatment", "flag", "by-scope", "by-decision"]
    decode: str
    guardian_decode: str | None = None
    grade: Count | None = None
    in_a_row: Count | None = None
    attempts: Count | None = None
    days_after_close: Count | None = None
    source: Source


class Dose(_Rule):
    """Cells per kg of body weight, and the relative differences in dose and weight that are pointed out."""

    cells_per_kg: Annotated[float, Field(gt=0)]
    deviation: Annotated[float, Field(gt=0)]
    weight_change: Annotated[float, Field(gt=0)]
    source: Source


class Limit(_Rule):
    """Bounds of a value; `at_least` and `at_most` are inclusive, `more_than` is not."""

    at_least: float | None = None
    at_most: float | None = None
    more_than: float | None = None
    source: Source
    reading: Reading | None = None

    @property
    def assumed(self) -> bool:
        """Whether the site must confirm the limit, or the reading of the synopsis behind it."""
        return self.source == "assumption" or self.reading is not None

    def holds(self, value: float) -> bool:
        """Whether the value is within the limit."""
        low = self.at_least is None or value >= self.at_least
        high = self.at_most is None or value <= self.at_most
        return low and high and (self.more_than is None or value > self.more_than)

    def __str__(self) -> str:
        """The limit in words, as `at most 3`."""
        words = (("at least", self.at_least), ("at most", self.at_most), ("more than", self.more_than))
        return " and ".join(f"{word} {bound:g}" for word, bound in words if bound is not None)


class Eligibility(_Rule):
    """The limits of the inclusion criteria; `_x_uln` in multiples of the upper limit of normal."""

    age_years: Limit
    itp_months: Limit
    maintenance_weeks: Limit
    alt_x_uln: Limit
    ast_x_uln: Limit
    bilirubin_x_uln: Limit
    creatinine_x_uln: Limit
    creatinine_clearance_ml_min: Limit
    consent_of_age: Limit
    assent_years: Limit
    assent_notice_years: Limit
    majority_notice_years: Limit


class ResponseRule(_Rule):
    """The criteria of response; platelets in 10^9/L (IWG, Blood 2009;113:2386)."""

    complete_from: Annotated[float, Field(gt=0)]
    response_from: Annotated[float, Field(gt=0)]
    times_baseline: Annotated[float, Field(gt=0)]
    confirmed_after_days: Days
    not_within_weeks_of_rescue: Annotated[int, Field(ge=0, le=520)]
    sustained_at: tuple[str, ...]
    source: Literal["synopsis", "assumption", "IWG 2009"]


class DeviationRule(_Rule):
    """The importance of the deviations of one category.

    `beyond_days` restricts it to more days than that outside the window, `epochs` to visits of these epochs.
    """

    important: bool
    beyond_days: Annotated[int, Field(ge=0, le=366)] | None = None
    epochs: tuple[Epoch, ...] | None = None
    source: Source


class Amendment(_Rule):
    """The additions of a version to its rules: the local date from which it is in force, and new consents.

    New subjects are enrolled under the version, and others may be assigned to it, from `effective_on`.
    `consents` are asked for anew from each subject that is assigned to it (21 CFR 50.25(b)(5); ICH E6(R3)
    2.8.2); an assent is asked for from the subjects whose assent was needed at enrolment.
    """

    effective_on: EffectiveDate
    consents: tuple[Literal["consent", "assent"], ...] = ()
    source: Source


class ParticipantReminder(_Rule):
    """A reminder to the subject, `days_before` the agreed date of a visit.

    `visits` are the codes of the visits that are reminded of; None: of every visit.
    """

    step: str
    days_before: Days
    visits: tuple[str, ...] | None = None
    source: Source


class Participant(_Rule):
    """The reminders of subjects who agreed to them (itp.contact.agreed).

    They leave on their day between the local times `from` and `until` of the site, and never later.
    """

    from_: ClockTime = Field(alias="from")
    until: ClockTime
    reminders: tuple[ParticipantReminder, ...]
    source: Source


class Protocol(_Rule):
    """One version of the protocol. Each subject is pinned to a version by its `version`."""

    id: Word
    version: Annotated[Word, Field(strict=True)]
    title: Word
    sites: Mapping[str, Site]
    dose: Dose
    visits: tuple[Visit, ...]
    notices_at: ClockTime
    reminders: Mapping[Epoch, tuple[Reminder, ...]]
    ladder: Ladder
    alerts: Mapping[AlertName, Alert]
    withdrawal: tuple[Criterion, ...]
    eligibility: Eligibility
    response: ResponseRule
    deviations: Mapping[DeviationCategory, DeviationRule]
    amendment: Amendment | None = None
    participant: Participant | None = None
    _versions: dict[str, Protocol] = PrivateAttr(default_factory=dict)
    _look: Callable[[], Iterable[Protocol]] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _holds_together(self) -> Protocol:
        _check_codes(self.visits)
        for visit in self.visits:
            _check_anchor(visit, self.visits)
        if "default" not in self.sites:
            raise ValueError("sites: a `default` site is required")
        if missing := self._needed_alerts() - set(self.alerts):
            raise ValueError(f"alerts: {', '.join(sorted(missing))} missing")
        if missing := set(get_args(DeviationCategory)) - set(self.deviations):
            raise ValueError(f"deviations: {', '.join(sorted(missing))} missing")
        return self

    def _needed_alerts(self) -> set[AlertName]:
        needed = set(get_args(AlertName)) - _AS_NEEDED
        needed |= {"re-consent"} if self.consents else set()
        return needed | ({"cannot-come"} if self.participant else set())

    def beside(
        self, others: Iterable[Protocol], look: Callable[[], Iterable[Protocol]] | None = None
    ) -> Protocol:
        """A copy of this version, with others installed beside it for the subjects pinned to them.

        `look` gives the versions that are installed by now: a service takes up a new one while it runs.
        """
        study = self.model_copy()
        study._versions = {other.version: other for other in others}
        study._look = look
        return study

    def _look_again(self) -> None:
        found = {each.version: each for each in self._look()} if self._look else {}
        if found.keys() - self._versions.keys():
            self._versions = {**found, **self._versions}
            self._versions = {version: self._versions[version] for version in [*found, *self._versions]}

    def of_version(self, version: str | None) -> Protocol:
        """The installed version of that name; None stands for this one.

        Raises:
            BadInput: no such version is installed.
        """
        if version in (None, self.version):
            return self
        if version not in self._versions:
            self._look_again()
        if version not in self._versions:
            raise BadInput(f"protocol version {version!r} is not installed; put its file beside the others")
        return self._versions[version]

    def in_force(self, on: date) -> Protocol:
        """The version under which a subject is enrolled on a site-local date: of those in force, the last.

        The order is that of the files' names. A version without an amendment is always in force.

        Raises:
            BadInput: no installed version is in force on that date.
        """
        self._look_again()
        found = [each for each in self.installed if each.effective_on is None or each.effective_on <= on]
        if not found:
            first = min(each.effective_on for each in self.installed if each.effective_on)
            raise BadInput(f"no protocol version is in force on {on}; the first is in force from {first}")
        return found[-1]

    @property
    def installed(self) -> tuple[Protocol, ...]:
        """The versions that are installed, in the order of their files' names."""
        return tuple({**self._versions, self.version: self}.values())

    @property
    def effective_on(self) -> date | None:
        """The local date from which the version is in force; None: always."""
        return self.amendment.effective_on if self.amendment else None

    @property
    def consents(self) -> tuple[Literal["consent", "assent"], ...]:
        """The consents that are asked for anew from each subject that is assigned to the version."""
        return self.amendment.consents if self.amendment else ()

    def site(self, code: str) -> Site:
        """The settings of a site; a site that the protocol does not name has those of `default`."""
        return self.sites.get(code) or self.sites["default"]

    @cached_property
    def by_code(self) -> dict[str, Visit]:
        """The visits by their codes."""
        return {visit.code: visit for visit in self.visits}

    @cached_property
    def infusions(self) -> tuple[Visit, ...]:
        """The visits of the treatment epoch, in order."""
        return tuple(visit for visit in self.visits if visit.epoch == "treatment")

    @cached_property
    def criteria(self) -> dict[str, Criterion]:
        """The withdrawal criteria by their names."""
        return {criterion.criterion: criterion for criterion in self.withdrawal}


def _check_codes(visits: tuple[Visit, ...]) -> None:
    codes = [visit.code for visit in visits]
    doubled = {code for code in codes if codes.count(code) > 1}
    if doubled:
        raise ValueError(f"visits: {', '.join(sorted(doubled))} stands more than once")
    epochs = [visit.epoch for visit in visits]
    if epochs != sorted(epochs, key=("treatment", "follow-up").index) or set(epochs) != {
        "treatment",
        "follow-up",
    }:
        raise ValueError("visits: the treatment visits come first, then those of follow-up; both are needed")


def _check_anchor(visit: Visit, visits: tuple[Visit, ...]) -> None:
    anchors = {other.code: other.anchor for other in visits}
    chain = [visit.code]
    while (anchor := anchors[chain[-1]]) not in (ENROLMENT, END_OF_TREATMENT):
        if anchor not in anchors:
            raise ValueError(f"visits: the anchor {anchor!r} of {chain[-1]} is not a visit")
        if anchor in chain:
            raise ValueError(f"visits: circular anchor: {' -> '.join([*chain, anchor])}")
        chain.append(anchor)
    if anchor == END_OF_TREATMENT and visit.epoch == "treatment":
        raise ValueError(
            f"visits: circular anchor: {visit.code} is treatment and hangs on the end of treatment"
        )
    order = [other.code for other in visits]
    if len(chain) > 1 and order.index(chain[1]) > order.index(visit.code):
        raise ValueError(f"visits: {visit.code} must come after its anchor {chain[1]}")
