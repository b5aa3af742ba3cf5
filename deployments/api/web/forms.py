"""The forms: for each thing that a person states, the type of its event and the order of its fields.

What a field may hold follows from the catalogue (fields.py). Ids are made once for each form, so that a form
that is sent twice states nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from deployments.api.web.fields import Field, field_of, nested, read, shown, value_at
from itp_events.events import (
    Acknowledged,
    AdverseEvent,
    Answered,
    Booked,
    Completed,
    ConsentGiven,
    ConsentWithdrawn,
    ContactAgreed,
    ContactAttempted,
    Data,
    DeviationAssessed,
    Died,
    Enrolled,
    MedicationChanged,
    Missed,
    Pregnancy,
    SaeSubmitted,
    Unscheduled,
    WithdrawalDecided,
)
from tasks.accounts.account import Role

SOURCE = "web"

FormName = Literal[
    "enrol",
    "book",
    "done",
    "missed",
    "unscheduled",
    "adverse-event",
    "submission",
    "contact",
    "reminders",
    "answer",
    "medication",
    "pregnancy",
    "consent-given",
    "consent-withdrawn",
    "death",
    "acknowledge",
    "assess",
    "decide",
]


@dataclass(frozen=True, slots=True)
class Form:
    """A form: its event type, its fields in order, and the role that may send it."""

    name: FormName
    data: type[Data]
    paths: tuple[str, ...]
    role: Role = "recorder"

    @property
    def is_signed(self) -> bool:
        """Whether the sender signs it, with the password once more: what only an investigator states."""
        return self.role == "investigator"

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields in the order in which they stand."""
        return tuple(field_of(self.data, path) for path in self.paths)


_SCREENING = tuple(
    f"screening.{name}"
    for name in (
        *("age_years", "sex", "itp_months"),
        *("failed.first_line", "failed.second_line", "failed.rituximab", "failed.splenectomy"),
        *("maintenance.drug", "maintenance.stable_weeks"),
        *("alt_x_uln", "ast_x_uln", "bilirubin_x_uln", "creatinine_x_uln", "creatinine_clearance_ml_min"),
        *("childbearing", "pregnancy_test", "breastfeeding", "contraception"),
    )
)
_ALL = (
    Form(
        "enrol",
        Enrolled,
        (
            *("site", "on", "consent_on", "consent_by", "assent_on", "weight_kg", "baseline_platelets"),
            *_SCREENING,
            "first_infusion_on",
        ),
    ),
    Form("book", Booked, ("visit", "on")),
    Form(
        "done",
        Completed,
        ("visit", "on", "weight_kg", "cells_given", "platelets", "bleeding", "confirmed"),
    ),
    Form("missed", Missed, ("visit", "reason")),
    Form("unscheduled", Unscheduled, ("on", "reason")),
    Form(
        "adverse-event",
        AdverseEvent,
        ("ae", "term", "on", "grade", "serious", "related", "aware_at", "outcome"),
    ),
    Form("submission", SaeSubmitted, ("ae", "on")),
    Form("contact", ContactAttempted, ("on", "reached")),
    Form("reminders", ContactAgreed, ("agreed", "language", "on")),
    Form("answer", Answered, ("visit", "on", "answer")),
    Form("medication", MedicationChanged, ("kind", "drug", "on", "detail")),
    Form("pregnancy", Pregnancy, ("on", "partner", "aware_at")),
    Form("consent-given", ConsentGiven, ("kind", "version", "on")),
    Form("consent-withdrawn", ConsentWithdrawn, ("on", "scope", "guardian")),
    Form("death", Died, ("on", "aware_at", "ae")),
    Form("acknowledge", Acknowledged, ("visit", "until")),
    Form("assess", DeviationAssessed, ("deviation", "important", "cause", "action"), "investigator"),
    Form("decide", WithdrawalDecided, ("criterion", "decision", "decode", "reason", "on"), "investigator"),
)
FORMS: dict[str, Form] = {form.name: form for form in _ALL}
FORM_OF: dict[type[Data], Form] = {form.data: form for form in _ALL}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A field that cannot be taken as entered: pydantic's name of the fault, its message and values."""

    path: str
    kind: str
    message: str
    values: Mapping[str, Any]


def stated(form: Form, entered: Mapping[str, str], zone: ZoneInfo) -> dict[str, Any]:
    """The data of the event that a filled-in form states, without `by`."""
    return nested(
        {field.path: read(field, form.data, entered.get(field.path, ""), zone) for field in form.fields}
    )


def wrong_fields(form: Form, data: Mapping[str, Any]) -> list[Wrong]:
    """All fields that the catalogue refuses, in the order of the form."""
    try:
        form.data.model_validate(data, context={"at a door": True})
    except ValidationError as error:
        found = [
            Wrong(
                ".".join(str(part) for part in each["loc"] if isinstance(part, str) and part[0] != "<"),
                each["type"],
                each["msg"],
                each.get("ctx", {}),
            )
            for each in error.errors(include_url=False)
        ]
        order = {path: place for place, path in enumerate(form.paths)}
        return sorted(_on_form(form, found), key=lambda each: order.get(each.path, len(order)))
    return []


def _on_form(form: Form, found: list[Wrong]) -> list[Wrong]:
    """The faults at the form's own fields: a missing part is missing in each field that it must have."""
    shown_wrong: list[Wrong] = []
    for each in found:
        inside = [field for field in form.fields if field.path.startswith(f"{each.path}.")]
        if inside:
            missing = [field for field in inside if field.required]
            shown_wrong += [Wrong(field.path, "missing", "", {}) for field in missing]
        else:
            shown_wrong.append(each)
    return shown_wrong


def entered_of(form: Form, data: Mapping[str, Any], zone: ZoneInfo) -> dict[str, str]:
    """The texts of a form that state the data of an event, given as JSON types."""
    return {field.path: shown(field, value_at(data, field.path), zone) for field in form.fields}


def cloud_event(
    form: Form, identity: str, subject: str, by: str, data: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """The CloudEvent of a form that `by` sends at `now`."""
    return {
        "specversion": "1.0",
        "id": identity,
        "source": SOURCE,
        "type": form.data.type,
        "subject": subject,
        "time": now.isoformat(),
        "data": {"by": by, **data},
    }
