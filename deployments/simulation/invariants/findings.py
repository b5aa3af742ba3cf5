"""Deviations and response as they follow from the log alone, held against what the plan says.

Eligibility is judged again for what a correction can change here: age, liver values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import NamedTuple

from deployments.simulation.invariants.reference import Truth
from deployments.simulation.invariants.visits import Visited
from itp_events.events import AdverseEvent, Completed, Enrolled, Event, MedicationChanged
from itp_events.protocol.model import DeviationCategory
from itp_events.rules.deviations import deviations
from itp_events.rules.response import responses
from itp_events.rules.state import SubjectState

_RANKS = {"none": 0, "response": 1, "complete": 2}
_DAY = timedelta(days=1)


class Row(NamedTuple):
    """A deviation, as far as both sides must agree: `important` by the protocol file's rule."""

    category: DeviationCategory
    visit: str | None
    on: date
    important: bool


def different_deviations(truth: Truth, state: SubjectState) -> Iterator[str]:
    """Each deviation that follows from the log and is not in the plan, and the other way round."""
    reports = truth.stated(AdverseEvent)
    doubtful = {"safety-report"} if not all(map(truth.reports.certain, reports)) else set()
    ours = Counter(row for row in _rows(truth, state.now) if row.category not in doubtful)
    plan = Counter(
        Row(each.category, each.visit, each.on, each.ruled)
        for each in deviations(state)
        if each.category not in doubtful
    )
    yield from (f"{_said(row)} follows from the log, and is not in the plan" for row in ours - plan)
    yield from (f"{_said(row)} is in the plan, and does not follow from the log" for row in plan - ours)


def _said(row: Row) -> str:
    important = "important" if row.important else "not important"
    return f"the deviation {row.category} of {row.visit or 'the subject'} on {row.on} ({important})"


def _rows(truth: Truth, now: datetime) -> Iterator[Row]:
    for visit in truth.visits.all:
        yield from _of_visit(truth, visit, truth.site.date_of(now))
    yield from eligibility(truth)
    hours = max(truth.protocol.alerts["sae"].clock_hours)
    for owed in truth.reports.all:
        limit = owed.since + timedelta(hours=hours)
        if _late(truth, owed.submitted, owed.known, limit, now):
            yield _row(truth, "safety-report", None, truth.site.date_of(limit))


def _row(truth: Truth, category: DeviationCategory, visit: Visited | None, on: date, away: int = 0) -> Row:
    rule = truth.protocol.deviations[category]
    important = rule.important
    if visit and rule.beyond_days is not None:
        important = important and abs(away) > rule.beyond_days
    if visit and rule.epochs is not None:
        important = important and visit.rule.epoch in rule.epochs
    return Row(category, visit.code if visit else None, on, important)


def _late(
    truth: Truth, submitted: Event | None, known: datetime | None, limit: datetime, now: datetime
) -> bool:
    if submitted is None or known is None:
        return limit <= now
    on, due = getattr(submitted.data, "on", date.max), truth.site.date_of(limit)
    return bool(on > due or (on == due and known > limit))


def _of_visit(truth: Truth, visit: Visited, today: date) -> Iterator[Row]:
    if visit.on is None or visit.done is None:
        if visit.missed or visit.by_exit or _skipped(truth, visit, today):
            yield _row(truth, "missed", visit, _missed_on(truth, visit))
        return
    if away := visit.outside(visit.on):
        yield _row(truth, "window", visit, visit.on, away)
    if visit.treatment and dose_is_off(truth, visit.done):
        yield _row(truth, "dose", visit, visit.on)
    if visit.treatment and was_held(truth, visit.done, visit.on):
        yield _row(truth, "on-hold", visit, visit.on)


def _missed_on(truth: Truth, visit: Visited) -> date:
    """The last day of the window, or the day before it on which somebody said that the visit is missed."""
    stated = visit.missed
    if stated is None or stated.own:
        return visit.closes
    return min(visit.closes, truth.site.date_of(truth.lineage.known(stated)))


def _skipped(truth: Truth, visit: Visited, today: date) -> bool:
    """Whether a later visit was done instead, or a stop found the infusion overdue; neither with a reason."""
    if not visit.firm or _waited(truth, visit):
        return False
    later = truth.visits.all[truth.visits.all.index(visit) + 1 :]
    if visit.waits:
        return visit.closes < today and any(each.on for each in later)
    stop = truth.visits.stop_on
    return bool(visit.cancelled and visit.treatment and stop and visit.closes < stop)


def _waited(truth: Truth, visit: Visited) -> bool:
    """Whether nothing could be proposed for a visit when its window closed."""
    end = truth.site.midnight(visit.closes + _DAY)
    holds = truth.holds if visit.treatment else truth.deadly
    return any(hold.since < end and (hold.until is None or hold.until >= end) for hold in holds)


def dose_is_off(truth: Truth, done: Event) -> bool:
    """Whether the cells given differ from the dose for the weight by more than the protocol's limit."""
    given, rule = getattr(done.data, "cells_given", None), truth.protocol.dose
    if given is None:
        return False
    planned = Decimal(str(rule.cells_per_kg)) * Decimal(str(_weight(truth, done)))
    return abs(Decimal(str(given)) - planned) > Decimal(str(rule.deviation)) * planned


