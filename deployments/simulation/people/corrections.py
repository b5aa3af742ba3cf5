"""Corrections: a statement turns out wrong, is voided, and is stated anew at once, some days later, or never.

Of a correction the restated event is named after the one that it corrects, with `/again` behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from deployments.simulation.people.behaviour import Kind
from deployments.simulation.people.moment import Act, Life, Moment
from itp_events.events import (
    Acknowledged,
    AdverseEvent,
    Booked,
    Completed,
    ConsentWithdrawn,
    ContactAttempted,
    Data,
    Died,
    Enrolled,
    Event,
    MedicationChanged,
    Missed,
    Pregnancy,
    SaeSubmitted,
    Voided,
    WithdrawalDecided,
)

AGAIN, VOIDED = "/again", "/voided"
_DAY = timedelta(days=1)
_KINDS: dict[type[Data], Kind] = {
    Enrolled: "enrolment",
    Booked: "booking",
    Missed: "missed",
    Acknowledged: "acknowledgement",
    AdverseEvent: "adverse-event",
    SaeSubmitted: "submission",
    Pregnancy: "pregnancy",
    MedicationChanged: "medication",
    ContactAttempted: "contact",
    ConsentWithdrawn: "consent",
    WithdrawalDecided: "decision",
    Died: "death",
}
_TYPED_WRONG = ("reason", "term", "detail")


def correct(life: Life, now: datetime, accepted: Sequence[Event]) -> list[Act]:
    """The acts by which wrong ones of the statements just accepted are corrected."""
    return [act for event in accepted for act in _found_wrong(life, now, event)]


def _found_wrong(life: Life, now: datetime, event: Event) -> Iterator[Act]:
    draws, rules = life.draws, life.behaviour.corrections
    erroneous = isinstance(event.data, AdverseEvent) and AGAIN not in event.id
    withdrawn = erroneous and draws.happens(life.behaviour.adverse_events.voided, event.id, "voided")
    if not withdrawn and not draws.happens(_share(life, event.data), event.id, "wrong"):
        return
    days = rules.days.draw(draws.of(event.id, "wrong", "days"))
    at = life.office(
        now + timedelta(days=days, minutes=30 + draws.of(event.id, "wrong", "minute").randint(0, 400))
    )
    yield Act(at, lambda moment: _correct(moment, event, withdrawn=withdrawn))


def _share(life: Life, data: Data) -> float:
    """The share of statements of a kind that turn out wrong."""
    if isinstance(data, Completed):
        return life.behaviour.data_entry.corrected
    kind = _KINDS.get(type(data))
    return life.behaviour.corrections.share.get(kind, 0) if kind else 0


def _correct(moment: Moment, event: Event, *, withdrawn: bool) -> None:
    life, rules = moment.life, moment.life.behaviour.corrections
    if moment.subject_state is None or event not in moment.subject_state.subject.facts:
        return
    name = event.id.removeprefix(f"{life.code}/")
    alone = isinstance(event.data, Enrolled)
    never = withdrawn or (not alone and life.draws.happens(rules.withdrawn, event.id, "withdrawn"))
    later = not alone and life.draws.happens(rules.apart, event.id, "apart")
    reason = "entered for the wrong subject" if never else "entered wrongly"
    moment.say(f"{name}{VOIDED}", Voided(by=_corrector(event.data), event=event.reference, reason=reason))
    if never:
        return
    data = _right(moment, event)
    if not later:
        moment.say(f"{name}{AGAIN}", data)
        return
    days = rules.apart_days.draw(life.draws.of(event.id, "apart", "days"))
    at = life.office(moment.now + timedelta(days=days, minutes=10))
    moment.later(at, lambda then: _state(then, name, data))


def _state(moment: Moment, name: str, data: Data) -> None:
    moment.say(f"{name}{AGAIN}", data)


def _corrector(data: Data) -> str:
    return data.by if isinstance(data, WithdrawalDecided) else "dm-01"


def _right(moment: Moment, event: Event) -> Data:
    """The statement in place of a wrong one: something that counts differs, or a typing error is mended."""
    life, data = moment.life, event.data
    chance = life.draws.of(event.id, "right")
    change = _CHANGES.get(type(data))
    substance = life.draws.happens(life.behaviour.corrections.of_substance, event.id, "of-substance")
    changed = change(data, chance, moment) if substance and change else _typed_anew(data)
    return changed if isinstance(changed, Data) else type(data).model_validate(data.model_dump() | changed)


def _typed_anew(data: Data) -> dict[str, Any]:
    words = {
        name: f"{getattr(data, name)}, spelt right" for name in _TYPED_WRONG if getattr(data, name, None)
    }
    return words or {"by": _corrector(data)}


def _a_day_before(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    return {"on": data.on - _DAY}


def _visit(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    what = chance.choice(("on", "on", "platelets", "cells_given", "bleeding", "weight_kg"))
    if what == "bleeding":
        return {"bleeding": not data.bleeding}
    if what == "on" or getattr(data, what) is None:
        return _a_day_before(data, chance, moment)
    return {what: round(getattr(data, what) * chance.choice((0.5, 0.85, 0.97, 1.1, 1.25)), 1)}


def _took_place(data: Any, chance: Random, moment: Moment) -> Data | dict[str, Any]:
    """The visit took place after all, inside its window."""
    visits = moment.subject_state.visits if moment.subject_state else ()
    planned = next(each for each in visits if each.code == data.visit)
    if planned.target > moment.today:
        return _typed_anew(data)
    return Completed(by="dm-01", visit=data.visit, on=planned.target, platelets=chance.randint(5, 120))


def _another_day(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    return {"on": data.on + chance.choice((-2, -1, 1, 2)) * _DAY}


def _until(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    return {"until": moment.today + chance.randint(0, 10) * _DAY}


def _severity(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    what = chance.choice(("grade", "grade", "serious", "related"))
    if what != "grade":
        return {what: data.fatal or not getattr(data, what)}
    grade = min(4, max(1, data.grade + chance.choice((-1, 1))))
    return {"grade": grade}


def _partner(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    return {"partner": not data.partner} if chance.random() < 0.5 else _a_day_before(data, chance, moment)


def _medicine(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    what = chance.choice(("kind", "drug", "on"))
    if what == "kind":
        return {"kind": chance.choice(("rescue", "prohibited", "maintenance"))}
    return {"drug": f"{data.drug} depot"} if what == "drug" else _a_day_before(data, chance, moment)


def _reached(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    return {"reached": not data.reached}


def _scope(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    other = {"study": "treatment", "treatment": "study"}
    return {"scope": other[data.scope]} if chance.random() < 0.5 else _a_day_before(data, chance, moment)


def _decision(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    return {"decision": chance.choice(("continue", "stop-treatment", "withdraw"))}


def _enrolment(data: Any, chance: Random, moment: Moment) -> dict[str, Any]:
    what = chance.choice(("weight_kg", "on", "age_years", "alt_x_uln", "baseline_platelets"))
    if what == "on":
        return {"on": data.on - _DAY, "first_infusion_on": None}
    if what in ("age_years", "alt_x_uln"):
        found = {"age_years": data.screening.age_years + 1, "alt_x_uln": chance.choice((0.7, 3.4))}
        return {"screening": data.screening.model_dump() | {what: found[what]}}
    return {what: round(getattr(data, what) * chance.choice((0.6, 0.95, 1.2)), 1)}


_Change = Callable[[Any, Random, Moment], Data | dict[str, Any]]
_CHANGES: dict[type[Data], _Change] = {
    Completed: _visit,
    Missed: _took_place,
    Booked: _another_day,
    Acknowledged: _until,
    AdverseEvent: _severity,
    SaeSubmitted: _a_day_before,
    Pregnancy: _partner,
    MedicationChanged: _medicine,
    ContactAttempted: _reached,
    ConsentWithdrawn: _scope,
    WithdrawalDecided: _decision,
    Died: _a_day_before,
    Enrolled: _enrolment,
}
