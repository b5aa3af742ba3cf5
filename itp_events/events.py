"""The event catalogue: CloudEvents 1.0 envelopes with typed data.

This module checks the form of an event, and not whether the study permits it: the package intake does that.
`source` and `id` identify an event. `time` is the instant at which it was reported. Dates inside `data` are
local dates of the subject's site. Unknown types and fields are refused by name, and null means absent. Events
of the source `itp` are the service's own decisions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticKnownError

from itp_events.errors import BadEvent
from itp_events.validation_messages import did_you_mean, fields_at, plainly

OWN_SOURCE = "itp"
SERVICE = "service"

EventKey = tuple[str, str]
Attributes = tuple[tuple[str, str | int], ...]
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
    # A code that was typed with a Chinese keyboard, or copied with blanks, is the same code. A text without a
    # number is no code: its blanks stay, so that a person's name is not taken for a code.
    if not isinstance(value, str):
        return value
    narrow = unicodedata.normalize("NFKC", value).strip()
    numbered = any(letter.isdigit() for letter in narrow)
    return "".join(narrow.split()) if numbered else narrow


def _legible(value: str) -> str:
    # PostgreSQL cannot store NUL, and no database can store half of a surrogate pair.
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("must be text: no NUL, no half of a surrogate pair")
    return value


def plain_number(value: float) -> str:
    """A number in plain digits, as people state it: 41 and not 41.0, never rounded."""
    return str(int(value)) if value == int(value) else f"{Decimal(repr(value)):f}"


# From here on a double does not hold every whole number.
_WHOLE_TO = 2.0**53


def _as_stated(value: float) -> float:
    return int(value) if abs(value) < _WHOLE_TO and value == int(value) else value


_AT_A_DOOR = {"at a door": True}


def _at_most(length: int) -> AfterValidator:
    """A limit to the length of a text that comes in; a text in the log is read whatever its length."""

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
# In JSON a whole number has no point: nobody stated 41.0.
_Number = Annotated[
    float,
    PlainSerializer(_as_stated, return_type=int | float, when_used="json"),
    WithJsonSchema({"type": "number"}, mode="serialization"),
]
Amount = Annotated[_Number, Field(ge=0, strict=True, allow_inf_nan=False)]
Weight = Annotated[_Number, Field(gt=0, le=400, strict=True, allow_inf_nan=False)]
Years = Annotated[int, Field(ge=0, le=130, strict=True), BeforeValidator(_whole)]
Grade = Annotated[int, Field(ge=1, le=5, strict=True), BeforeValidator(_whole)]
Bleeding = Annotated[
    bool | int,
    PlainValidator(_bleeding),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 4}]}),
]


class Data(BaseModel):
    """The content of one event; `by` names the person or program that states it.

    Each subclass is one type of event. `type` is its name in CloudEvents.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: ClassVar[str]
    by: Word


class Reference(BaseModel):
    """The source and id of another event."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: Word
    id: Word


class FailedTreatments(BaseModel):
    """The earlier treatments that had no effect; a splenectomy counts too when a relapse followed it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    first_line: StrictBool
    second_line: StrictBool
    rituximab: StrictBool
    splenectomy: StrictBool


