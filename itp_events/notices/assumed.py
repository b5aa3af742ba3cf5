"""What of a notice's facts rests on an assumption, so that its text can mark it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from itp_events.notices.wanted import Duty
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.state import View


def assumed_in(seen: View, duty: Duty, facts: Mapping[str, Any]) -> Iterator[str]:
    """The names by which the texts mark what rests on an assumption.

    `target`, `window`: the visit's dates; `ladder`: on which day whom it is escalated to; `clock`: the hours
    and the limit of a safety report; `criterion`: the withdrawal criterion; `age`: of a consent.
    """
    protocol, rules = seen.protocol, seen.protocol.eligibility
    if duty.planned and target_assumed(duty.planned, seen.visits):
        yield "target"
    if duty.planned and window_assumed(duty.planned, seen.visits):
        yield "window"
    if duty.kind == "escalation" and protocol.ladder.source == "assumption":
        yield "ladder"
    if "hours" in facts and protocol.alerts["sae"].source == "assumption":
        yield "clock"
    criterion = protocol.criteria.get(facts.get("criterion", ""))
    if criterion and criterion.source == "assumption":
        yield "criterion"
    age = {"majority": rules.consent_of_age, "assent": rules.assent_years}.get(duty.step)
    if age and age.assumed:
        yield "age"
