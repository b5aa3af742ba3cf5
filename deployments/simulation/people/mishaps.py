"""What happens by chance: adverse events, medicines, pregnancy, withdrawal of consent, death, loss."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from deployments.simulation.people.draws import pick
from deployments.simulation.people.moment import Act, Life, Moment
from itp_events.events import (
    AdverseEvent,
    ConsentWithdrawn,
    Data,
    Died,
    Event,
    MedicationChanged,
    Pregnancy,
    SaeSubmitted,
    Unscheduled,
    Voided,
)

MONTH = timedelta(days=30.44)
# Adverse events are reported for four weeks after the end of a subject's participation.
_AFTER_EXIT = timedelta(weeks=4)
_TERMS = ("headache", "fever", "rash", "epistaxis", "fatigue", "infection", "bleeding", "nausea")


def mishaps(life: Life, enrolled: datetime) -> list[Act]:
    """What chance holds for a subject from its enrolment on."""
    rates = life.behaviour.per_month
    acts = [
        _next(life, "adverse-event", rates.adverse_events, enrolled, _adverse_event, repeats=True),
        _next(life, "unscheduled", rates.unscheduled_visits, enrolled, _unscheduled, repeats=True),
        _next(life, "lost", rates.lost, enrolled, _lose),
        _next(life, "consent", rates.consent_withdrawn, enrolled, _withdraws("study")),
        _next(
            life, "treatment-consent", rates.treatment_consent_withdrawn, enrolled, _withdraws("treatment")
        ),
        _next(life, "death", rates.death, enrolled, _die),
        _next(life, "pregnancy", rates.pregnancy, enrolled, _pregnancy),
    ]
    medicines = (
        ("rescue", rates.rescue_medication),
        ("prohibited", rates.prohibited_medication),
        ("maintenance", rates.maintenance_changed),
    )
    acts += [_next(life, kind, rate, enrolled, _medicine(kind), repeats=True) for kind, rate in medicines]
    return [act for act in acts if act]


def _next(
    life: Life,
    name: str,
    per_month: float,
    since: datetime,
    happen: Callable[[Moment, str], None],
    *,
    repeats: bool = False,
    number: int = 1,
) -> Act | None:
    if per_month <= 0:
        return None
    months = life.draws.of(name, number, "when").expovariate(per_month)
    at = since + timedelta(seconds=int(MONTH.total_seconds() * months))

    def come(moment: Moment) -> None:
        happen(moment, f"{name}-{number}")
        ended = moment.subject_state is None or (
            moment.subject_state.exit and moment.now > moment.subject_state.exit.at + _AFTER_EXIT
        )
        after = _next(life, name, per_month, at, happen, repeats=True, number=number + 1) if repeats else None
        if after and not ended:
            moment.plans.append(after)

    return Act(at, come)


def _in_study(moment: Moment) -> bool:
    return moment.subject_state is not None and moment.subject_state.exit is None


def _report(moment: Moment, name: str, data: Data) -> Event | None:
    return moment.say(name, data) if _in_study(moment) and not moment.life.lost else None


def _adverse_event(moment: Moment, name: str) -> None:
    life, day = moment.life, moment.today
    rules = life.behaviour.adverse_events
    hours = rules.reported_hours.draw(life.draws.of(name, "reported"))
    data = AdverseEvent(
        by="crc-01",
        ae=name,
        term=life.draws.of(name, "term").choice(_TERMS),
        grade=int(pick(rules.grade, life.draws.of(name, "grade"))),
        serious=life.draws.happens(rules.serious, name, "serious"),
        related=life.draws.happens(rules.related, name, "related"),
        on=day,
    )
    at = moment.now + timedelta(hours=max(0.1, hours))
    moment.later(at if data.serious else life.office(at), lambda later: _state(later, name, data))


def _state(moment: Moment, name: str, data: AdverseEvent) -> None:
    life = moment.life
    if life.lost or moment.subject_state is None:
        return
    event = moment.say(name, data)
    if data.serious:
        _submit(moment, name, data.ae)
    if life.draws.happens(life.behaviour.adverse_events.voided, name, "voided"):
        days = 1 + life.draws.of(name, "voided", "days").random() * 10
        void = Voided(by="dm-01", event=event.reference, reason="entered for the wrong subject")
        moment.later(life.office(moment.now + timedelta(days=days)), lambda later: _void(later, name, void))


def _void(moment: Moment, name: str, void: Voided) -> None:
    moment.say(f"{name}/voided", void)


def _submit(moment: Moment, name: str, ae: str) -> None:
    life = moment.life
    answer = life.behaviour.answers.submit_sae
    if life.draws.happens(answer.probability, name, "submitted"):
        hours = max(0.2, answer.hours.draw(life.draws.of(name, "submitted", "hours")))
        moment.later(
            moment.now + timedelta(hours=hours),
            lambda later: _submitted(later, name, SaeSubmitted(by="pi-01", ae=ae, on=later.today)),
        )


def _submitted(moment: Moment, name: str, data: SaeSubmitted) -> None:
    standing = moment.subject_state.subject.facts if moment.subject_state else ()
    known = {getattr(event.data, "ae", event.id) for event in standing}
    if data.ae in known:
        moment.say(f"{name}/submitted", data)


def _unscheduled(moment: Moment, name: str) -> None:
    at = moment.life.office(moment.now)
    reason = moment.life.draws.of(name, "why").choice(("new bruises", "platelet count", "a question"))
    moment.later(
        at, lambda later: _told(later, name, Unscheduled(by="crc-01", on=later.today, reason=reason))
    )


def _told(moment: Moment, name: str, data: Data) -> None:
    _report(moment, name, data)


def _lose(moment: Moment, name: str) -> None:
    moment.life.lost = True


def _withdraws(scope: str) -> Callable[[Moment, str], None]:
    def withdraw(moment: Moment, name: str) -> None:
        if _may_stop(moment, scope):
            age = moment.subject_state.subject.enrolled.screening.age_years if moment.subject_state else 18
            data = ConsentWithdrawn(by="crc-01", on=moment.today, scope=scope, guardian=age < 18)  # type: ignore[arg-type]
            moment.later(moment.life.office(moment.now), lambda later: _told(later, name, data))

    return withdraw


def _may_stop(moment: Moment, scope: str) -> bool:
    """Consent to treatment alone can be withdrawn while there is treatment left."""
    return scope == "study" or bool(moment.subject_state and not moment.subject_state.treatment_ended)


def _die(moment: Moment, name: str) -> None:
    data = Died(by="crc-01", on=moment.today)
    hours = moment.life.draws.of(name, "known").uniform(2, 90)
    moment.later(moment.now + timedelta(hours=hours), lambda later: _known_dead(later, name, data))


def _known_dead(moment: Moment, name: str, data: Died) -> None:
    if _in_study(moment):
        moment.say(name, data)


def _pregnancy(moment: Moment, name: str) -> None:
    state = moment.subject_state
    if state is None or not state.subject.enrolled.screening.childbearing:
        return
    partner = state.subject.enrolled.screening.sex == "male"
    event = _report(moment, name, Pregnancy(by="crc-01", on=moment.today, partner=partner))
    if event:
        _submit(moment, name, event.id)


def _medicine(kind: str) -> Callable[[Moment, str], None]:
    def change(moment: Moment, name: str) -> None:
        drug = {"rescue": "IVIG", "prohibited": "rituximab", "maintenance": "prednisone"}[kind]
        data = MedicationChanged(by="crc-01", drug=drug, kind=kind, on=moment.today, detail="told at a call")  # type: ignore[arg-type]
        moment.later(moment.life.office(moment.now), lambda later: _told(later, name, data))

    return change
