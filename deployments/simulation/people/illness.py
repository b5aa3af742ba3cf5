"""Adverse events as they go on: reported, submitted, worse or over, and at worst a death.

Every report of one event is stated under its own `ae`. A death is recorded once somebody tells the site, and
explained by the event that led to it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from deployments.simulation.people.behaviour import Answer
from deployments.simulation.people.draws import pick
from deployments.simulation.people.moment import Life, Moment
from itp_events.events import AdverseEvent, Died, SaeSubmitted

_TERMS = ("headache", "fever", "rash", "epistaxis", "fatigue", "infection", "bleeding", "nausea")
_GRAVEST, _GRAVEST_ALIVE = 5, 4
_REPORTS = 4


def adverse_event(moment: Moment, name: str) -> None:
    """An adverse event begins; the site reports it when it hears of it."""
    life, rules = moment.life, moment.life.behaviour.adverse_events
    if life.dead:
        return
    grade = int(pick(rules.grade, life.draws.of(name, "grade")))
    data = AdverseEvent(
        by="crc-01",
        ae=name,
        term=life.draws.of(name, "term").choice(_TERMS),
        grade=grade,
        serious=grade == _GRAVEST or life.draws.happens(rules.serious, name, "serious"),
        related=life.draws.happens(rules.related, name, "related"),
        on=moment.today,
    )
    hours = rules.reported_hours.draw(life.draws.of(name, "reported"))
    at = moment.now + timedelta(hours=max(0.1, hours))
    moment.later(at if data.serious else life.office(at), lambda later: _report(later, name, data))


def _report(moment: Moment, name: str, data: AdverseEvent, number: int = 1) -> None:
    life = moment.life
    if life.lost or moment.subject_state is None or (life.dead and not data.fatal):
        return
    told = data.model_copy(update=_aware(moment, name, data))
    moment.say(name, told)
    if told.serious:
        submit(moment, name, told.ae)
    if told.fatal:
        _dies_of(moment, name, told)
    elif number < _REPORTS:
        _goes_on(moment, name, told, number)


def _aware(moment: Moment, name: str, data: AdverseEvent) -> dict[str, Any]:
    """The instant at which the site learned of something serious, where that was before its report."""
    if not data.serious:
        return {"aware_at": None}
    hours = moment.life.behaviour.adverse_events.aware_hours.draw(moment.life.draws.of(name, "aware"))
    began = moment.life.site.midnight(data.on)
    return {"aware_at": max(began, moment.now - timedelta(seconds=int(3600 * hours)))} if hours >= 1 else {}


def _goes_on(moment: Moment, name: str, data: AdverseEvent, number: int) -> None:
    """The event grows worse, is over, or nothing more is heard of it."""
    life, rules = moment.life, moment.life.behaviour.adverse_events
    further = f"{data.ae}/report-{number + 1}"
    at = moment.now + timedelta(days=rules.further_days.draw(life.draws.of(further, "days")), minutes=20)
    if life.draws.happens(rules.worsens, further, "worse"):
        fatal = life.draws.happens(rules.fatal, further, "fatal")
        worse = data.model_copy(update=_worse(life, further, data, fatal=fatal))
        hear = at if worse.serious else life.office(at)
        moment.later(hear, lambda later: _report(later, further, worse, number + 1))
    elif life.draws.happens(rules.recovers, further, "recovers"):
        over = data.model_copy(update={"outcome": "recovered"})
        moment.later(life.office(at), lambda later: _report_end(later, further, over))


def _worse(life: Life, name: str, data: AdverseEvent, *, fatal: bool) -> dict[str, Any]:
    if fatal:
        grade = life.draws.of(name, "grade").choice((data.grade, _GRAVEST))
        return {"grade": grade, "serious": True, "outcome": "fatal"}
    what = life.draws.of(name, "what").choice(("grade", "grade", "serious", "related"))
    if what == "grade":
        return {"grade": min(_GRAVEST_ALIVE, data.grade + 1), "outcome": "not-recovered"}
    return {what: True}


def _report_end(moment: Moment, name: str, data: AdverseEvent) -> None:
    if not moment.life.gone and moment.subject_state is not None:
        moment.say(name, data)


def submit(moment: Moment, name: str, ae: str) -> None:
    """Somebody may submit the report of something serious, under the number or id `ae`."""
    life = moment.life
    answer = life.behaviour.answers.submit_sae
    if life.draws.happens(answer.probability, name, "submitted"):
        hours = max(0.2, answer.hours.draw(life.draws.of(name, "submitted", "hours")))
        moment.later(moment.now + timedelta(hours=hours), lambda later: _submitted(later, name, ae))


def _submitted(moment: Moment, name: str, ae: str) -> None:
    standing = moment.subject_state.subject.facts if moment.subject_state else ()
    known = {getattr(event.data, "ae", None) or event.id for event in standing}
    if ae in known:
        moment.say(f"{name}/submitted", SaeSubmitted(by="pi-01", ae=ae, on=moment.today))


def _dies_of(moment: Moment, name: str, data: AdverseEvent) -> None:
    """The subject died of what was reported; the death itself is still to be recorded."""
    moment.life.dead = True
    death = Died(by="crc-01", on=moment.today, ae=data.ae)
    _answered(moment, f"{name}/death", moment.life.behaviour.answers.record_death, death)


def dies(moment: Moment, name: str) -> None:
    """The subject dies; the site hears of it, and later of the adverse event that led to it."""
    life = moment.life
    if life.gone:
        return
    life.dead = True
    death = Died(by="crc-01", on=moment.today)
    hours = life.draws.of(name, "known").uniform(2, 90)
    moment.later(moment.now + timedelta(hours=hours), lambda later: _known_dead(later, name, death))


def _known_dead(moment: Moment, name: str, data: Died) -> None:
    state = moment.subject_state
    if state is None or state.exit is not None:
        return
    event = moment.say(name, data)
    cause = AdverseEvent(
        by="crc-01",
        ae=f"{name}/cause",
        term="intracranial haemorrhage",
        grade=_GRAVEST,
        serious=True,
        related=moment.life.draws.happens(moment.life.behaviour.adverse_events.related, name, "related"),
        on=data.on,
        outcome="fatal",
    )
    _answered(moment, f"{name}/cause", moment.life.behaviour.answers.explain_death, cause)
    submit(
        moment, f"{name}/explained", event.id if moment.life.draws.happens(0.3, name, "own-id") else cause.ae
    )


def _answered(moment: Moment, name: str, rules: Answer, data: Died | AdverseEvent) -> None:
    draws = moment.life.draws
    if draws.happens(rules.probability, name):
        hours = max(0.2, rules.hours.draw(draws.of(name, "hours")))
        moment.later(moment.now + timedelta(hours=hours), lambda later: _stated(later, name, data))


def _stated(moment: Moment, name: str, data: Died | AdverseEvent) -> None:
    if moment.subject_state is None:
        return
    recorded = any(isinstance(event.data, Died) for event in moment.subject_state.subject.facts)
    if isinstance(data, AdverseEvent) or not recorded:
        moment.say(name, data)
