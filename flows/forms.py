"""The forms in Prefect's UI: what coordinators state most often, as typed fields with choices and dates.

Each form is a flow of its own, and one more way through the same door: a refusal ends the run in the state
Refused with the sentence that every door gives. An investigator's decision is no form, because Prefect's UI
knows no identities; the messages about a flag link to the page that asks who decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

from prefect import Flow, State, flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.record_event import recorded
from flows.runtime import current

SOURCE = "prefect-form"

Subject = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")]
By = Annotated[str, Field(min_length=1)]
Infusion = Literal["INF1", "INF2", "INF3", "INF4", "INF5"]
Visit = Literal[
    "INF1",
    "INF2",
    "INF3",
    "INF4",
    "INF5",
    "FU-D14",
    "FU-M1",
    "FU-M2",
    "FU-M3",
    "FU-M6",
    "FU-M9",
    "FU-M12",
]
VisitCode = Visit
Day = date
Number = Annotated[float, Field(ge=0)]


def _form(name: str) -> Callable[[Callable[..., Any]], Flow[..., Any]]:
    return flow(name=name, persist_result=False, retries=0)


@_form("enrol")
async def enrol(
    subject: Subject,
    by: By,
    on: date,
    consent_on: date,
    weight_kg: Annotated[float, Field(gt=0, le=400)],
    age_years: Annotated[int, Field(ge=0, le=130)],
    sex: Literal["female", "male"],
    itp_months: Annotated[float, Field(ge=0)],
    alt_x_uln: Annotated[float, Field(ge=0)],
    ast_x_uln: Annotated[float, Field(ge=0)],
    bilirubin_x_uln: Annotated[float, Field(ge=0)],
    childbearing: bool,
    failed_first_line: bool = False,
    failed_second_line: bool = False,
    failed_rituximab: bool = False,
    failed_splenectomy: Annotated[bool, Field()] = False,
    creatinine_x_uln: Number | None = None,
    creatinine_clearance_ml_min: Number | None = None,
    pregnancy_test: Literal["negative", "positive", "not-done"] | None = None,
    breastfeeding: bool | None = None,
    contraception: bool | None = None,
    maintenance_drug: str | None = None,
    maintenance_stable_weeks: Annotated[Number | None, Field()] = None,
    consent_by: Literal["subject", "guardian"] = "subject",
    assent_on: date | None = None,
    first_infusion_on: date | None = None,
    baseline_platelets: Number | None = None,
    site: str = "01",
) -> State:
    """Enrol a subject. Whoever enrols states that the diagnosis follows the guideline and nothing excludes."""
    stated = dict(locals())
    return await _record("itp.subject.enrolled", stated.pop("subject"), _enrolment(stated))


def _enrolment(stated: dict[str, Any]) -> dict[str, Any]:
    """The data of an enrolment, from the form's flat fields."""
    failed = {
        name.removeprefix("failed_"): stated.pop(name) for name in list(stated) if name.startswith("failed_")
    }
    drug, weeks = stated.pop("maintenance_drug"), stated.pop("maintenance_stable_weeks")
    maintenance = {"drug": drug, "stable_weeks": weeks} if drug or weeks is not None else None
    screening = {name: stated.pop(name) for name in list(stated) if name not in _OUTSIDE_SCREENING}
    return stated | {"screening": screening | {"failed": failed, "maintenance": maintenance}}


_OUTSIDE_SCREENING = frozenset(
    "by on consent_on consent_by assent_on weight_kg first_infusion_on baseline_platelets site".split()
)


@_form("book")
async def book(subject: Subject, by: By, visit: VisitCode, on: Day) -> State:
    """Record the date that is agreed for a visit."""
    return await _record("itp.visit.booked", subject, {"by": by, "visit": visit, "on": on})


@_form("complete")
async def complete(
    subject: Subject,
    by: By,
    visit: VisitCode,
    on: Day,
    weight_kg: Annotated[float | None, Field(gt=0, le=400)] = None,
    platelets: Number | None = None,
    bleeding: bool | None = None,
    cells_given: Number | None = None,
) -> State:
    """Record that a visit took place."""
    stated = dict(locals())
    return await _record("itp.visit.completed", stated.pop("subject"), stated)


@_form("missed")
async def missed(
    subject: Subject, by: By, visit: VisitCode, reason: Annotated[str, Field(min_length=1)]
) -> State:
    """Record that a visit did not take place and will not."""
    return await _record("itp.visit.missed", subject, {"by": by, "visit": visit, "reason": reason})


@_form("adverse-event")
async def adverse_event(
    subject: Subject,
    by: By,
    ae: Annotated[str, Field(min_length=1)],
    term: Annotated[str, Field(min_length=1)],
    grade: Annotated[int, Field(ge=1, le=5)],
    serious: bool,
    related: bool,
    on: Day,
) -> State:
    """Report an adverse event."""
    stated = dict(locals())
    return await _record("itp.adverse-event.reported", stated.pop("subject"), stated)


@_form("contact-attempt")
async def contact_attempt(subject: Subject, by: By, on: Day, reached: bool) -> State:
    """Record an attempt to reach a subject."""
    return await _record("itp.contact.attempted", subject, {"by": by, "on": on, "reached": reached})


@_form("acknowledge")
async def acknowledge(
    subject: Subject,
    by: By,
    visit: VisitCode,
    until: Annotated[date | None, Field()] = None,
) -> State:
    """Take on an overdue visit: its messages pause until a date."""
    return await _record("itp.escalation.acknowledged", subject, {"by": by, "visit": visit, "until": until})


FORMS: tuple[Flow[..., Any], ...] = (
    enrol,
    book,
    complete,
    missed,
    adverse_event,
    contact_attempt,
    acknowledge,
)


async def _record(kind: str, subject: str, data: dict[str, Any]) -> State:
    """Record what a form states. The run's id is the event's: a run that is repeated counts once."""
    return await asyncio.to_thread(
        recorded,
        {
            "specversion": "1.0",
            "id": str(flow_run.id),
            "source": SOURCE,
            "type": kind,
            "subject": subject,
            "time": current().clock.now().isoformat(),
            "data": {name: f"{value}" if isinstance(value, date) else value for name, value in data.items()},
        },
    )
