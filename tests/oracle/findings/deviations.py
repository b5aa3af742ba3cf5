"""The deviations from the protocol, derived from what was stated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from tests.oracle.course import Course, covers
from tests.oracle.eligibility import CONSENT, not_met
from tests.oracle.notices.alerts import dose_off, given_on_hold
from tests.oracle.notices.safety import Clock, clocks
from tests.oracle.periods import asked_anew
from tests.oracle.said import COMPLETED, MISSED, UNSCHEDULED
from tests.oracle.visits import Visit, enrolment


def deviations(course: Course, as_of: datetime) -> list[dict[str, Any]]:
    """Every deviation at an instant, by category, visit, date and importance."""
    return [
        *_visits(course, as_of),
        *_consents(course),
        *_eligibility(course),
        *_safety_reports(course, as_of),
    ]


def _row(category: str, on: date, important: bool, visit: str | None = None) -> dict[str, Any]:
    return {"category": category, "visit": visit, "on": on.isoformat(), "important": important}


def _visits(course: Course, as_of: datetime) -> Iterator[dict[str, Any]]:
    today = course.trial.calendar.day_of(as_of)
    for visit in course.visits:
        rules = visit.trial.rules["deviations"]
        if visit.deviation:
            far = abs(visit.deviation) > rules["window"]["beyond_days"]
            yield _row("window", _done_on(visit), rules["window"]["important"] and far, visit.code)
        if visit.missed or _skipped(course, visit, today):
            important = visit.rule["epoch"] in rules["missed"]["epochs"]
            yield _row(
                "missed", _missed_on(course, visit), rules["missed"]["important"] and important, visit.code
            )
        if visit.done and visit.treatment:
            if dose_off(course, visit.done):
                yield _row("dose", visit.done.on, rules["dose"]["important"], visit.code)
            if given_on_hold(course, visit.done):
                yield _row("on-hold", visit.done.on, rules["on-hold"]["important"], visit.code)


def _done_on(visit: Visit) -> date:
    assert visit.done
    return visit.done.on


def _skipped(course: Course, visit: Visit, today: date) -> bool:
    """Whether the visit was passed over: a later one was done, or a stop found it overdue.

    A window that closed while nothing might be given is nobody's omission; one that hangs on a date which
    is not known yet has not closed.
    """
    if not visit.resolved or covers(course.pauses(visit), _last_instant(course, visit)):
        return False
    later = course.visits[course.visits.index(visit) + 1 :]
    if visit.cancelled and course.stop:
        return visit.treatment and visit.closes < course.stop.on
    return visit.waits and visit.closes < today and any(each.done for each in later)


def _last_instant(course: Course, visit: Visit) -> datetime:
    """The window's last microsecond: a pause that begins at midnight after its last day comes too late."""
    return course.trial.calendar.midnight(visit.closes + timedelta(days=1)) - timedelta(microseconds=1)


def _missed_on(course: Course, visit: Visit) -> date:
    history, calendar = course.history, course.trial.calendar
    stated = [history.known(said) for said in history.standing(MISSED) if said.visit == visit.code]
    return min([visit.closes, *(calendar.day_of(at) for at in stated)])


def _eligibility(course: Course) -> Iterator[dict[str, Any]]:
    enrolled = enrolment(course.history)
    for criterion in not_met(course.trial.versions["1"], enrolled):
        category = "consent" if criterion in CONSENT else "eligibility"
        yield _row(category, enrolled.on, course.trial.rules["deviations"][category]["important"])


def _consents(course: Course) -> Iterator[dict[str, Any]]:
    """What was done under a version before the consent that it asks for anew, or without it."""
    important = course.trial.rules["deviations"]["consent"]["important"]
    history = course.history
    for asked in asked_anew(course.trial, history):
        seen = set()
        for said in history.standing(COMPLETED, UNSCHEDULED):
            if said.type == COMPLETED and said.visit not in {visit.code for visit in course.visits}:
                continue
            late = asked.given is None or asked.given > said.on
            if late and asked.period.reaches(said.on, history.known(said)):
                name = (said.visit, said.on)
                if name not in seen:
                    yield _row("consent", said.on, important, said.visit or None)
                seen.add(name)


def _safety_reports(course: Course, as_of: datetime) -> Iterator[dict[str, Any]]:
    limit = timedelta(hours=max(course.trial.rules["alerts"]["sae"]["clock_hours"]))
    for clock in clocks(course.history):
        due = clock.since + limit
        if due <= as_of if clock.submitted is None else _late(course, clock, due):
            important = course.trial.rules["deviations"]["safety-report"]["important"]
            yield _row("safety-report", course.trial.calendar.day_of(due), important)


def _late(course: Course, clock: Clock, due: datetime) -> bool:
    """Whether a report was submitted late: by its date; on the last day by the instant of its record."""
    assert clock.submitted
    assert clock.on
    day = course.trial.calendar.day_of(due)
    return clock.on > day or (clock.on == day and clock.submitted > due)
