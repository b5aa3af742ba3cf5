"""Enrolment: the instant at which each subject is screened, and the findings of screening."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from deployments.simulation.people.moment import OPENS, Life, Moment
from itp_events.events import Enrolled, FailedTreatments, Maintenance, Screening

_DRUGS = ("danazol", "prednisone", "azathioprine", "mycophenolate")


def enrolment_at(life: Life, number: int, start: date) -> datetime:
    """The instant at which subject `number` (from 0) is enrolled: in its own slot of the weekly rate.

    It depends on no other subject, so that more subjects change nothing for the first ones.
    """
    slot = 7 / life.behaviour.enrolment.per_week
    days = (number + life.draws.of("enrolment", "day").random()) * slot
    minutes = life.draws.of("enrolment", "minute").uniform(0, 480)
    on = life.site.workdays.on_or_after(start + timedelta(days=int(days)))
    return life.site.at(on, OPENS) + timedelta(seconds=int(minutes * 60))


def enrol(moment: Moment) -> None:
    """State the enrolment as of now."""
    life = moment.life
    chance = life.draws.of("enrolment", "data")
    minor = life.draws.happens(life.behaviour.enrolment.minors, "minor")
    age = chance.randint(4, 17) if minor else chance.randint(18, 75)
    consent_on = moment.today - timedelta(days=chance.randint(3, 21))
    screening = _screening(life, age)
    moment.say(
        "enrolled",
        Enrolled(
            by="crc-01",
            on=moment.today,
            site="01",
            consent_on=consent_on,
            consent_by="guardian" if minor else "subject",
            assent_on=consent_on if minor else None,
            weight_kg=round(chance.uniform(18, 55) if minor else chance.uniform(45, 90), 1),
            baseline_platelets=chance.randint(3, 28),
            screening=screening,
            first_infusion_on=_first_infusion(life, moment.today),
        ),
    )


def _first_infusion(life: Life, today: date) -> date:
    wished = today + timedelta(days=life.draws.of("enrolment", "first").choice((0, 0, 1, 2, 3)))
    on = life.site.workdays.on_or_after(wished)
    return on if (on - today).days <= 4 else today


def _screening(life: Life, age: int) -> Screening:
    chance = life.draws.of("enrolment", "screening")
    female = chance.random() < 0.6
    fertile = 15 <= age <= 50
    fails = life.draws.happens(life.behaviour.enrolment.screen_failures, "screen-failure")
    return Screening(
        age_years=age,
        sex="female" if female else "male",
        itp_months=chance.randint(4, 180),
        failed=FailedTreatments(
            first_line=True, second_line=True, rituximab=True, splenectomy=chance.random() < 0.2
        ),
        maintenance=Maintenance(drug=chance.choice(_DRUGS), stable_weeks=chance.randint(4, 30))
        if chance.random() < 0.5
        else None,
        alt_x_uln=round(chance.uniform(3.1, 5) if fails else chance.uniform(0.2, 2.5), 1),
        ast_x_uln=round(chance.uniform(0.2, 2.5), 1),
        bilirubin_x_uln=round(chance.uniform(0.2, 1.4), 1),
        creatinine_x_uln=round(chance.uniform(0.4, 1.4), 1),
        childbearing=fertile,
        pregnancy_test="negative" if female and fertile else None,
        breastfeeding=False if female and fertile else None,
        contraception=True if fertile else None,
    )
