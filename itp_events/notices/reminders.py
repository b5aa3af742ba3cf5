"""The reminders and the ladder of each visit that is still open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from itp_events.notices.wanted import Duty, visit_key
from itp_events.protocol.model import ENROLMENT, Reminder
from itp_events.rules.state import View
from itp_events.rules.windows import PlannedVisit, acknowledged

_DAY = timedelta(days=1)


def reminders(seen: View) -> Iterator[Duty]:
    """The reminders that hold: of visits with a known anchor, not recorded; of infusions, not on hold.

    While a fatal event stands without a death, there are none.
    """
    for planned in seen.visits:
        if planned.outcome is None and planned.firm and not seen.exit and not seen.held(planned):
            yield from _of_visit(seen, planned)


def rungs(seen: View) -> Iterator[Duty]:
    """The rungs of the ladders that run; those of infusions rest while a flag waits.

    A rung is of use until somebody acknowledges it. While a fatal event stands without a death, none is.
    """
    if seen.exit or seen.unrecorded_death:
        return
    for planned in seen.visits:
        if planned.outcome is None and planned.climb:
            answers = sorted(each.at for each in acknowledged(planned.code, seen.subject))
            for rung, due in planned.climb.rungs:
                # The window, not a booking, is what closed: the rung's key holds the target.
                key = visit_key(seen.subject.code, planned.code, rung.step, rung.audience, planned.target)
                until = next((at for at in answers if at >= due), None)
                yield Duty(key, "escalation", rung.step, rung.audience, due, until, planned, number=rung.day)


def _of_visit(seen: View, planned: PlannedVisit) -> Iterator[Duty]:
    rules = seen.protocol.reminders[planned.visit.epoch]
    found = [_duty(seen, planned, rule) for rule in rules if _applies(rule, planned)]
    known = _silent_until(seen, planned)
    for audience in dict.fromkeys(duty.audience for duty in found):  # in the protocol's order
        # sorted() is stable: of two that are due at once, the later rule of the protocol is the newer.
        row = sorted((duty for duty in found if duty.audience == audience), key=lambda duty: duty.due)
        for duty, newer in zip(row, [*row[1:], None], strict=True):
            useful = _until(duty, newer.due) if newer else duty
            yield useful._replace(due=max(duty.due, known)) if known else useful


def _until(duty: Duty, instant: datetime) -> Duty:
    until = min(duty.until, instant) if duty.until else instant
    return Duty(duty.key, duty.kind, duty.step, duty.audience, duty.due, until, duty.planned)


def _applies(rule: Reminder, planned: PlannedVisit) -> bool:
    if rule.from_ == "booked":
        # When the window closes on the booked day, the ladder's first rung says the same.
        return planned.booked is not None and planned.booked != planned.closes
    return not (rule.unless_booked and planned.booked)


def _duty(seen: View, planned: PlannedVisit, rule: Reminder) -> Duty:
    of_window = rule.from_ == "closes"
    day = planned.target if of_window else planned.day
    key = visit_key(seen.subject.code, planned.code, rule.step, rule.audience, day)
    due = _due(seen, planned, rule)
    return Duty(key, "reminder", rule.step, rule.audience, due, _end(seen, planned, rule), planned)


def _due(seen: View, planned: PlannedVisit, rule: Reminder) -> datetime:
    """When a reminder is due (UTC).

    Cells for the first infusion are ordered at enrolment, or at the booking that moved its date: there may be
    no day left to wait for.
    """
    if rule.prepares_cells and planned.anchor.code == ENROLMENT:
        booking = seen.subject.booked.get(planned.code)
        moved = booking if booking and planned.day != planned.target else seen.subject.enrolment
        return seen.subject.known_since(moved)
    return seen.subject.site.at(_on(seen, planned, rule), seen.protocol.notices_at)


def _silent_until(seen: View, planned: PlannedVisit) -> datetime | None:
    """When the service counted a visit's anchor as missed: before that instant no reminder could come due."""
    if planned.anchor.basis != "planned":
        return None
    anchor = next((each for each in seen.visits if each.code == planned.anchor.code), None)
    return anchor.known_at if anchor and anchor.missed_by_service else None


def _on(seen: View, planned: PlannedVisit, rule: Reminder) -> date:
    workdays = seen.subject.site.workdays
    if rule.from_ == "closes":
        return planned.closes + rule.days * _DAY
    day = planned.day + rule.days * _DAY
    return workdays.on_or_after(day) if rule.from_ == "booked" else workdays.on_or_before(day)


def _end(seen: View, planned: PlannedVisit, rule: Reminder) -> datetime | None:
    site = seen.subject.site
    if rule.prepares_cells:
        first = planned.anchor.code == ENROLMENT
        return site.midnight(planned.day + _DAY if first else planned.day)
    if rule.from_ == "closes":
        return site.midnight(planned.closes + _DAY)
    if rule.from_ == "booked" and planned.day > planned.closes:
        return planned.climb.missed_at if planned.climb else None
    return site.midnight(max(planned.closes, planned.day) + _DAY)
