"""The reminders and the escalations that are wanted for each visit that is still open.

This module does not say what they say (contents.py does) and issues nothing (reconcile.py does).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from itp_events.notices.wanted import WantedNotice, visit_key
from itp_events.protocol.model import ENROLMENT, Reminder
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit, acknowledged

_DAY = timedelta(days=1)


def reminders(state: SubjectState) -> Iterator[WantedNotice]:
    """The reminders of every visit whose anchor is known and of which nothing is recorded yet.

    An infusion on hold has none. There are none at all while a fatal adverse event stands without a death.
    """
    for planned in state.visits:
        if planned.outcome is None and planned.firm and not state.exit and not state.held(planned):
            yield from visit_reminders(state, planned)


def rungs(state: SubjectState) -> Iterator[WantedNotice]:
    """The escalations of every visit whose ladder runs; an infusion's ladder rests while a flag waits.

    An escalation is of use until somebody acknowledges it. There are none while a fatal adverse event stands
    without a death.
    """
    if state.exit or state.unrecorded_death:
        return
    for planned in state.visits:
        if planned.outcome is None and planned.climb:
            answers = sorted(each.at for each in acknowledged(planned, state.subject))
            for rung, due in planned.climb.rungs:
                # The ladder begins when the window closes, not at a booking: its keys hold the target.
                key = visit_key(state.subject.code, planned.code, rung.step, rung.audience, planned.target)
                until = next((at for at in answers if at >= due), None)
                yield WantedNotice(
                    key,
                    "escalation",
                    rung.step,
                    rung.audience,
                    due,
                    until,
                    planned,
                    number=rung.day,
                    day=planned.target,
                )


def visit_reminders(state: SubjectState, planned: PlannedVisit) -> Iterator[WantedNotice]:
    """The reminders of one visit by the protocol, each of use until the next one to its audience is due."""
    rules = state.protocol.reminders[planned.visit.epoch]
    applying = [_wanted(state, planned, rule) for rule in rules if _applies(rule, planned)]
    known = _silent_until(state, planned)
    for audience in dict.fromkeys(wanted.audience for wanted in applying):  # in the protocol's order
        # sorted() is stable: of two that are due at once, the later rule of the protocol is the newer.
        theirs = sorted(
            (wanted for wanted in applying if wanted.audience == audience), key=lambda wanted: wanted.due
        )
        for wanted, newer in zip(theirs, [*theirs[1:], None], strict=True):
            useful = _until(wanted, newer.due) if newer else wanted
            yield useful._replace(due=max(wanted.due, known)) if known else useful


def _until(wanted: WantedNotice, instant: datetime) -> WantedNotice:
    until = min(wanted.until, instant) if wanted.until else instant
    return wanted._replace(until=until)


def _applies(rule: Reminder, planned: PlannedVisit) -> bool:
    if rule.from_ == "booked":
        # When the window closes on the booked day, the ladder's first rung says the same.
        return planned.booked is not None and planned.booked != planned.closes
    return not (rule.unless_booked and planned.booked)


def _wanted(state: SubjectState, planned: PlannedVisit, rule: Reminder) -> WantedNotice:
    of_window = rule.from_ == "closes"
    day = planned.target if of_window else planned.day
    key = visit_key(state.subject.code, planned.code, rule.step, rule.audience, day)
    due, end = _due(state, planned, rule), _end(state, planned, rule)
    return WantedNotice(key, "reminder", rule.step, rule.audience, due, end, planned, day=day)


def _due(state: SubjectState, planned: PlannedVisit, rule: Reminder) -> datetime:
    """The instant (UTC) at which a reminder is due.

    Cells for the first infusion are ordered at enrolment, or at the booking that moved its date, because
    there may be no day left to wait for.
    """
    if rule.prepares_cells and planned.anchor.code == ENROLMENT:
        booking = state.subject.booked.get(planned.code)
        moved = booking if booking and planned.day != planned.target else state.subject.enrolment
        return state.subject.known_since(moved)
    return state.subject.site.at(_on(state, planned, rule), state.protocol.notices_at)


def _silent_until(state: SubjectState, planned: PlannedVisit) -> datetime | None:
    """The instant (UTC) at which the service counted the visit's anchor as missed; None when it did not.

    Before that instant no reminder could come due.
    """
    if planned.anchor.basis != "planned":
        return None
    anchor = next((each for each in state.visits if each.code == planned.anchor.code), None)
    return anchor.known_at if anchor and anchor.missed_by_service else None


def _on(state: SubjectState, planned: PlannedVisit, rule: Reminder) -> date:
    """The site-local date on which a reminder is due."""
    workdays = state.subject.site.workdays
    if rule.from_ == "closes":
        return planned.closes + rule.days * _DAY
    day = planned.day + rule.days * _DAY
    return workdays.on_or_after(day) if rule.from_ == "booked" else workdays.on_or_before(day)


def _end(state: SubjectState, planned: PlannedVisit, rule: Reminder) -> datetime | None:
    """The instant (UTC) from which a reminder is of no use any more."""
    site = state.subject.site
    if rule.prepares_cells:
        first = planned.anchor.code == ENROLMENT
        return site.midnight(planned.day + _DAY if first else planned.day)
    if rule.from_ == "closes":
        return site.midnight(planned.closes + _DAY)
    if rule.from_ == "booked" and planned.day > planned.closes:
        return planned.climb.missed_at if planned.climb else None
    return site.midnight(max(planned.closes, planned.day) + _DAY)
