"""Infusions that should not have been given: on hold, or after treatment was stopped."""

from __future__ import annotations

from datetime import date, datetime

from itp_events.rules.ladder import Hold
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit


def unwanted_since(state: SubjectState, planned: PlannedVisit) -> datetime | None:
    """The instant since which an infusion is known to have been given on hold or after a stop; None if not.

    What began before the infusion's day counts; of what began or ended on that day, what was known when the
    infusion was recorded.
    """
    if planned.event is None or planned.on is None or planned.visit.epoch != "treatment":
        return None
    recorded = state.subject.known_since(planned.event)
    if any(_held_on(state, hold, planned.on, recorded) for hold in state.holds):
        return recorded
    stop = state.stop
    if stop and (stop.on < planned.on or (stop.on == planned.on and stop.at <= recorded)):
        return max(recorded, stop.at)
    return None


def _held_on(state: SubjectState, hold: Hold, on: date, recorded: datetime) -> bool:
    began = state.subject.site.date_of(hold.at)
    ended = state.subject.site.date_of(hold.until) if hold.until else None
    if began > on or (ended is not None and ended < on):
        return False
    if began == on or ended == on:
        return hold.during(recorded)
    return True
