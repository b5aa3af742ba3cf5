"""The plausibility of a visit's date: infusions in their order, no visit long before its turn.

This module does not say whether the visit may be recorded at all: rules.py does. 21 CFR 11.10(f): the
permitted sequence of steps is enforced. A date that only looks too early passes when the sender states
`confirmed`.
"""

from __future__ import annotations

from datetime import date

from itp_events.errors import Refused
from itp_events.events import Completed, Event
from itp_events.intake.context import IntakeContext
from itp_events.marks import marked
from itp_events.rules.assumptions import window_assumed
from itp_events.rules.explain import days
from itp_events.rules.windows import PlannedVisit


def check_plausible(context: IntakeContext, planned: PlannedVisit, data: Completed) -> None:
    """Check the date on which a visit is said to have been done.

    Raises:
        Refused: the date breaks a rule; the message names the visit that was probably meant.
    """
    if planned.visit.epoch == "treatment":
        _not_before_enrolment(context, planned, data.on)
        _in_order(context, planned, data.on)
    if not data.confirmed:
        _not_too_early(context, planned, data.on)


def _not_before_enrolment(context: IntakeContext, planned: PlannedVisit, on: date) -> None:
    enrolled = context.subject.enrolled.on
    if on < enrolled:
        raise Refused("before-enrolment", f"{planned.code} on {on} is before the enrolment of {enrolled}")


def _in_order(context: IntakeContext, planned: PlannedVisit, on: date) -> None:
    infusions = [each for each in context.subject_state.visits if each.visit.epoch == "treatment"]
    place = [each.code for each in infusions].index(planned.code)
    for number, other in enumerate(infusions):
        if other.on is None or other.event is None or number == place:
            continue
        early, late = number < place and on <= other.on, number > place and on >= other.on
        if early or late:
            order = "later" if early else "earlier"
            raise Refused(
                "infusion-order",
                f"{planned.code} on {on} must be {order} than {other.code}, done on {other.on} "
                f"({identified(other.event)}){probably_meant(context, planned, on)}",
            )


def _not_too_early(context: IntakeContext, planned: PlannedVisit, on: date) -> None:
    before = _visit_before(context, planned)
    if before is None or on >= before.opens:
        return
    raise Refused(
        "too-early",
        f"{planned.code} on {on} is before the window of {before.code} has opened "
        f"({_window(context, before)}); "
        f"if the date is right, state confirmed: true{probably_meant(context, planned, on)}",
    )


def _visit_before(context: IntakeContext, planned: PlannedVisit) -> PlannedVisit | None:
    visits = context.subject_state.visits
    place = [each.code for each in visits].index(planned.code)
    earlier = (each for each in reversed(visits[:place]) if each.outcome != "cancelled")
    return next(earlier, None)


def probably_meant(context: IntakeContext, planned: PlannedVisit, on: date | None) -> str:
    """A question that names the visit, not recorded yet, whose window holds the date; empty without one."""
    if on is None:
        return ""
    for other in context.subject_state.visits:
        waiting = other.event is None and other.outcome != "cancelled" and other.firm
        if other.code != planned.code and waiting and other.opens <= on <= other.closes:
            return f"; was {other.code} meant, whose window is {_window(context, other)}?"
    return ""


def _window(context: IntakeContext, planned: PlannedVisit) -> str:
    span = days(planned.opens, planned.closes)
    return marked(span, window_assumed(planned, context.subject_state.visits))


def identified(event: Event) -> str:
    """An event's source and id in the words of a refusal."""
    return f"source {event.source}, id {event.id}"
