"""What of a notice's facts rests on an assumption, so that its text can mark it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from itp_events.notices.wanted import WantedNotice
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.state import SubjectState


def assumed_in(state: SubjectState, wanted: WantedNotice, facts: Mapping[str, Any]) -> Iterator[str]:
    """The names by which the texts mark what rests on an assumption.

    `target`, `window`: the visit's dates; `ladder`: on which day whom it is escalated to; `clock`: the hours
    and the limit of a safety report; `criterion`: the withdrawal criterion; `age`: of a consent.
    """
    protocol, rules = state.protocol, state.protocol.eligibility
    if wanted.planned and target_assumed(wanted.planned, state.visits):
        yield "target"
    if wanted.planned and window_assumed(wanted.planned, state.visits):
        yield "window"
    if wanted.kind == "escalation" and protocol.ladder.source == "assumption":
        yield "ladder"
    if "hours" in facts and protocol.alerts["sae"].source == "assumption":
        yield "clock"
    criterion = protocol.criteria.get(facts.get("criterion", ""))
    if criterion and criterion.source == "assumption":
        yield "criterion"
    age = {"majority": rules.consent_of_age, "assent": rules.assent_years}.get(wanted.step)
    if age and age.assumed:
        yield "age"
