"""Visits: booked or not, attended or not, recorded soon or late, corrected now and then."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from deployments.simulation.people.moment import Act, Life, Scene
from itp_events.events import Booked, Completed, Event, Voided
from itp_events.rules.dose import planned_cells, weighings
from itp_events.rules.state import View
from itp_events.rules.windows import PlannedVisit


def arrange(life: Life, seen: View) -> list[Act]:
    """What will be done about visits whose date is known and for which nothing is arranged yet."""
    acts: list[Act] = []
    for planned in seen.visits:
        wanted = planned.firm and planned.outcome is None and seen.exit is None
        if wanted and planned.code not in life.attended and life.arranged.get(planned.code) != planned.target:
            life.arranged[planned.code] = planned.target
            acts += _arrange(life, seen, planned)
    return acts


def comes_at_all(life: Life, planned: PlannedVisit) -> bool:
    """Whether the subject comes to a visit of its own accord."""
    share = life.behaviour.visits[planned.visit.epoch].missed
    return not life.lost and not life.draws.happens(share, planned.code, "missed")


def _arrange(life: Life, seen: View, planned: PlannedVisit) -> list[Act]:
    if not comes_at_all(life, planned):
        return []
    day = _wished_day(life, seen, planned)
    acts = _booking(life, seen, planned, day)
    if acts and life.draws.happens(life.behaviour.booking.no_show, planned.code, "no-show"):
        days = life.behaviour.booking.comes_days_later.draw(life.draws.of(planned.code, "no-show", "days"))
        day = life.site.workdays.on_or_after(day + timedelta(days=max(1, round(days))))
    return [*acts, come(life, planned, day, seen.now)]


def come(life: Life, planned: PlannedVisit, day: date, now: datetime) -> Act:
    """The subject comes to a visit on a date, if it is still to be had then; not before `now`."""
    code, target = planned.code, planned.target
    at = max(life.clinic(day, code), now + timedelta(minutes=30))
    return Act(at, lambda scene: _attend(scene, code, target))


def _wished_day(life: Life, seen: View, planned: PlannedVisit) -> date:
    spread = life.behaviour.visits[planned.visit.epoch].lateness_days
    late = round(spread.draw(life.draws.of(planned.code, "lateness")))
    earliest = max(seen.today, planned.anchor.on + timedelta(days=1 if late < 0 else 0))
    day = max(life.away_until(planned.target + timedelta(days=late)), earliest)
    workdays = life.site.workdays
    inside = planned.opens <= day <= planned.closes
    near = workdays.nearest(day, max(planned.opens, earliest), planned.closes) if inside else None
    return near or workdays.on_or_after(day)


def _booking(life: Life, seen: View, planned: PlannedVisit, day: date) -> list[Act]:
    rules = life.behaviour.booking
    if not life.draws.happens(rules.probability, planned.code, "booked"):
        return []
    ahead = rules.days_ahead.draw(life.draws.of(planned.code, "booked", "ahead"))
    at = max(life.clinic(day - timedelta(days=round(ahead)), planned.code, "booked"), seen.now)
    at = life.office(at + timedelta(minutes=20))
    target = planned.target

    def book(scene: Scene) -> None:
        if _still_wanted(scene, planned.code, target) and scene.today < day:
            scene.say(f"{planned.code}/booked", Booked(by="crc-01", visit=planned.code, on=day))

    return [Act(at, book)]


def _planned(scene: Scene, code: str) -> PlannedVisit | None:
    return next((each for each in scene.seen.visits if each.code == code), None) if scene.seen else None


def _still_wanted(scene: Scene, code: str, target: date) -> bool:
    planned = _planned(scene, code)
    still = planned and planned.target == target and (planned.outcome is None or planned.missed_by_service)
    return bool(still and scene.seen and not scene.seen.exit and code not in scene.life.attended)


def _attend(scene: Scene, code: str, target: date) -> None:
    life, planned = scene.life, _planned(scene, code)
    if planned is None or life.lost or not _still_wanted(scene, code, target):
        return
    held = scene.seen is not None and scene.seen.on_hold and planned.visit.epoch == "treatment"
    despite = life.draws.happens(life.behaviour.infusion_despite_hold, code, "despite-hold")
    if held and not despite:
        again = life.site.workdays.next(scene.today + timedelta(days=1))
        scene.plans.append(Act(life.clinic(again, code), lambda later: _attend(later, code, target)))
        return
    life.attended[code] = scene.today
    day = scene.today
    scene.later(_entry_at(life, code, scene.now), lambda later: _record(later, code, day))


def _entry_at(life: Life, code: str, now: datetime) -> datetime:
    rules = life.behaviour.data_entry
    entered = now + timedelta(hours=max(0.2, rules.hours.draw(life.draws.of(code, "entry"))))
    if life.draws.happens(rules.late, code, "entry", "late"):
        days = rules.late_days.draw(life.draws.of(code, "entry", "days"))
        entered = now + timedelta(days=max(0.0, days))
    return life.office(entered)


def _record(scene: Scene, code: str, day: date) -> None:
    planned = _planned(scene, code)
    if planned is None or planned.event is not None or scene.seen is None:
        return
    event = scene.say(f"{code}/completed", _results(scene, scene.seen, planned, day))
    rules = scene.life.behaviour.data_entry
    if scene.life.draws.happens(rules.corrected, code, "corrected"):
        days = 1 + scene.life.draws.of(code, "corrected", "days").random() * 12
        at = scene.life.office(scene.now + timedelta(days=days))
        scene.later(at, lambda later: _correct(later, event))


def _results(scene: Scene, seen: View, planned: PlannedVisit, day: date) -> Completed:
    life, code = scene.life, planned.code
    rules = life.behaviour.results
    weight = weighings(seen.subject)[-1].kg * (1 + rules.weight_change.draw(life.draws.of(code, "weight")))
    weight = round(min(max(weight, 10.0), 200.0), 1)
    cells = None
    if planned.visit.epoch == "treatment":
        share = max(0.0, rules.cells_given.draw(life.draws.of(code, "cells")))
        cells = float(round(planned_cells(seen, weighings(seen.subject)[-1]) * share))
    return Completed(
        by="crc-01",
        visit=code,
        on=day,
        weight_kg=weight,
        platelets=round(life.draws.of(code, "platelets").uniform(8, 160)),
        bleeding=life.draws.happens(rules.bleeding, code, "bleeding"),
        cells_given=cells,
    )


def _correct(scene: Scene, event: Event) -> None:
    """The date was mistyped: void the record and state it again, a day earlier, in one batch."""
    data = event.data
    if not isinstance(data, Completed) or scene.seen is None or scene.seen.exit:
        return
    planned = _planned(scene, data.visit)
    if planned is None or planned.event is None or planned.event.key != event.key:
        return
    right = max(data.on - timedelta(days=1), planned.anchor.on)
    scene.say(
        f"{data.visit}/voided",
        Voided(by="dm-01", event=event.reference, reason="the date was mistyped"),
    )
    scene.say(f"{data.visit}/completed", data.model_copy(update={"on": right, "by": "dm-01"}))
