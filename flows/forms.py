"""The forms in Prefect's UI: the statements that coordinators make most often, with typed fields.

Each form is a flow of its own. It records through the same door as every other event: a refusal ends the run
in the state Refused, with the sentence that every door gives. An investigator's decision is no form, because
Prefect's UI knows no identities; the messages about a flag link to a page that asks for a token.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

from prefect import Flow, State, flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.record_event import let_in, stated_at
from flows.study.runtime import current
from itp_events.events import FailedTreatments, Language

SOURCE = "prefect-form"

Subject = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Stated = Annotated[str, Field(min_length=1)]
Amount = Annotated[float, Field(ge=0)]
Weight = Annotated[float, Field(gt=0, le=400)]
Bleeding = Annotated[int, Field(ge=0, le=4, strict=True)] | bool
# A visit of the protocol; the deployment offers its visits to choose from.
Visit = Annotated[str, Field(min_length=1)]


def _form(name: str) -> Callable[[Callable[..., Any]], Flow[..., Any]]:
    return flow(name=name, persist_result=False, retries=0)


@_form("enrol")
async def enrol(
    subject: Subject,
    by: Stated,
    on: date,
    consent_on: date,
    weight_kg: Weight,
    age_years: Annotated[int, Field(ge=0, le=130)],
    sex: Literal["female", "male"],
    itp_months: Amount,
    alt_x_uln: Amount,
    ast_x_uln: Amount,
    bilirubin_x_uln: Amount,
    childbearing: bool,
    failed_first_line: bool = False,
    failed_second_line: bool = False,
    failed_rituximab: bool = False,
    failed_splenectomy: bool = False,
    creatinine_x_uln: Amount | None = None,
    creatinine_clearance_ml_min: Amount | None = None,
    pregnancy_test: Literal["negative", "positive", "not-done"] | None = None,
    breastfeeding: bool | None = None,
    contraception: bool | None = None,
    maintenance_drug: str | None = None,
    maintenance_stable_weeks: Amount | None = None,
    consent_by: Literal["subject", "guardian"] = "subject",
    assent_on: date | None = None,
    first_infusion_on: date | None = None,
    baseline_platelets: Amount | None = None,
    site: Stated = "01",
) -> State:
    """Enrol a subject. You state that the diagnosis follows the guideline and no exclusion criterion is met.

    Args:
        subject: The subject's code, as ITP-007; never a name.
        by: The code of the person who states this, as crc-01.
        on: The day of enrolment, a date at the site.
        consent_on: When informed consent was signed.
        weight_kg: Body weight in kg.
        age_years: Age in whole years.
        sex: Sex.
        itp_months: For how many months ITP has persisted.
        alt_x_uln: ALT as a multiple of the upper limit of normal.
        ast_x_uln: AST as a multiple of the upper limit of normal.
        bilirubin_x_uln: Total bilirubin as a multiple of the upper limit of normal.
        childbearing: A woman of childbearing age, or a fertile man.
        failed_first_line: First-line drugs had no effect.
        failed_second_line: Platelet-producing second-line drugs had no effect.
        failed_rituximab: Rituximab had no effect.
        failed_splenectomy: Splenectomy had no effect, or relapse followed it.
        creatinine_x_uln: Creatinine as a multiple of the upper limit of normal; this or the clearance.
        creatinine_clearance_ml_min: Creatinine clearance in ml/min; this or creatinine.
        pregnancy_test: For women of childbearing age.
        breastfeeding: For women of childbearing age.
        contraception: Contraception or abstinence is agreed.
        maintenance_drug: Another maintenance regimen, if there is one.
        maintenance_stable_weeks: For how many weeks its dose has been stable.
        consent_by: The person who signed; a guardian for a minor.
        assent_on: The day on which a minor assented; needed from the age that the protocol gives.
        first_infusion_on: The agreed date of infusion 1, if it is not the day of enrolment.
        baseline_platelets: Platelets at baseline, 10⁹/L.
        site: The site's code.
    """
    stated = dict(locals())
    return await _record("itp.subject.enrolled", stated.pop("subject"), _enrolment(stated))


_OUTSIDE_SCREENING = frozenset(
    {
        *("by", "on", "site", "consent_on", "consent_by", "assent_on"),
        *("weight_kg", "first_infusion_on", "baseline_platelets"),
    }
)


def _enrolment(stated: dict[str, Any]) -> dict[str, Any]:
    """The data of an enrolment, from the form's flat fields."""
    failed = {name: stated.pop(f"failed_{name}") for name in FailedTreatments.model_fields}
    drug, weeks = stated.pop("maintenance_drug"), stated.pop("maintenance_stable_weeks")
    maintenance = {"drug": drug, "stable_weeks": weeks} if drug or weeks is not None else None
    screening = {name: stated.pop(name) for name in list(stated) if name not in _OUTSIDE_SCREENING}
    return stated | {"screening": screening | {"failed": failed, "maintenance": maintenance}}


