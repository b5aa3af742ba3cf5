"""Visits: booked or not, the date moved or not, attended or not, recorded soon or late."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from deployments.simulation.people.draws import pick
from deployments.simulation.people.moment import Act, Life, Moment
from itp_events.events import Booked, Completed
from itp_events.rules.dose import planned_cells, weighings
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit


def arrange(life: Life, state: SubjectState) -> list[Act]:
    """The acts for visits whose date is known and for which nothing is arranged yet."""
    acts: list[Act] = []
    for planned in state.visits:
        wanted = planned.firm and planned.outcome is None and state.exit is None
        if wanted and planned.code not in life.attended and life.arranged.get(planned.code) != planned.target:
            life.arranged[planned.code] = planned.target
            acts += _arrange(life, state, planned)
    return acts


def comes_at_all(life: Life, planned: PlannedVisit) -> bool:
    """Whether the subject comes to a visit of its own accord."""
    share = life.behaviour.visits[planned.visit.epoch].missed
    return not life.gone and not life.draws.happens(share, planned.code, "missed")


def _arrange(life: Life, state: SubjectState, planned: PlannedVisit) -> list[Act]:
    if not comes_at_all(life, planned):
        return []
    day = _wished_day(life, state, planned)
    acts = _booking(life, state, planned, day)
    if acts and life.draws.happens(life.behaviour.booking.moved, planned.code, "moved"):
        day = life.site.workdays.next(day)
        acts.append(_moved(life, planned, day, acts[0].at))
    if acts and life.draws.happens(life.behaviour.booking.no_show, planned.code, "no-show"):
        days = life.behaviour.booking.comes_days_later.draw(life.draws.of(planned.code, "no-show", "days"))
        day = life.site.workdays.on_or_after(day + timedelta(days=max(1, round(days))))
    return [*acts, come(life, planned, day, state.now)]


def come(life: Life, planned: PlannedVisit, day: date, now: datetime) -> Act:
    """The subject comes to a visit on a date, if it is still to be had then; not before `now`."""
    code, target = planned.code, planned.target
    at = max(life.clinic(day, code), now + timedelta(minutes=30))
    return Act(at, lambda moment: _attend(moment, code, target))


def _wished_day(life: Life, state: SubjectState, planned: PlannedVisit) -> date:
    spread = life.behaviour.visits[planned.visit.epoch].lateness_days
    late = round(spread.draw(life.draws.of(planned.code, "lateness")))
    earliest = max(state.today, planned.anchor.on + timedelta(days=1 if late < 0 else 0))
    day = max(life.away_until(planned.target + timedelta(days=late)), earliest)
    workdays = life.site.workdays
    inside = planned.opens <= day <= planned.closes
    near = workdays.nearest(day, max(planned.opens, earliest), planned.closes) if inside else None
    return near or workdays.on_or_after(day)


def _booking(life: Life, state: SubjectState, planned: PlannedVisit, day: date) -> list[Act]:
    rules = life.behaviour.booking
    if not life.draws.happens(rules.probability, planned.code, "booked"):
        return []
    ahead = rules.days_ahead.draw(life.draws.of(planned.code, "booked", "ahead"))
    at = max(life.clinic(day - timedelta(days=round(ahead)), planned.code, "booked"), state.now)
    at = life.office(at + timedelta(minutes=20))
    target = planned.target

    def book(moment: Moment) -> None:
        if _still_wanted(moment, planned.code, target) and moment.today < day:
            moment.say(f"{planned.code}/booked", Booked(by="crc-01", visit=planned.code, on=day))

    return [Act(at, book)]


def _moved(life: Life, planned: PlannedVisit, day: date, booked: datetime) -> Act:
    """Another date is agreed, a working day later than the first."""
    hours = life.draws.of(planned.code, "moved", "hours").uniform(1, 60)
    target = planned.target

    def book(moment: Moment) -> None:
        if _still_wanted(moment, planned.code, target) and moment.today < day:
            moment.say(f"{planned.code}/booked", Booked(by="crc-01", visit=planned.code, on=day))

    return Act(life.office(booked + timedelta(hours=hours)), book)


def _planned(moment: Moment, code: str) -> PlannedVisit | None:
    return (
        next((each for each in moment.subject_state.visits if each.code == code), None)
        if moment.subject_state
        else None
    )


def _still_wanted(moment: Moment, code: str, target: date) -> bool:
    planned = _planned(moment, code)
    still = planned and planned.target == target and (planned.outcome is None or planned.missed_by_service)
    return bool(
        still and moment.subject_state and not moment.subject_state.exit and code not in moment.life.attended
    )


def _attend(moment: Moment, code: str, target: date) -> None:
    life, planned = moment.life, _planned(moment, code)
    if planned is None or life.gone or not _still_wanted(moment, code, target):
        return
    held = (
        moment.subject_state is not None
        and moment.subject_state.on_hold
        and planned.visit.epoch == "treatment"
    )
    despite = life.draws.happens(life.behaviour.infusion_despite_hold, code, "despite-hold")
    if held and not despite:
        again = life.site.workdays.next(moment.today + timedelta(days=1))
        moment.plans.append(Act(life.clinic(again, code), lambda later: _attend(later, code, target)))
        return
    life.attended[code] = moment.today
    day = moment.today
    moment.later(_entry_at(life, code, moment.now), lambda later: _record(later, code, day))


def _entry_at(life: Life, code: str, now: datetime) -> datetime:
    rules = life.behaviour.data_entry
    entered = now + timedelta(hours=max(0.2, rules.hours.draw(life.draws.of(code, "entry"))))
    if life.draws.happens(rules.late, code, "entry", "late"):
        days = rules.late_days.draw(life.draws.of(code, "entry", "days"))
        entered = now + timedelta(days=max(0.0, days))
    return life.office(entered)


def _record(moment: Moment, code: str, day: date) -> None:
    planned = _planned(moment, code)
    if planned is None or planned.event is not None or moment.subject_state is None:
        return
    moment.say(f"{code}/completed", _results(moment, moment.subject_state, planned, day))


def _results(moment: Moment, state: SubjectState, planned: PlannedVisit, day: date) -> Completed:
    life, code = moment.life, planned.code
    rules = life.behaviour.results
    weight = weighings(state.subject)[-1].kg * (1 + rules.weight_change.draw(life.draws.of(code, "weight")))
    weight = round(min(max(weight, 10.0), 200.0), 1)
    cells = None
    if planned.visit.epoch == "treatment":
        share = max(0.0, rules.cells_given.draw(life.draws.of(code, "cells")))
        cells = float(round(planned_cells(state, weighings(state.subject)[-1]) * share))
    return Completed(
        by="crc-01",
        visit=code,
        on=day,
        weight_kg=weight,
        platelets=_platelets(life, state, code),
        bleeding=_bleeding(life, code),
        cells_given=cells,
    )


def _platelets(life: Life, state: SubjectState, code: str) -> int | None:
    """The count, higher once a first infusion could act in who responds; None where it was not recorded."""
    rules, draws = life.behaviour.results, life.draws
    if draws.happens(rules.unrecorded, code, "platelets", "unrecorded"):
        return None
    treated = any(each.on for each in state.visits)
    responds = treated and draws.happens(rules.responds, "responds")
    spread = rules.platelets_responding if responds else rules.platelets
    return round(spread.draw(draws.of(code, "platelets")))


def _bleeding(life: Life, code: str) -> bool | int | None:
    """The WHO grade, now and then only whether there was any; None where it was not recorded."""
    rules, draws = life.behaviour.results, life.draws
    if draws.happens(rules.unrecorded, code, "bleeding", "unrecorded"):
        return None
    bleeds = draws.happens(rules.bleeding, code, "bleeding")
    if draws.happens(rules.ungraded, code, "bleeding", "ungraded"):
        return bleeds
    return int(pick(rules.bleeding_grade, draws.of(code, "bleeding", "grade"))) if bleeds else 0
