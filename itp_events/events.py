"""The event catalogue: CloudEvents 1.0 envelopes with typed data.

An event is identified by `source` and `id`; `time` is when it was reported (an instant); dates inside
`data` are local dates of the subject's site. Unknown types and fields are refused by name, and null
means absent. Events of source `itp` are the service's own decisions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StrictBool,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticKnownError

from itp_events.errors import BadEvent
from itp_events.validation_messages import plainly

OWN_SOURCE = "itp"
SERVICE = "service"

EventKey = tuple[str, str]
_Model = TypeVar("_Model", bound=BaseModel)


_MOST_BLEEDING = 4  # the WHO bleeding scale: 0 none, 4 debilitating or fatal
# Beyond these years arithmetic with windows and time zones leaves the calendar.
_YEARS = "(19|20|21)[0-9]{2}"


def _iso_date(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(rf"{_YEARS}-\d{{2}}-\d{{2}}", value, re.ASCII):
        return _of_calendar(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("must be a site-local date, YYYY-MM-DD")


def _of_calendar(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text} is no date: {error}") from error


def _rfc3339(value: object) -> object:
    if isinstance(value, str) and re.match(rf"{_YEARS}-\d{{2}}-\d{{2}}[Tt ]\d{{2}}:\d{{2}}", value, re.ASCII):
        return value
    if isinstance(value, datetime):
        return value
    raise ValueError("must be an instant with its offset, as 2026-01-05T09:30:00+08:00")


def _whole(value: object) -> object:
    # To JSON 3 and 3.0 are the same number.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _bleeding(value: object) -> bool | int:
    value = _whole(value)
    if isinstance(value, bool) or (isinstance(value, int) and 0 <= value <= _MOST_BLEEDING):
        return value
    raise ValueError("must be true, false or a grade of the WHO scale, 0 to 4")


def _one_width(value: object) -> object:
    # A code typed with a Chinese keyboard, or copied with blanks, is the same code. What holds no number is
    # none: a name must not become one for want of its blank.
    if not isinstance(value, str):
        return value
    narrow = unicodedata.normalize("NFKC", value).strip()
    numbered = any(letter.isdigit() for letter in narrow)
    return "".join(narrow.split()) if numbered else narrow


def _legible(value: str) -> str:
    # Neither can be stored as text: NUL by PostgreSQL, half a surrogate pair by anybody.
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("must be text: no NUL, no half of a surrogate pair")
    return value


_AT_A_DOOR = {"at a door": True}


def _at_most(length: int) -> AfterValidator:
    """A limit to the length of text that doors set: what the log holds is read whatever its length."""

    def check(value: str, info: ValidationInfo) -> str:
        if info.context and len(value) > length:
            raise PydanticKnownError("string_too_long", {"max_length": length})
        return value

    return AfterValidator(check)


LocalDate = Annotated[
    date,
    BeforeValidator(_iso_date),
    WithJsonSchema({"type": "string", "format": "date", "pattern": f"^{_YEARS}-"}),
]
Instant = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
_Stated = Annotated[str, Field(min_length=1, strict=True), AfterValidator(_legible)]
Text = Annotated[_Stated, Field(json_schema_extra={"maxLength": 500}), _at_most(500)]
Word = Annotated[_Stated, Field(json_schema_extra={"maxLength": 200}), _at_most(200)]
SubjectCode = Annotated[
    str,
    BeforeValidator(_one_width),
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", strict=True),
]
Amount = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, le=400, strict=True, allow_inf_nan=False)]
Years = Annotated[int, Field(ge=0, le=130, strict=True), BeforeValidator(_whole)]
Grade = Annotated[int, Field(ge=1, le=5, strict=True), BeforeValidator(_whole)]
Bleeding = Annotated[
    bool | int,
    PlainValidator(_bleeding),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 4}]}),
]


class Data(BaseModel):
    """What one event states; `by` is who states it. Subclasses are found by their `type`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: ClassVar[str]
    by: Word


class Reference(BaseModel):
    """The source and id of another event."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: Word
    id: Word


class FailedTreatments(BaseModel):
    """Which earlier treatments had no effect (for splenectomy: or were followed by relapse)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    first_line: StrictBool
    second_line: StrictBool
    rituximab: StrictBool
    splenectomy: StrictBool