@_form("book")
async def book(subject: Subject, by: Stated, visit: Visit, on: date) -> State:
    """Record the date that is agreed for a visit.

    Args:
        subject: The subject's code, as ITP-007; never a name.
        by: The code of the person who states this, as crc-01.
        visit: Which visit of the schedule.
        on: The agreed date at the site.
    """
    return await _record("itp.visit.booked", subject, {"by": by, "visit": visit, "on": on})


@_form("complete")
async def complete(
    subject: Subject,
    by: Stated,
    visit: Visit,
    on: date,
    weight_kg: Weight | None = None,
    platelets: Amount | None = None,
    bleeding: Bleeding | None = None,
    cells_given: Amount | None = None,
) -> State:
    """Record that a visit took place.

    Args:
        subject: The subject's code, as ITP-007; never a name.
        by: The code of the person who states this, as crc-01.
        visit: Which visit of the schedule.
        on: The day of the visit, a date at the site.
        weight_kg: Body weight in kg.
        platelets: Platelets, 10⁹/L.
        bleeding: The grade of bleeding by the WHO scale, 0 (none) to 4, or only whether the subject bled.
        cells_given: Cells given, as an absolute number.
    """
    stated = dict(locals())
    return await _record("itp.visit.completed", stated.pop("subject"), stated)


@_form("missed")
async def missed(subject: Subject, by: Stated, visit: Visit, reason: Stated) -> State:
    """Record that a visit did not take place, and will not.

    Args:
        subject: The subject's code, as ITP-007; never a name.
        by: The code of the person who states this, as crc-01.
        visit: Which visit of the schedule.
        reason: Why it did not take place.
    """
    return await _record("itp.visit.missed", subject, {"by": by, "visit": visit, "reason": reason})


@_form("adverse-event")
async def adverse_event(
    subject: Subject,
    by: Stated,
    ae: Stated,
    term: Stated,
    grade: Annotated[int, Field(ge=1, le=5)],
    serious: bool,
    related: bool,
    on: date,
) -> State:
    """Report an adverse event. The investigator and the sponsor are told of a serious one at once.

    Args:
        subject: The subject's code, as ITP-007; never a name.
        by: The code of the person who states this, as crc-01.
        ae: The adverse event's number, as AE-1.
        term: The event, in the investigator's words.
        grade: CTCAE grade, 1 to 5.
        serious: Whether it is serious.
        related: Whether it is related to the treatment.
        on: When it began, a date at the site.
    """
    stated = dict(locals())
    return await _record("itp.adverse-event.reported", stated.pop("subject"), stated)


@_form("contact-attempt")
async def contact_attempt(subject: Subject, by: Stated, on: date, reached: bool) -> State:
    """Record an attempt to reach a subject.

    Args:
        subject: The subject's code, as ITP-007; never a name.
        by: The code of the person who states this, as crc-01.
        on: The day of the attempt, a date at the site.
        reached: Whether the subject was reached.
    """
    return await _record("itp.contact.attempted", subject, {"by": by, "on": on, "reached": reached})


@_form("reminders")
async def reminders(
    subject: Subject, by: Stated, on: date, agreed: bool, language: Language | None = None
) -> State:
    """Record whether a subject agrees to reminders on the phone or by mail. Nothing is sent without it.

    Args:
        subject: The subject's code, as ITP-007; never a name.
        by: The code of the person who states this, as crc-01.
        on: The day on which the subject said so, a date at the site.
        agreed: Whether the subject agrees; off ends the reminders.
        language: The language of the reminders; the site's when left empty. No number is asked for: it stands
            in the site's own Apprise configuration, under the tag `participant-` and the subject's code.
    """
    stated = dict(locals())
    return await _record("itp.contact.agreed", stated.pop("subject"), stated)


@_form("acknowledge")
async def acknowledge(subject: Subject, by: Stated, visit: Visit, until: date | None = None) -> State:
    """Take on an overdue visit: its messages pause until a date.

    Args:
        subject: The subject's code, as ITP-007; never a name.
        by: The code of the person who looks after it, as crc-01.
        visit: Which visit of the schedule.
        until: As far ahead as the protocol allows; the next working day when left empty.
    """
    return await _record("itp.escalation.acknowledged", subject, {"by": by, "visit": visit, "until": until})


FORMS: tuple[Flow[..., Any], ...] = (
    enrol,
    book,
    complete,
    missed,
    adverse_event,
    contact_attempt,
    reminders,
    acknowledge,
)


async def _record(kind: str, subject: str, data: dict[str, Any]) -> State:
    """Record the event that a form states. It bears the id of the run, so a repeated run counts once."""
    return await let_in(
        {
            "specversion": "1.0",
            "id": str(flow_run.id),
            "source": SOURCE,
            "type": kind,
            "subject": subject,
            "time": stated_at(current().clock).isoformat(),
            "data": {name: f"{value}" if isinstance(value, date) else value for name, value in data.items()},
        },
        of_this_run=True,
    )
