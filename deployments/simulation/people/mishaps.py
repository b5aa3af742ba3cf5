"""Chance events: adverse events, medicines, pregnancy, withdrawals, decisions, death, loss."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from deployments.simulation.people.draws import pick
from deployments.simulation.people.illness import adverse_event, dies, submit
from deployments.simulation.people.moment import Act, Life, Moment
from itp_events.events import (
    ConsentWithdrawn,
    Data,
    MedicationChanged,
    Pregnancy,
    Unscheduled,
    WithdrawalDecided,
)

MONTH = timedelta(days=30.44)
# Adverse events are reported for four weeks after the end of a subject's participation.
_AFTER_EXIT = timedelta(weeks=4)


def mishaps(life: Life, enrolled: datetime) -> list[Act]:
    """The chance events of a subject from its enrolment on."""
    rates = life.behaviour.per_month
    acts = [
        _next(life, "adverse-event", rates.adverse_events, enrolled, adverse_event, repeats=True),
        _next(life, "unscheduled", rates.unscheduled_visits, enrolled, _unscheduled, repeats=True),
        _next(life, "lost", rates.lost, enrolled, _lose),
        _next(life, "consent", rates.consent_withdrawn, enrolled, _withdraws("study")),
        _next(
            life, "treatment-consent", rates.treatment_consent_withdrawn, enrolled, _withdraws("treatment")
        ),
        _next(life, "death", rates.death, enrolled, dies),
        _next(life, "pregnancy", rates.pregnancy, enrolled, _pregnancy),
        _next(life, "decision", rates.decisions, enrolled, _decides, repeats=True),
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


def _news(moment: Moment, name: str, data: Data, *, submitted: bool = False) -> None:
    """The site hears of something and states it, now and then days after its date."""
    life, rules = moment.life, moment.life.behaviour.late_news
    days = (
        rules.days.draw(life.draws.of(name, "late", "days"))
        if life.draws.happens(rules.share, name, "late")
        else 0
    )
    at = life.office(moment.now + timedelta(days=days))
    moment.later(at, lambda later: _told(later, name, data, submitted=submitted))


def _told(moment: Moment, name: str, data: Data, *, submitted: bool) -> None:
    if not _in_study(moment) or moment.life.gone:
        return
    event = moment.say(name, data)
    if submitted:
        submit(moment, name, event.id)


def _unscheduled(moment: Moment, name: str) -> None:
    reason = moment.life.draws.of(name, "why").choice(("new bruises", "platelet count", "a question"))
    at = moment.life.office(moment.now)
    on = moment.life.site.date_of(at)
    moment.later(
        at, lambda later: _told(later, name, Unscheduled(by="crc-01", on=on, reason=reason), submitted=False)
    )


def _lose(moment: Moment, name: str) -> None:
    moment.life.lost = True


def _withdraws(scope: str) -> Callable[[Moment, str], None]:
    def withdraw(moment: Moment, name: str) -> None:
        if _may_stop(moment, scope):
            age = moment.subject_state.subject.enrolled.screening.age_years if moment.subject_state else 18
            data = ConsentWithdrawn(by="crc-01", on=moment.today, scope=scope, guardian=age < 18)  # type: ignore[arg-type]
            _news(moment, name, data)

    return withdraw


def _may_stop(moment: Moment, scope: str) -> bool:
    """Consent to treatment alone can be withdrawn while there is treatment left."""
    return scope == "study" or bool(moment.subject_state and not moment.subject_state.treatment_ended)


def _pregnancy(moment: Moment, name: str) -> None:
    state = moment.subject_state
    if state is None or not state.subject.enrolled.screening.childbearing:
        return
    partner = state.subject.enrolled.screening.sex == "male"
    _news(moment, name, Pregnancy(by="crc-01", on=moment.today, partner=partner), submitted=True)


def _decides(moment: Moment, name: str) -> None:
    """The investigator decides of their own accord, whatever waits."""
    draws, rules = moment.life.draws, moment.life.behaviour.answers.decide
    choice = str(pick(rules.choice, draws.of(name, "choice")))
    value = {"by": "pi-01", "decision": choice, "reason": "a judgement of their own", "on": moment.today}
    _news(moment, name, WithdrawalDecided.model_validate(value))


def _medicine(kind: str) -> Callable[[Moment, str], None]:
    def change(moment: Moment, name: str) -> None:
        drug = {"rescue": "IVIG", "prohibited": "rituximab", "maintenance": "prednisone"}[kind]
        data = MedicationChanged(by="crc-01", drug=drug, kind=kind, on=moment.today, detail="told at a call")  # type: ignore[arg-type]
        _news(moment, name, data)

    return change
