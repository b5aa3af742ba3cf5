"""Finding the dates that rest on an assumption.

This module does not mark them: the texts and the tables do. A rule is an assumption when the synopsis does
not state it, or when the words of the synopsis allow more than one reading. A date rests on an assumption
when its own rule is one, or when it is counted from such a date.
"""

from __future__ import annotations

from collections.abc import Iterable

from itp_events.rules.windows import PlannedVisit


def target_assumed(planned: PlannedVisit, visits: Iterable[PlannedVisit]) -> bool:
    """Whether a visit's target rests on an assumption; `visits` is the subject's whole plan.

    It is an assumption that a missed visit's target counts in place of its date, so that every date counted
    from there is assumed. A date that was agreed at enrolment is a fact.
    """
    if planned.agreed:
        return False
    if planned.visit.target_assumed or planned.anchor.basis == "planned":
        return True
    if planned.anchor.basis == "actual":
        return False
    visits = tuple(visits)
    anchor = next((each for each in visits if each.code == planned.anchor.code), None)
    return anchor is not None and target_assumed(anchor, visits)


def window_assumed(planned: PlannedVisit, visits: Iterable[PlannedVisit]) -> bool:
    """Whether a visit's window rests on an assumption: by its own rule, or because its target does."""
    return planned.visit.source.window == "assumption" or target_assumed(planned, visits)
