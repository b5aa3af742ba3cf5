"""Reminders of the visits to come, and the ladder of those whose window closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from tests.oracle.course import Course
from tests.oracle.days import DAY
from tests.oracle.history import History
from tests.oracle.notices.row import Row
from tests.oracle.said import BOOKED, Said
from tests.oracle.visits import Visit, enrolment

Useful = Callable[[datetime], bool]


def over_at(course: Course, visit: Visit) -> datetime | None:
    """The instant from which nothing is asked about the visit any more; None while it waits."""
    ends = [course.exit.known] if course.exit else []
    if visit.done:
        ends.append(course.history.known(visit.done))
    elif visit.missed and visit.missed_by != "exit":
        ends.append(visit.missed)
    elif visit.cancelled and course.stop:
        ends.append(course.stop.known)
    return min(ends, default=None)


def asked(course: Course) -> list[Visit]:
    """The visits that may be asked about: what they hang on is known, and nothing was stated of them."""
    return [
        visit
        for visit in course.visits
        if visit.resolved and not visit.done and visit.missed_by != "stated" and not _given_up(course, visit)
    ]


def _given_up(course: Course, visit: Visit) -> bool:
    return bool(course.stop and visit.cancelled)


def reminders(course: Course) -> Iterator[Row]:
    """The reminders of every visit that waits."""
    for visit in asked(course):
        for rank, rule in enumerate(course.trial.rules["reminders"][visit.rule["epoch"]]):
            if rule.get("unless_booked") and visit.booked:
                continue
            if rule["from"] == "booked" and not visit.booked:
                continue
            yield _reminder(course, visit, rule, rank)


def _reminder(course: Course, visit: Visit, rule: dict[str, Any], rank: int) -> Row:
    cells = bool(rule.get("prepares_cells"))
    first = cells and visit.code == course.trial.infusions[0]
    planned = (
        ordered_first(course, visit) if first else course.trial.calendar.at_nine(_day(course, visit, rule))
    )
    due = max([planned, *_missed_before(course, visit)])
    useful = cells_useful(course, visit) if cells else _useful(course, visit, _ends(course, visit, rule))
    known = appears(course, visit)
    return Row(
        "reminder", visit.code, rule["step"], rule["audience"], due, useful, known, rank, planned=planned
    )


def _missed_before(course: Course, visit: Visit) -> list[datetime]:
    """When the service itself counted the visit's anchor as missed: nothing was due before that."""
    anchors = [each for each in course.visits if each.code == visit.anchor and each.missed_by == "service"]
    return [each.missed for each in anchors if each.missed]


def _ends(course: Course, visit: Visit, rule: dict[str, Any]) -> datetime | None:
    """When a reminder is no longer of use: with its window, or the booked day beyond it.

    That somebody did not come on such a day is worth saying until the visit is missed.
    """
    if rule["from"] == "closes" or not visit.booked or visit.booked.on <= visit.closes:
        return _night_after(course, visit.closes)
    return course.ladder(visit).misses if rule["from"] == "booked" else _night_after(course, visit.booked.on)


def _night_after(course: Course, day: date) -> datetime:
    return course.trial.calendar.midnight(day + DAY)


def appears(course: Course, visit: Visit) -> datetime | None:
    """The instant since which the visit's day is known."""
    booked = [course.history.known(visit.booked)] if visit.booked else []
    assert visit.resolved
    return max([visit.resolved, *booked])


def _day(course: Course, visit: Visit, rule: dict[str, Any]) -> date:
    calendar = course.trial.calendar
    if rule["from"] == "closes":
        last_day: date = visit.closes + DAY * rule["days"]
        return last_day
    day: date = visit.when + DAY * rule["days"]
    return calendar.on_or_after(day) if rule["from"] == "booked" else calendar.on_or_before(day)


def _useful(course: Course, visit: Visit, ends: datetime | None) -> Useful:
    over = over_at(course, visit)

    def useful(at: datetime) -> bool:
        if (ends and at >= ends) or (over and at >= over) or course.lies_dead(at):
            return False
        return not (visit.treatment and course.on_hold(at))

    return useful


def cells_useful(course: Course, visit: Visit) -> Useful:
    """When an order of cells is of use: until the day of the infusion, for the first one until its end."""
    first = visit.code == course.trial.infusions[0]
    last = visit.when if first else visit.when - DAY
    return _useful(course, visit, _night_after(course, last))


def ordered_first(course: Course, visit: Visit) -> datetime:
    """When the first infusion's cells are ordered: at enrolment, or at the booking that moves its day."""
    history = course.history
    enrolled = enrolment(history)
    day, since = visit.target, history.known(enrolled, _agreed)
    for booking in _bookings(history, visit):
        if booking.on != day:
            day, since = booking.on, max(since, history.known(booking))
    return since


def _agreed(said: Said) -> object:
    return said.data["on"], said.data.get("first_infusion_on")


def _bookings(history: History, visit: Visit) -> list[Said]:
    found = [said for said in history.standing(BOOKED) if said.visit == visit.code]
    return sorted(found, key=lambda said: (history.known(said), said.name))


def rungs(course: Course) -> Iterator[Row]:
    """The rungs of every ladder."""
    for visit in asked(course):
        over = over_at(course, visit)
        for rung in course.ladder(visit).rungs:
            if rung.due:
                useful = _asking(course, over, rung.answered)
                yield Row(
                    "escalation", visit.code, rung.step, rung.audience, rung.due, useful, visit.resolved
                )


def _asking(course: Course, over: datetime | None, answered: datetime | None) -> Useful:
    def useful(at: datetime) -> bool:
        if (over and at >= over) or (answered and at >= answered):
            return False
        return not course.lies_dead(at)

    return useful