class Maintenance(BaseModel):
    """A maintenance regimen, and for how many weeks its dose has been stable."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    drug: Word
    stable_weeks: Amount


def _regimens_shape(value: object) -> str:
    return _LIST if isinstance(value, list | tuple) else _SINGLE


# Names of the two shapes; what is wrong is named by its path without them.
_SINGLE, _LIST = "<one>", "<list>"
Regimens = Annotated[
    Annotated[Maintenance, Tag(_SINGLE)] | Annotated[tuple[Maintenance, ...], Tag(_LIST)],
    Discriminator(_regimens_shape),
]


class Screening(BaseModel):
    """Findings of screening and baseline; `_x_uln` values are multiples of the upper limit of normal."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    age_years: Years
    sex: Literal["female", "male"]
    itp_months: Amount
    failed: FailedTreatments
    maintenance: Regimens | None = None
    alt_x_uln: Amount
    ast_x_uln: Amount
    bilirubin_x_uln: Amount
    creatinine_x_uln: Amount | None = None
    creatinine_clearance_ml_min: Amount | None = None
    childbearing: StrictBool
    pregnancy_test: Literal["negative", "positive", "not-done"] | None = None
    breastfeeding: StrictBool | None = None
    contraception: StrictBool | None = None

    @property
    def regimens(self) -> tuple[Maintenance, ...]:
        """The maintenance regimens: none, the one that was stated, or the list."""
        if self.maintenance is None:
            return ()
        return self.maintenance if isinstance(self.maintenance, tuple) else (self.maintenance,)


class Enrolled(Data):
    """The subject is enrolled on a local date, with what screening found."""

    type = "itp.subject.enrolled"
    on: LocalDate
    site: Word
    consent_on: LocalDate
    consent_by: Literal["subject", "guardian"] = "subject"
    assent_on: LocalDate | None = None
    weight_kg: Weight
    baseline_platelets: Amount | None = None
    screening: Screening
    first_infusion_on: LocalDate | None = None


class Booked(Data):
    """A date is agreed for a visit."""

    type = "itp.visit.booked"
    visit: Word
    on: LocalDate


class Completed(Data):
    """A visit took place. Platelets in 10^9/L, weight in kg, cells as an absolute number.

    Bleeding is a grade of the WHO scale, 0 to 4, or only whether there was any. `confirmed` says that a date
    that looks too early is right.
    """

    type = "itp.visit.completed"
    visit: Word
    on: LocalDate
    confirmed: StrictBool = False
    weight_kg: Weight | None = None
    platelets: Amount | None = None
    bleeding: Bleeding | None = None
    cells_given: Amount | None = None


class Missed(Data):
    """A visit did not take place, and will not."""

    type = "itp.visit.missed"
    visit: Word
    reason: Text


class Unscheduled(Data):
    """A visit outside the schedule of activities."""

    type = "itp.visit.unscheduled"
    on: LocalDate
    reason: Text


class Voided(Data):
    """An earlier event was wrong; it stays in the log and no longer counts."""

    type = "itp.event.voided"
    event: Reference
    reason: Text


Outcome = Literal["recovered", "recovering", "not-recovered", "sequelae", "fatal", "unknown"]
_DEATH_GRADE = 5  # CTCAE: grade 5 is death related to the adverse event


class AdverseEvent(Data):
    """An adverse event; grade by CTCAE, 1 to 5. The site became aware of it at the instant `aware_at`."""

    type = "itp.adverse-event.reported"
    ae: Word
    term: Text
    grade: Grade
    serious: StrictBool
    related: StrictBool
    on: LocalDate
    aware_at: Instant | None = None
    outcome: Outcome | None = None

    @property
    def fatal(self) -> bool:
        """Whether the subject died of it: grade 5, or the outcome `fatal`."""
        return self.grade == _DEATH_GRADE or self.outcome == "fatal"


class SaeSubmitted(Data):
    """The report of a serious adverse event (or pregnancy) was submitted."""

    type = "itp.sae.submitted"
    ae: Word
    on: LocalDate


class Pregnancy(Data):
    """The subject, or with `partner` the subject's partner, is pregnant."""

    type = "itp.pregnancy.reported"
    on: LocalDate
    partner: StrictBool = False
    aware_at: Instant | None = None


class MedicationChanged(Data):
    """A medicine was started, stopped or changed."""

    type = "itp.medication.changed"
    drug: Word
    kind: Literal["maintenance", "prohibited", "rescue"]
    on: LocalDate
    detail: Text