class Maintenance(BaseModel):
    """A maintenance regimen, and the number of weeks for which its dose has been stable."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    drug: Word
    stable_weeks: Amount


def _regimens_shape(value: object) -> str:
    return _LIST if isinstance(value, list | tuple) else _SINGLE


# Names of the two shapes. The path of a wrong field leaves them out.
_SINGLE, _LIST = "<one>", "<list>"
Regimens = Annotated[
    Annotated[Maintenance, Tag(_SINGLE)] | Annotated[tuple[Maintenance, ...], Tag(_LIST)],
    Discriminator(_regimens_shape),
]


class Screening(BaseModel):
    """Findings of screening and baseline.

    `_x_uln` values are multiples of the upper limit of normal; `itp_months` is the time since the diagnosis.
    """

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
        """The maintenance regimens as a tuple: empty, the one that was stated, or all of the list."""
        if self.maintenance is None:
            return ()
        return self.maintenance if isinstance(self.maintenance, tuple) else (self.maintenance,)


class Enrolled(Data):
    """The subject is enrolled on a local date, with the findings of screening.

    Weight in kg, platelets in 10^9/L. `first_infusion_on` is the date agreed for the first infusion, if any.
    """

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

    Bleeding is a grade of the WHO scale, 0 to 4, or only whether there was any. `confirmed`: the sender has
    checked a date that looks too early.
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
    """An earlier event was wrong: it stays in the log and no longer counts."""

    type = "itp.event.voided"
    event: Reference
    reason: Text


Outcome = Literal["recovered", "recovering", "not-recovered", "sequelae", "fatal", "unknown"]
_DEATH_GRADE = 5  # CTCAE: grade 5 is death related to the adverse event


class AdverseEvent(Data):
    """An adverse event. `ae` is its number, `grade` is by CTCAE, 1 to 5.

    `aware_at` is the instant at which the site became aware of it; None: when it was reported.
    """

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
        """Whether the subject died of the event: grade 5, or the outcome `fatal`."""
        return self.grade == _DEATH_GRADE or self.outcome == "fatal"


class SaeSubmitted(Data):
    """The report of a serious adverse event or pregnancy was submitted; `ae` is its number or its id."""

    type = "itp.sae.submitted"
    ae: Word
    on: LocalDate


class Pregnancy(Data):
    """The subject is pregnant, or with `partner` the subject's partner.

    `aware_at` is the instant at which the site became aware of it; None: when it was reported.
    """

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
    """The subject died; `ae` is the number of the adverse event that led to it, if that is known.

    `aware_at` is the instant at which the site became aware of it; None: when it was reported.
    """

    type = "itp.subject.died"
    on: LocalDate
    aware_at: Instant | None = None
    ae: Word | None = None


class Acknowledged(Data):
    """Somebody takes care of an overdue visit until a date; None: until the next working day."""

    type = "itp.escalation.acknowledged"
    visit: Word
    until: LocalDate | None = None


class DeviationAssessed(Data):
    """The investigator's assessment of a deviation: its importance, its cause, and the action taken."""

    type = "itp.deviation.assessed"
    deviation: Text
    important: StrictBool
    cause: Text | None = None
    action: Text | None = None


class ConsentGiven(Data):
    """A consent given during the study: a renewed one, a child's assent, or the subject's own on majority."""

    type = "itp.consent.given"
    kind: Literal["consent", "assent", "majority"]
    version: Word
    on: LocalDate


Language = Literal["en", "zh-CN"]
Answer = Literal["coming", "not-coming"]


class ContactAgreed(Data):
    """The subject agrees to reminders on the phone or by mail, or does not agree any more.

    `language` is that of the reminders; None: that of the site. No number and no address is ever stated.
    """

    type = "itp.contact.agreed"
    agreed: StrictBool
    language: Language | None = None
    on: LocalDate


class Answered(Data):
    """The subject answers a reminder of a visit; `on` is the date of which the reminder spoke."""

    type = "itp.visit.answered"
    visit: Word
    on: LocalDate
    answer: Answer


class ProtocolAssigned(Data):
    """The subject continues under another version of the protocol."""

    type = "itp.protocol.assigned"
    version: Word
    reason: Text


class NoticeIssued(Data):
    """A notice was decided, to `audience` and about `step`, due at `due` and of use until `until`.

    Both instants are in UTC; without `until` the notice stays of use. `facts` holds the values that fill its
    text, as JSON types: see notices/content_types.py.
    """

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
    """A notice that was handed over asks for something that is done or no longer holds."""

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
    """The subject's participation ended, with the last visit or early."""

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
    ContactAgreed,
    Answered,
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
# Only an investigator may state these or take one back.
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
    # The service writes these two. A sender's values for them have no meaning.
    restatessource: Word | None = None
    restatesid: Word | None = None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent whose data has been checked against the catalogue; `time` is an aware instant.

    `restates` identifies the event that this one states anew, when it came in one batch with that event's
    void. `attributes` are the further attributes of its CloudEvent, by name: they are kept and mean nothing
    here, so that an event that is sent again with others is the same event.
    """

    id: str
    source: str
    subject: str
    time: datetime
    data: Data
    restates: EventKey | None = field(default=None, compare=False)
    attributes: Attributes = field(default=(), compare=False)

    @property
    def type(self) -> str:
        """The event's type, as `itp.visit.completed`."""
        return self.data.type

    @property
    def key(self) -> EventKey:
        """Source and id, which identify the event."""
        return self.source, self.id

    @property
    def own(self) -> bool:
        """Whether the event is a decision of the service itself."""
        return self.source == OWN_SOURCE

    @property
    def reference(self) -> Reference:
        """The event's identity in the form in which another event names it."""
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
            **dict(self.attributes),
            "data": self.data.model_dump(mode="json", exclude_none=True),
        }


def parse_event(value: object) -> Event:
    """The event that a sender's CloudEvent states, given as JSON types.

    Raises:
        BadEvent: it is malformed; the error names the first wrong field and how many more there are.
    """
    return replace(_parsed(value, _AT_A_DOOR), restates=None)


