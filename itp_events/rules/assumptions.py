"""Which dates rest on an assumption.

An assumption is what the synopsis does not say, or how its words are read where they can be read in more than
one way. A date rests on one when its own rule does, or the date that it hangs on.
"""

from __future__ import annotations

from collections.abc import Iterable

from itp_events.rules.windows import PlannedVisit


def target_assumed(planned: PlannedVisit, visits: Iterable[PlannedVisit]) -> bool:
    """Whether a visit's target rests on an assumption; `visits` is the subject's whole plan.

    That a missed visit's target counts in place of its date is one, so all that is counted from there is
    assumed. A date that was agreed at enrolment is a fact.
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