class ContactAttempted(Data):
    """Somebody tried to reach the subject."""

    type = "itp.contact.attempted"
    on: LocalDate
    reached: StrictBool


class ConsentWithdrawn(Data):
    """Consent is withdrawn, for the whole study or for treatment only."""

    type = "itp.consent.withdrawn"
    on: LocalDate
    scope: Literal["study", "treatment"]
    guardian: StrictBool = False


Decode = Literal[
    "COMPLETED",
    "ADVERSE EVENT",
    "DEATH",
    "LACK OF EFFICACY",
    "LOST TO FOLLOW-UP",
    "OTHER",
    "PHYSICIAN DECISION",
    "PREGNANCY",
    "PROTOCOL DEVIATION",
    "PROTOCOL-SPECIFIED WITHDRAWAL CRITERION MET",
    "WITHDRAWAL BY SUBJECT",
    "WITHDRAWAL BY PARENT/GUARDIAN",
]


class WithdrawalDecided(Data):
    """The investigator's answer to a flag, or a decision of their own."""

    type = "itp.withdrawal.decided"
    criterion: Word | None = None
    decision: Literal["continue", "stop-treatment", "withdraw", "complete"]
    decode: Decode | None = None
    reason: Text
    on: LocalDate


class Died(Data):
    """The subject died; `ae` names the adverse event that led to it, if that is known."""

    type = "itp.subject.died"
    on: LocalDate
    aware_at: Instant | None = None
    ae: Word | None = None


class Acknowledged(Data):
    """Somebody takes care of an overdue visit until a date."""

    type = "itp.escalation.acknowledged"
    visit: Word
    until: LocalDate | None = None


class DeviationAssessed(Data):
    """The investigator's assessment of a deviation: whether it is important, its cause, and what was done."""

    type = "itp.deviation.assessed"
    deviation: Text
    important: StrictBool
    cause: Text | None = None
    action: Text | None = None


class ConsentGiven(Data):
    """A consent given during the study: anew, a child's assent, or in one's own name on coming of age."""

    type = "itp.consent.given"
    kind: Literal["consent", "assent", "majority"]
    version: Word
    on: LocalDate


class ProtocolAssigned(Data):
    """The subject continues under another version of the protocol."""

    type = "itp.protocol.assigned"
    version: Word
    reason: Text


class NoticeIssued(Data):
    """A notice was decided: to whom, about what, and until when it is of use. `facts` fill its text."""

    type = "itp.notice.issued"
    notice: str
    kind: Literal["reminder", "escalation", "alert"]
    visit: str | None = None
    step: str
    audience: str
    due: AwareDatetime
    until: AwareDatetime | None = None
    facts: dict[str, Any] = Field(default_factory=dict)


class NoticeReopened(Data):
    """A notice that had been withdrawn before it was handed over is due again."""

    type = "itp.notice.reopened"
    notice: str


class NoticeSuperseded(Data):
    """A reminder came due together with a newer one, or too late to be of use: it is not sent."""

    type = "itp.notice.superseded"
    notice: str
    step: str


class NoticeWithdrawn(Data):
    """A notice became pointless before it was handed over: it is not sent."""

    type = "itp.notice.withdrawn"
    notice: str
    reason: str


class NoticeClosed(Data):
    """What a notice asked for, after it was handed over, is done or no longer holds."""

    type = "itp.notice.closed"
    notice: str
    reason: str


class Flagged(Data):
    """A withdrawal criterion is met and the investigator must decide."""

    type = "itp.withdrawal.flagged"
    criterion: str
    on: LocalDate
    because: Reference


class TreatmentStopped(Data):
    """The remaining infusions are cancelled; follow-up goes on."""

    type = "itp.treatment.stopped"
    criterion: str
    on: LocalDate
    decode: str
    term: str
    because: Reference


class Exited(Data):
    """The subject's participation ended, at M12 or early."""

    type = "itp.subject.exited"
    criterion: str | None = None
    on: LocalDate
    decode: str
    term: str
    because: Reference