def _weight(truth: Truth, done: Event) -> float:
    """The weight taken at an infusion, else the one known last before it."""
    assert isinstance(done.data, Completed)
    if done.data.weight_kg:
        return done.data.weight_kg
    before = [
        (event.data.on, event.time, event.key, event.data.weight_kg)
        for event in truth.stated(Completed)
        if isinstance(event.data, Completed)
        and event.data.weight_kg
        and (event.data.on, event.time) < (done.data.on, done.time)
    ]
    enrolled = truth.visits.enrolled
    assert enrolled
    return max(before)[3] if before else enrolled[1].weight_kg


def was_held(truth: Truth, done: Event, on: date) -> bool:
    """Whether an infusion was given on hold, as far as was known when it was recorded."""
    known, day = truth.lineage.known(done), truth.site.date_of
    for hold in truth.holds:
        began, ended = day(hold.since), day(hold.until) if hold.until else date.max
        if began < on < ended or (began <= on <= ended and hold.during(known)):
            return True
    return any(at < on or (at == on and since <= known) for at, since in _stops(truth))


def _stops(truth: Truth) -> Iterator[tuple[date, datetime]]:
    """The dates of what stopped treatment, and since when each is known; the first in the study's order."""
    found = [
        (getattr(event.data, "on", date.max), truth.lineage.known(event))
        for event in truth.events
        if truth.stops(event)
    ]
    yield from sorted(found)[:1]


def eligibility(truth: Truth) -> Iterator[Row]:
    """The criteria that a corrected enrolment does not meet."""
    enrolments = [event for event in truth.lineage.stated if isinstance(event.data, Enrolled)]
    if truth.visits.enrolled is None or len(enrolments) == 1:
        return
    data, rules = truth.visits.enrolled[1], truth.protocol.eligibility
    found = data.screening
    unmet = [
        not (rules.age_years.at_least or 0) <= found.age_years <= (rules.age_years.at_most or 999),
        *(
            value > (limit.at_most or 0)
            for value, limit in (
                (found.alt_x_uln, rules.alt_x_uln),
                (found.ast_x_uln, rules.ast_x_uln),
                (found.bilirubin_x_uln, rules.bilirubin_x_uln),
            )
        ),
    ]
    for _ in range(sum(unmet)):
        yield _row(truth, "eligibility", None, data.on)


def different_response(truth: Truth, state: SubjectState) -> Iterator[str]:
    """Each visit whose response, or its confirmation, is another by the log than in the plan."""
    graded = {visit.code: _grade(truth, visit) for visit in truth.visits.all}
    done = [(visit.on, visit.code) for visit in truth.visits.all if visit.on]
    # Of two visits of one day the protocol's order decides: sorting by the day alone keeps it.
    counts = [
        _Count(code, day, _RANKS[graded[code]])
        for day, code in sorted(done, key=lambda each: each[0])
        if graded[code] in _RANKS
    ]
    for each in responses(state):
        if each.grade != graded[each.visit]:
            yield f"{each.visit} is {graded[each.visit]} by the log, and {each.grade} in the plan"
            continue
        confirmed = _confirmed(truth, counts, each.visit, _RANKS.get(each.grade, 0))
        if each.confirmed != confirmed:
            yield f"{each.visit}: confirmed by the log {confirmed}, in the plan {each.confirmed}"


def _grade(truth: Truth, visit: Visited) -> str:
    data = visit.done.data if visit.done else None
    if not isinstance(data, Completed):
        return "not-evaluable"
    rule = truth.protocol.response
    grade = _by_count(truth, data.platelets)
    if data.bleeding or grade == "none":
        return "none"
    if data.bleeding is None or grade not in _RANKS:
        return "not-evaluable"
    given = [each.on for each in truth.visits.all if each.treatment and each.on]
    span = timedelta(weeks=rule.not_within_weeks_of_rescue)
    rescued = any(on <= data.on <= on + span for on in _rescues(truth))
    return grade if given and data.on > min(given) and not rescued else "not-evaluable"


def _by_count(truth: Truth, count: float | None) -> str:
    """The grade that a count alone gives; empty without one, or without the baseline that it needs."""
    rule, enrolled = truth.protocol.response, truth.visits.enrolled
    baseline = enrolled[1].baseline_platelets if enrolled else None
    if count is None:
        return ""
    if count >= rule.complete_from:
        return "complete"
    if count < rule.response_from:
        return "none"
    if baseline is None:
        return ""
    return "response" if count >= rule.times_baseline * baseline else "none"


def _rescues(truth: Truth) -> list[date]:
    found = [event.data for event in truth.stated(MedicationChanged)]
    return [data.on for data in found if isinstance(data, MedicationChanged) and data.kind == "rescue"]


class _Count(NamedTuple):
    """A count that can be evaluated: its visit, its date, and its grade."""

    visit: str
    on: date
    rank: int


def _confirmed(truth: Truth, counts: Sequence[_Count], code: str, rank: int) -> bool:
    """Whether two counts far enough apart confirm this one, with no lesser count between them."""
    if rank < 1:
        return False
    apart = timedelta(days=truth.protocol.response.confirmed_after_days)
    for first, last in combinations(range(len(counts)), 2):
        stretch = counts[first : last + 1]
        begin, end = stretch[0].on, stretch[-1].on
        unbroken = all(each.rank >= rank for each in stretch)
        rescued = any(begin < day <= end for day in _rescues(truth))
        if end - begin >= apart and code in {each.visit for each in stretch} and unbroken and not rescued:
            return True
    return False
