"""The behaviour of the people of a simulated study: the fields of a behaviour file, and their limits.

docs/simulation.md describes every field; scenarios/typical.yaml holds all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deployments.simulation.people.draws import Amount, Share, Spread, Weight, some_weight
from itp_events.protocol.model import Epoch

# A few a day; more would not be a study.
Rate = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]
# The site's calendar of working days is known for these years.
FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2090, 1, 1)

_Decision = Literal["continue", "stop-treatment", "withdraw"]
_Decisions = Annotated[Mapping[_Decision, Weight], AfterValidator(some_weight)]
_Dispositions = Annotated[Mapping[Literal["complete", "withdraw"], Weight], AfterValidator(some_weight)]
_Grades = Annotated[Mapping[Annotated[int, Field(ge=1, le=5)], Weight], AfterValidator(some_weight)]
_Bleeding = Annotated[Mapping[Annotated[int, Field(ge=1, le=4)], Weight], AfterValidator(some_weight)]
Kind = Literal[
    "enrolment",
    "booking",
    "missed",
    "acknowledgement",
    "adverse-event",
    "submission",
    "pregnancy",
    "medication",
    "contact",
    "consent",
    "decision",
    "death",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Enrolment(_Part):
    """The subjects screened a week, and the share of them that fails an inclusion criterion."""

    per_week: Annotated[float, Field(strict=True, ge=0.01, le=1000, allow_inf_nan=False)]
    screen_failures: Share
    minors: Share


class Attendance(_Part):
    """The visits of one epoch: the share that nobody comes to, and days from the target for the others."""

    missed: Share
    lateness_days: Spread


class Visits(_Part):
    """Attendance by epoch."""

    treatment: Attendance
    follow_up: Attendance = Field(alias="follow-up")

    def __getitem__(self, epoch: Epoch) -> Attendance:
        return self.treatment if epoch == "treatment" else self.follow_up


class Booking(_Part):
    """Dates agreed ahead, and what becomes of them."""

    probability: Share
    days_ahead: Amount
    moved: Share
    no_show: Share
    comes_days_later: Amount


class Travel(_Part):
    """The share of subjects away around long public holidays (five days or more), and for how long."""

    share: Share
    days_before: Annotated[int, Field(ge=0, le=60)]
    days_after: Annotated[int, Field(ge=0, le=60)]


class DataEntry(_Part):
    """The delay between a visit and its record, and the share of records that turn out wrong."""

    hours: Amount
    late: Share
    late_days: Amount
    corrected: Share


class Corrections(_Part):
    """The shares of statements, visits aside, that turn out wrong, and the way all are put right.

    `of_substance`: the share of corrections that change what counts; the others mend a typing error.
    `apart`: the share stated anew some days after the void; `withdrawn`: the share never stated anew.
    """

    share: Mapping[Kind, Share]
    days: Amount
    of_substance: Share
    apart: Share
    apart_days: Amount
    withdrawn: Share


class LateNews(_Part):
    """The share of medicines, pregnancies, withdrawals and decisions stated days after their date."""

    share: Share
    days: Amount


class Results(_Part):
    """The findings of visits: weight changes, cells given over cells planned, platelets, bleeding.

    `responds` is the share of subjects whose platelets (10^9/L) rise after the first infusion. Bleeding has a
    WHO grade by weights; `ungraded` of it is stated without one; `unrecorded`: the share not recorded.
    """

    weight_change: Spread
    cells_given: Amount
    responds: Share
    platelets: Amount
    platelets_responding: Amount
    bleeding: Share
    bleeding_grade: _Bleeding
    ungraded: Share
    unrecorded: Share


class Answer(_Part):
    """Whether somebody answers at all, and after how many hours."""

    probability: Share
    hours: Amount


class Acknowledge(Answer):
    """Taking care of an overdue visit, until so many days later (0: say no date)."""

    until_days: Amount


class Decide(Answer):
    """The investigator's decision on a flag, by weights; `lost` is for subjects lost to follow-up.

    `together` is the share of decisions that answer every open flag at once.
    """

    together: Share
    choice: _Decisions
    lost: _Decisions


class Dispose(Answer):
    """The investigator's choice after a missed last visit, by weights."""

    choice: _Dispositions


class Assess(Answer):
    """The investigator's assessment of a deviation; the share that is called important."""

    important: Share


class Answers(_Part):
    """The answers of people to what the service tells them."""

    acknowledge: Acknowledge
    declare_missed: Answer
    decide: Decide
    disposition: Dispose
    submit_sae: Answer
    record_death: Answer
    explain_death: Answer
    assess_deviation: Assess
    consent_of_age: Answer


class Contact(_Part):
    """Attempts to reach a subject who did not come."""

    attempts: Annotated[int, Field(ge=0, le=50)]
    every_days: Annotated[int, Field(ge=1, le=365)]
    reached: Share
    comes: Share


class PerMonth(_Part):
    """The rates of chance events, per subject and month in the study (30.44 days)."""

    adverse_events: Rate
    lost: Rate
    consent_withdrawn: Rate
    treatment_consent_withdrawn: Rate
    death: Rate
    pregnancy: Rate
    rescue_medication: Rate
    prohibited_medication: Rate
    maintenance_changed: Rate
    unscheduled_visits: Rate
    decisions: Rate


class AdverseEvents(_Part):
    """The nature of adverse events, the hours until the site reports them, and their course.

    `aware_hours`: how long before its report the site knew of a serious one. `worsens`: the share that is
    reported once more as worse, `fatal` of them as a death; `recovers`: the share whose end is reported.
    """

    grade: _Grades
    serious: Share
    related: Share
    reported_hours: Amount
    aware_hours: Amount
    voided: Share
    worsens: Share
    fatal: Share
    recovers: Share
    further_days: Amount


class Outage(_Part):
    """The service is down for so many days, from a day of the study (0: its first); doors are shut too."""

    from_day: Annotated[int, Field(ge=0, le=10_000)]
    days: Annotated[float, Field(strict=True, gt=0, le=1000, allow_inf_nan=False)]


class Behaviour(_Part):
    """A whole behaviour file."""

    name: Annotated[str, Field(min_length=1)]
    about: str
    start: Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]
    enrolment: Enrolment
    visits: Visits
    booking: Booking
    travel: Travel
    data_entry: DataEntry
    corrections: Corrections
    late_news: LateNews
    results: Results
    answers: Answers
    contact: Contact
    per_month: PerMonth
    adverse_events: AdverseEvents
    infusion_despite_hold: Share
    delivery_hours: Amount
    outages: tuple[Outage, ...]