FACTS: tuple[type[Data], ...] = (
    Enrolled,
    Booked,
    Completed,
    Missed,
    Unscheduled,
    Voided,
    AdverseEvent,
    SaeSubmitted,
    Pregnancy,
    MedicationChanged,
    ContactAttempted,
    ConsentWithdrawn,
    WithdrawalDecided,
    Died,
    Acknowledged,
    DeviationAssessed,
    ConsentGiven,
    ProtocolAssigned,
)
DECISIONS: tuple[type[Data], ...] = (
    ProtocolAssigned,
    Missed,
    Voided,
    NoticeIssued,
    NoticeReopened,
    NoticeSuperseded,
    NoticeWithdrawn,
    NoticeClosed,
    Flagged,
    TreatmentStopped,
    Exited,
)
# Only an investigator states these, or takes one back.
INVESTIGATORS: tuple[type[Data], ...] = (WithdrawalDecided, DeviationAssessed)
_CATALOGUE: dict[bool, dict[str, type[Data]]] = {
    False: {data.type: data for data in FACTS},
    True: {data.type: data for data in DECISIONS},
}
FACT_TYPES = tuple(_CATALOGUE[False])


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    specversion: Literal["1.0"]
    id: Word
    source: Word
    type: Word
    subject: SubjectCode
    time: Instant
    datacontenttype: Literal["application/json"] | None = None
    # Written by the service; what a sender says of it has no meaning.
    restatessource: Word | None = None
    restatesid: Word | None = None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent whose data has been checked against the catalogue.

    `restates` names the event that it states anew, where it came in one batch with the void of that event.
    """

    id: str
    source: str
    subject: str
    time: datetime
    data: Data
    restates: EventKey | None = field(default=None, compare=False)

    @property
    def type(self) -> str:
        """The event's type, as `itp.visit.completed`."""
        return self.data.type

    @property
    def key(self) -> EventKey:
        """Source and id: what identifies the event."""
        return self.source, self.id

    @property
    def own(self) -> bool:
        """Whether the service itself decided this."""
        return self.source == OWN_SOURCE

    @property
    def reference(self) -> Reference:
        """The event's identity, to be named by another event."""
        return Reference(source=self.source, id=self.id)

    def to_json(self) -> dict[str, Any]:
        """The CloudEvent as JSON types; `parse_recorded` reads it back to an equal event."""
        restates = dict(zip(("restatessource", "restatesid"), self.restates or (), strict=False))
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time.isoformat(),
            **restates,
            "data": self.data.model_dump(mode="json", exclude_none=True),
        }


def parse_event(value: object) -> Event:
    """Check one CloudEvent given as JSON types and return it.

    Raises BadEvent, which names the first field that is wrong and how many more are.
    """
    return replace(_parsed(value, _AT_A_DOOR), restates=None)


def parse_recorded(value: object) -> Event:
    """The event that a line of the log holds. The limits of the doors do not apply to what was let in.

    Raises BadEvent for what no version of the catalogue has written.
    """
    return _parsed(value, None)


def _parsed(value: object, context: dict[str, Any] | None) -> Event:
    if not isinstance(value, Mapping):
        raise BadEvent("an event must be a JSON object")
    envelope = _checked(_Envelope, _without_nulls(value), "", context)
    catalogue = _CATALOGUE[envelope.source == OWN_SOURCE]
    if envelope.type not in catalogue:
        whose = " of the source 'itp', which is the service's own" if envelope.source == OWN_SOURCE else ""
        raise BadEvent(f"unknown event type {envelope.type!r}{whose}", "type")
    data = _checked(catalogue[envelope.type], envelope.data, "data.", context)
    source, identity = envelope.restatessource, envelope.restatesid
    restates = (source, identity) if source and identity else None
    return Event(envelope.id, envelope.source, envelope.subject, envelope.time, data, restates)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _checked(model: type[_Model], value: Any, prefix: str, context: dict[str, Any] | None) -> _Model:
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        raise _bad_event(error, prefix) from error


def _bad_event(error: ValidationError, prefix: str) -> BadEvent:
    first, *more = error.errors(include_url=False)
    problem = _PLAIN.get(first["type"]) or plainly(first["type"], first["msg"])
    if more:
        named = [_path(other["loc"], prefix) for other in more[:_NAMED]]
        named += ["..."] * (len(more) > _NAMED)
        problem += f" (and {len(more)} more: {', '.join(named)})"
    return BadEvent(problem, _path(first["loc"], prefix))


def _path(location: tuple[int | str, ...], prefix: str) -> str:
    path = prefix + ".".join(str(part) for part in location if part not in (_SINGLE, _LIST))
    return path[:_LONGEST_PATH]


# A refusal is a line for people, also when 100,000 fields are unknown or a name fills the body.
_NAMED = 20
_LONGEST_PATH = 200
_PLAIN = {"timezone_aware": "must carry its offset from UTC, as +08:00 or Z"}