def parse_recorded(value: object) -> Event:
    """The event that an entry of the log holds; limits of length do not apply to it.

    Raises:
        BadEvent: no version of the catalogue has written such an entry.
    """
    return _parsed(value, None)


def _parsed(value: object, context: dict[str, Any] | None) -> Event:
    if not isinstance(value, Mapping):
        raise BadEvent("an event must be a JSON object")
    stated = _without_nulls(value)
    attributes = {name: _whole(stated.pop(name)) for name in list(stated) if _is_further(name)}
    envelope = _checked(_Envelope, stated, "", context)
    catalogue = _CATALOGUE[envelope.source == OWN_SOURCE]
    if envelope.type not in catalogue:
        whose = " of the source 'itp', which is the service's own" if envelope.source == OWN_SOURCE else ""
        near = did_you_mean(envelope.type, catalogue)
        raise BadEvent(f"unknown event type {envelope.type!r}{whose}{near}", "type")
    data = _checked(catalogue[envelope.type], envelope.data, "data.", context)
    kept = _kept(attributes, catalogue[envelope.type])
    source, identity = envelope.restatessource, envelope.restatesid
    restates = (source, identity) if source and identity else None
    return Event(envelope.id, envelope.source, envelope.subject, envelope.time, data, restates, kept)


# The names that CloudEvents lets attributes have, and the length that it advises, doubled.
_ATTRIBUTE = re.compile("[a-z0-9]{1,40}")
_MOST_ATTRIBUTES = 40
_LONGEST_ATTRIBUTE = 1000
_INT32 = 2**31
_JSON_TYPES = re.compile(r"application/json|[\w.+-]+/[\w.+-]+\+json|text/json", re.ASCII | re.IGNORECASE)


def _is_further(name: str) -> bool:
    return name not in _Envelope.model_fields and _ATTRIBUTE.fullmatch(name) is not None


def _kept(attributes: Mapping[str, Any], data: type[Data]) -> Attributes:
    """The further attributes of a CloudEvent, checked, in order of their names."""
    if len(attributes) > _MOST_ATTRIBUTES:
        raise BadEvent(f"at most {_MOST_ATTRIBUTES} further attributes, not {len(attributes)}")
    for name, value in attributes.items():
        if name in data.model_fields:
            raise BadEvent(f"unknown field; did you mean data.{name}?", name)
        if problem := _wrong_attribute(name, value):
            raise BadEvent(problem, name)
    return tuple(sorted(attributes.items()))


def _wrong_attribute(name: str, value: object) -> str | None:
    if name == "datacontenttype" and not (isinstance(value, str) and _JSON_TYPES.fullmatch(_media(value))):
        return "must be application/json: data is JSON"
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if -_INT32 <= value < _INT32 else "must be a whole number of 32 bits"
    if not isinstance(value, str):
        return "must be text, a whole number, true or false"
    if len(value) > _LONGEST_ATTRIBUTE:
        return f"must have at most {_LONGEST_ATTRIBUTE} characters"
    return _illegible(value)


def _media(declared: str) -> str:
    return declared.partition(";")[0].strip()


def _illegible(value: str) -> str | None:
    try:
        _legible(value)
    except ValueError as error:
        return str(error)
    return None


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
        raise _bad_event(model, error, prefix) from error


# The service writes these attributes itself.
_NOT_STATED = {"restatessource", "restatesid"}


def _bad_event(model: type[BaseModel], error: ValidationError, prefix: str) -> BadEvent:
    # An unknown name comes first: a known one that is missing may only be misspelt.
    first, *more = sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    problem = _PLAIN.get(first["type"]) or plainly(first["type"], first["msg"])
    if first["type"] == "extra_forbidden":
        known = {*fields_at(model, first["loc"][:-1])} - _NOT_STATED
        problem += did_you_mean(str(first["loc"][-1]), known)
    if more:
        named = [_path(other["loc"], prefix) for other in more[:_NAMED]]
        named += ["..."] * (len(more) > _NAMED)
        problem += f" (and {len(more)} more: {', '.join(named)})"
    return BadEvent(problem, _path(first["loc"], prefix))


def _path(location: tuple[int | str, ...], prefix: str) -> str:
    path = prefix + ".".join(str(part) for part in location if part not in (_SINGLE, _LIST))
    return path[:_LONGEST_PATH]


# A refusal stays one readable line, even when 100,000 fields are unknown or one name fills the whole body.
_NAMED = 20
_LONGEST_PATH = 200
_PLAIN = {"timezone_aware": "must carry its offset from UTC, as +08:00 or Z"}
