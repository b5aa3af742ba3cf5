"""What is told at once, and what is asked again until somebody decides."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tests.oracle.course import Course
from tests.oracle.eligibility import not_met
from tests.oracle.illness import codes, deadly_since
from tests.oracle.notices.reminders import asked, over_at
from tests.oracle.notices.row import REPEATS_SHOWN, Row
from tests.oracle.periods import asked_anew
from tests.oracle.said import COMPLETED, CONSENT_GIVEN, Said
from tests.oracle.visits import Visit, enrolment


def alerts(course: Course, as_of: datetime) -> Iterator[Row]:
    """Every alert but those of the safety chain and the cell lab."""
    yield from _visits(course)
    yield from _enrolment(course)
    yield from _flags(course, as_of)
    yield from _endings(course)
    yield from _dispositions(course, as_of)
    yield from _deaths(course, as_of)
    yield from _consents(course, as_of)


def alert(course: Course, name: str, due: datetime, visit: str | None = None) -> Iterator[Row]:
    """One alert to each of its audiences."""
    for audience in course.trial.audiences(name):
        yield Row("alert", visit, name, audience, due)


def _visits(course: Course) -> Iterator[Row]:
    for visit in course.visits:
        if visit.done:
            yield from _done(course, visit, visit.done)
    for visit in asked(course):
        if visit.booked and visit.resolved and not visit.opens <= visit.booked.on <= visit.closes:
            due = max(visit.resolved, course.history.known(visit.booked))
            over = over_at(course, visit)
            for audience in course.trial.audiences("booking-out-of-window"):
                useful = _before([over] if over else [])
                yield Row("alert", visit.code, "booking-out-of-window", audience, due, useful)


def _done(course: Course, visit: Visit, done: Said) -> Iterator[Row]:
    known = course.history.known(done)
    if visit.deviation:
        yield from alert(course, "out-of-window", known, visit.code)
    if visit.treatment:
        held = given_on_hold(course, done)
        if held:
            yield from alert(course, "infusion-on-hold", held, visit.code)
        off = dose_off(course, done)
        if off:
            yield from alert(course, "dose-deviation", off, visit.code)


def given_on_hold(course: Course, done: Said) -> datetime | None:
    """When it was known that the infusion was given while nothing might be given; None when it might."""
    known, on = course.history.known(done), done.on
    calendar = course.trial.calendar
    found = []
    for hold in [*course.holds(), *course.deadly()]:
        began, ended = calendar.day_of(hold.since), calendar.day_of(hold.until) if hold.until else None
        before = began < on and (ended is None or ended > on)
        edge = began <= on and (ended is None or ended >= on) and not before
        if before or (edge and hold.since <= known and (hold.until is None or known < hold.until)):
            found.append(max(known, hold.since))
    stop = course.stop
    if stop and (stop.on < on or (stop.on == on and stop.known <= known)):
        found.append(max(known, stop.known))
    return min(found, default=None)


def dose_off(course: Course, done: Said) -> datetime | None:
    """When it was known that too many or too few cells were given; None when they were right."""
    if "cells_given" not in done.data:
        return None
    history, rule = course.history, course.visit(done.visit).trial.rules["dose"]
    weighed = done if "weight_kg" in done.data else weighed_before(course, done)
    dose = rule["cells_per_kg"] * weighed.data["weight_kg"]
    if abs(done.data["cells_given"] - dose) <= rule["deviation"] * dose * (1 + 1e-12):
        return None
    known = history.known(done, _dosed)
    return max(known, history.known(weighed, lambda said: said.data.get("weight_kg")))


def _dosed(said: Said) -> object:
    return said.visit, said.on, said.data.get("cells_given"), said.data.get("weight_kg")


def weighed_before(course: Course, done: Said) -> Said:
    """What gives the weight known last before an infusion."""
    found = [
        said
        for said in course.history.standing(COMPLETED)
        if "weight_kg" in said.data and said is not done and said.on <= done.on
    ]
    return max(found, key=lambda said: (said.on, said.time, said.name), default=enrolment(course.history))


def _enrolment(course: Course) -> Iterator[Row]:
    history, enrolled = course.history, enrolment(course.history)
    first = course.trial.versions["1"]
    failed = not_met(first, enrolled)
    if failed:
        known = history.known(enrolled, lambda said: not_met(first, said))
        yield from alert(course, "eligibility", known)
    age = enrolled.data["screening"]["age_years"]
    told = history.known(enrolled, lambda said: said.data["screening"]["age_years"])
    limits = course.trial.rules["eligibility"]
    if limits["majority_notice_years"]["at_least"] <= age < limits["consent_of_age"]["at_least"]:
        yield from _until_given(course, "majority", told)
    if limits["assent_notice_years"]["at_least"] <= age < limits["assent_years"]["at_least"]:
        yield from _until_given(course, "assent", told)


def _until_given(course: Course, kind: str, due: datetime) -> Iterator[Row]:
    """What a young subject must be asked for, until it is given."""
    given = [said for said in course.history.standing(CONSENT_GIVEN) if said.data["kind"] == kind]
    over = [course.history.known(said) for said in given]
    for audience in course.trial.audiences(kind):
        yield Row("alert", None, kind, audience, due, _before(over))


def _flags(course: Course, as_of: datetime) -> Iterator[Row]:
    rule = course.trial.rules["alerts"]["decision"]
    for flag in course.flags:
        yield from alert(course, "flag", flag.since)
        over = [at for at in (flag.answered, course.exit and course.exit.known) if at]
        for number, due in _repeats(course, flag.since, rule["every_working_days"], as_of):
            later = [audience for audience, first in rule["later"].items() if number >= first]
            for audience in [*rule["audiences"], *later]:
                step = f"decision-{number}"
                yield Row("alert", None, step, audience, due, _before(over), repeat=number)


def _before(over: list[datetime]):  # type: ignore[no-untyped-def]
    end = min(over, default=None)
    return lambda at: end is None or at < end


def _repeats(course: Course, since: datetime, every: int, as_of: datetime) -> Iterator[tuple[int, datetime]]:
    """The instants at which something is asked again, up to the third or to the last that is due."""
    calendar, number, day = course.trial.calendar, 0, course.trial.calendar.day_of(since)
    while True:
        number, day = number + 1, calendar.next(day, every)
        due = calendar.at_nine(day)
        if number > REPEATS_SHOWN and due > as_of:
            return
        yield number, due


def _endings(course: Course) -> Iterator[Row]:
    if course.stop and any(visit.done for visit in course.infusions):
        yield from alert(course, "treatment-stopped", course.stop.known)
    if course.exit:
        yield from alert(course, "exit", course.exit.known)


def _dispositions(course: Course, as_of: datetime) -> Iterator[Row]:
    last, rule = course.visits[-1], course.trial.rules["alerts"]["disposition"]
    since = last.missed if last.missed_by != "exit" else None
    if last.cancelled and course.stop and last.closes < course.stop.on:
        since = course.stop.known
    if not since:
        return
    over = [course.exit.known] if course.exit else []
    asked = [
        (1, since),
        *((n + 1, due) for n, due in _repeats(course, since, rule["every_working_days"], as_of)),
    ]
    for number, due in asked:
        for audience in rule["audiences"]:
            yield Row("alert", last.code, "disposition", audience, due, _before(over), repeat=number)


def _consents(course: Course, as_of: datetime) -> Iterator[Row]:
    """A consent that a version asks for anew: at once, and every few working days until it is given."""
    for each in asked_anew(course.trial, course.history):
        if each.given or each.period.since is None:
            continue
        rule, since = each.period.trial.rules["alerts"]["re-consent"], each.period.since
        over = [course.exit.known] if course.exit else []
        useful = _before_and_alive(course, over)
        times = [(1, since)]
        times += [(n + 1, due) for n, due in _repeats(course, since, rule["every_working_days"], as_of)]
        for number, due in times:
            for audience in rule["audiences"]:
                yield Row("alert", None, "re-consent", audience, due, useful, repeat=number)


def _before_and_alive(course: Course, over: list[datetime]):  # type: ignore[no-untyped-def]
    before = _before(over)
    return lambda at: before(at) and not course.lies_dead(at)


def _deaths(course: Course, as_of: datetime) -> Iterator[Row]:
    rule = course.trial.rules["alerts"]["death-unrecorded"]
    open_since = [since for ae in codes(course.history) if (since := deadly_since(course.history, ae))]
    for since in sorted(open_since)[:1]:
        over = [course.exit.known] if course.exit else []
        for number, due in _repeats(course, since, rule["every_working_days"], as_of):
            for audience in rule["audiences"]:
                yield Row("alert", None, "death-unrecorded", audience, due, _before(over), repeat=number)
