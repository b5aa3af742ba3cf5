"""Infusions that should not have been given: while on hold, or after treatment was stopped.

This module raises no alert and records no deviation.
"""

from __future__ import annotations

from datetime import date, datetime

from itp_events.rules.ladder import Hold
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit


def unwanted_since(state: SubjectState, planned: PlannedVisit) -> datetime | None:
    """The instant (UTC) since which an infusion is known to have been unwanted; None when it was not.

    A hold or stop from before the infusion's day counts. One that began or ended on that very day counts when
    it was known, and the hold still waited, at the instant at which the infusion was recorded.
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
