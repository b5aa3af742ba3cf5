"""What happens by chance: adverse events, medicines, pregnancy, withdrawal of consent, death, loss."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from deployments.simulation.people.draws import pick
from deployments.simulation.people.moment import Act, Life, Scene
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
    happen: Callable[[Scene, str], None],
    *,
    repeats: bool = False,
    number: int = 1,
) -> Act | None:
    if per_month <= 0:
        return None
    months = life.draws.of(name, number, "when").expovariate(per_month)
    at = since + timedelta(seconds=int(MONTH.total_seconds() * months))

    def come(scene: Scene) -> None:
        happen(scene, f"{name}-{number}")
        ended = scene.seen is None or (scene.seen.exit and scene.now > scene.seen.exit.at + _AFTER_EXIT)
        after = _next(life, name, per_month, at, happen, repeats=True, number=number + 1) if repeats else None
        if after and not ended:
            scene.plans.append(after)

    return Act(at, come)


def _in_study(scene: Scene) -> bool:
    return scene.seen is not None and scene.seen.exit is None


def _report(scene: Scene, name: str, data: Data) -> Event | None:
    return scene.say(name, data) if _in_study(scene) and not scene.life.lost else None


def _adverse_event(scene: Scene, name: str) -> None:
    life, day = scene.life, scene.today
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
    at = scene.now + timedelta(hours=max(0.1, hours))
    scene.later(at if data.serious else life.office(at), lambda later: _state(later, name, data))


def _state(scene: Scene, name: str, data: AdverseEvent) -> None:
    life = scene.life
    if life.lost or scene.seen is None:
        return
    event = scene.say(name, data)
    if data.serious:
        _submit(scene, name, data.ae)
    if life.draws.happens(life.behaviour.adverse_events.voided, name, "voided"):
        days = 1 + life.draws.of(name, "voided", "days").random() * 10
        void = Voided(by="dm-01", event=event.reference, reason="entered for the wrong subject")
        scene.later(life.office(scene.now + timedelta(days=days)), lambda later: _void(later, name, void))


def _void(scene: Scene, name: str, void: Voided) -> None:
    scene.say(f"{name}/voided", void)


def _submit(scene: Scene, name: str, ae: str) -> None:
    life = scene.life
    answer = life.behaviour.answers.submit_sae
    if life.draws.happens(answer.probability, name, "submitted"):
        hours = max(0.2, answer.hours.draw(life.draws.of(name, "submitted", "hours")))
        scene.later(
            scene.now + timedelta(hours=hours),
            lambda later: _submitted(later, name, SaeSubmitted(by="pi-01", ae=ae, on=later.today)),
        )


def _submitted(scene: Scene, name: str, data: SaeSubmitted) -> None:
    standing = scene.seen.subject.facts if scene.seen else ()
    known = {getattr(event.data, "ae", event.id) for event in standing}
    if data.ae in known:
        scene.say(f"{name}/submitted", data)


def _unscheduled(scene: Scene, name: str) -> None:
    at = scene.life.office(scene.now)
    reason = scene.life.draws.of(name, "why").choice(("new bruises", "platelet count", "a question"))
    scene.later(at, lambda later: _told(later, name, Unscheduled(by="crc-01", on=later.today, reason=reason)))


def _told(scene: Scene, name: str, data: Data) -> None:
    _report(scene, name, data)


def _lose(scene: Scene, name: str) -> None:
    scene.life.lost = True


def _withdraws(scope: str) -> Callable[[Scene, str], None]:
    def withdraw(scene: Scene, name: str) -> None:
        if _may_stop(scene, scope):
            age = scene.seen.subject.enrolled.screening.age_years if scene.seen else 18
            data = ConsentWithdrawn(by="crc-01", on=scene.today, scope=scope, guardian=age < 18)  # type: ignore[arg-type]
            scene.later(scene.life.office(scene.now), lambda later: _told(later, name, data))

    return withdraw


def _may_stop(scene: Scene, scope: str) -> bool:
    """Consent to treatment alone can be withdrawn while there is treatment left."""
    return scope == "study" or bool(scene.seen and not scene.seen.treatment_ended)


def _die(scene: Scene, name: str) -> None:
    data = Died(by="crc-01", on=scene.today)
    hours = scene.life.draws.of(name, "known").uniform(2, 90)
    scene.later(scene.now + timedelta(hours=hours), lambda later: _known_dead(later, name, data))


def _known_dead(scene: Scene, name: str, data: Died) -> None:
    if _in_study(scene):
        scene.say(name, data)


def _pregnancy(scene: Scene, name: str) -> None:
    seen = scene.seen
    if seen is None or not seen.subject.enrolled.screening.childbearing:
        return
    partner = seen.subject.enrolled.screening.sex == "male"
    event = _report(scene, name, Pregnancy(by="crc-01", on=scene.today, partner=partner))
    if event:
        _submit(scene, name, event.id)


def _medicine(kind: str) -> Callable[[Scene, str], None]:
    def change(scene: Scene, name: str) -> None:
        drug = {"rescue": "IVIG", "prohibited": "rituximab", "maintenance": "prednisone"}[kind]
        data = MedicationChanged(by="crc-01", drug=drug, kind=kind, on=scene.today, detail="told at a call")  # type: ignore[arg-type]
        scene.later(scene.life.office(scene.now), lambda later: _told(later, name, data))

    return change
