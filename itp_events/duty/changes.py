"""The changes of duty: what a person states about rotas, absences and deputies.

This module does not say who is on duty: roster.py does. A change is never edited; another one takes it back.
Every date is a local date of the site. A person is the code of an account, in small letters.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from itp_events.errors import BadInput
from itp_events.protocol.model import Audience
from itp_events.validation_messages import plainly

_DAYS = 7

Person = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S+$"), AfterValidator(str.lower)]
People = tuple[Person, ...]


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _OfAudience(_Change):
    """`site` is a site's code; None stands for every site that has no rota of its own."""

    audience: Audience
    site: str | None = None


class Rota(_OfAudience):
    """The people on duty on some days of each week, from the date `first` on.

    `days` are numbered as by ISO 8601: Monday is 1. Without `people` nobody is on duty on these days.
    """

    what: Literal["rota"] = "rota"
    days: Annotated[tuple[Annotated[int, Field(ge=1, le=_DAYS)], ...], Field(min_length=1)]
    people: People
    first: date


class RotaEnded(_OfAudience):
    """From the date `first` on there is no rota: everybody who is tagged with the audience is told."""

    what: Literal["rota-ended"] = "rota-ended"
    first: date


class _Dated(_Change):
    first: date
    last: date

    @model_validator(mode="after")
    def _in_order(self) -> _Dated:
        if self.last < self.first:
            raise ValueError(f"the last day {self.last} is before the first one {self.first}")
        return self


class DutyException(_Dated, _OfAudience):
    """The people on duty from `first` to `last`, both included, whatever the rota says."""

    what: Literal["exception"] = "exception"
    people: People


class Absent(_Change):
    """A person is away from `first` to `last`, both included; without `last`, until they are back."""

    what: Literal["absent"] = "absent"
    person: Person
    first: date
    last: date | None = None
    deputy: Person | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Absent:
        if self.last and self.last < self.first:
            raise ValueError(f"the last day {self.last} is before the first one {self.first}")
        if self.deputy == self.person:
            raise ValueError(f"{self.person} cannot be their own deputy")
        return self


class Back(_Change):
    """A person who is away is back on the date `on`: absences that began by then end on the day before."""

    what: Literal["back"] = "back"
    person: Person
    on: date


class DutyVoided(_Change):
    """The change of the number `change` was wrong, and never counted."""

    what: Literal["void"] = "void"
    change: int
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


Change = Annotated[Rota | RotaEnded | DutyException | Absent | Back | DutyVoided, Field(discriminator="what")]
_READER: TypeAdapter[Change] = TypeAdapter(Change)


class Entry(NamedTuple):
    """A change with the number under which it was recorded."""

    id: int
    change: Change


def read_change(value: dict[str, Any]) -> Change:
    """The change that JSON types state.

    Raises:
        BadInput: it is malformed; the error names the first wrong field.
    """
    try:
        return _READER.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        named = [str(part) for part in first["loc"] if part != value.get("what")]
        said = plainly(first["type"], first["msg"]).removeprefix("Value error, ")
        raise BadInput(said, ".".join(named) or None) from error


def write_change(change: Change) -> dict[str, Any]:
    """The change as JSON types; `read_change` reads it back to an equal one."""
    said: dict[str, Any] = change.model_dump(mode="json", exclude_none=True)
    return said


def named(change: Change) -> tuple[str, ...]:
    """The people whom a change names."""
    match change:
        case Rota() | DutyException():
            return change.people
        case Absent():
            return (change.person, change.deputy) if change.deputy else (change.person,)
        case Back():
            return (change.person,)
        case _:
            return ()
