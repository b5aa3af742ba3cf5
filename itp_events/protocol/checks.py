"""Checks of a protocol file beyond the shape of its fields, so that no rule in it is silently idle.

This module does not check the shape (model.py does) and does not know lines (file.py does). Each check yields
the places of what is wrong. A withdrawal criterion is a row of the file plus a function in withdrawal.py: a
row that no function knows would never be met.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, get_args

from itp_events.events import Decode
from itp_events.protocol.model import Criterion, Epoch, ParticipantReminder, Protocol, Reminder

Location = tuple[int | str, ...]
Finding = tuple[Location, str]


class Known(NamedTuple):
    """A criterion that the program knows: its effect, and its parameters with the least value of each."""

    effect: str
    needs: dict[str, int]
    required: bool = False


CRITERIA = {
    "consent-withdrawn": Known("by-scope", {}, required=True),
    "death": Known("exit", {}, required=True),
    "pregnancy": Known("stop-treatment", {}, required=True),
    "investigator-decision": Known("by-decision", {}, required=True),
    "adverse-event": Known("flag", {"grade": 1}),
    "rescue-medication": Known("flag", {}),
    "prohibited-medication": Known("flag", {}),
    "maintenance-changed": Known("flag", {}),
    "missed-infusions": Known("flag", {"in_a_row": 1}),
    "lost-to-follow-up": Known("flag", {"attempts": 1, "days_after_close": 0}),
}
_PARAMETERS = ("grade", "in_a_row", "attempts", "days_after_close")
_BOUNDS = {
    "age_years": ("at_least", "at_most"),
    "itp_months": ("more_than",),
    "maintenance_weeks": ("at_least",),
    "alt_x_uln": ("at_most",),
    "ast_x_uln": ("at_most",),
    "bilirubin_x_uln": ("at_most",),
    "creatinine_x_uln": ("at_most",),
    "creatinine_clearance_ml_min": ("more_than",),
    "consent_of_age": ("at_least",),
    "assent_years": ("at_least",),
    "assent_notice_years": ("at_least",),
    "majority_notice_years": ("at_least",),
}


def findings(protocol: Protocol) -> Iterator[Finding]:
    """Every fault of a protocol with its place, in the order of the checks."""
    for check in _CHECKS:
        yield from check(protocol)


def _criteria(protocol: Protocol) -> Iterator[Finding]:
    known: set[str] = set()
    for place, criterion in enumerate(protocol.withdrawal):
        at = ("withdrawal", place)
        if criterion.criterion in known:
            yield (*at, "criterion"), f"{criterion.criterion} stands more than once"
        known.add(criterion.criterion)
        yield from _criterion(at, criterion)
    for name, rule in CRITERIA.items():
        if rule.required and name not in known:
            yield ("withdrawal",), f"the criterion {name} is missing"


def _criterion(at: Location, criterion: Criterion) -> Iterator[Finding]:
    known = CRITERIA.get(criterion.criterion)
    if known is None:
        names = ", ".join(CRITERIA)
        yield (*at, "criterion"), f"unknown criterion {criterion.criterion!r}; there are {names}"
        return
    if criterion.effect != known.effect:
        yield (*at, "effect"), f"the effect of {criterion.criterion} is {known.effect}"
    for field in ("decode", "guardian_decode"):
        if getattr(criterion, field) not in (None, *get_args(Decode)):
            yield (*at, field), f"must be a DSDECOD: {', '.join(get_args(Decode))}"
    yield from _parameters(at, criterion, known)


def _parameters(at: Location, criterion: Criterion, known: Known) -> Iterator[Finding]:
    for field in _PARAMETERS:
        value, least = getattr(criterion, field), known.needs.get(field)
        if least is None and value is not None:
            yield (*at, field), f"means nothing for {criterion.criterion}"
        elif least is not None and value is None:
            yield at, f"{criterion.criterion} needs {field}"
        elif least is not None and value < least:
            yield (*at, field), f"must be at least {least}"


def _reminders(protocol: Protocol) -> Iterator[Finding]:
    for epoch in get_args(Epoch):
        if epoch not in protocol.reminders:
            yield ("reminders",), f"the list for {epoch} is missing"
    for epoch, rules in protocol.reminders.items():
        known: set[tuple[str, str]] = set()
        for place, rule in enumerate(rules):
            at = ("reminders", epoch, place, "step")
            yield from _step(at, rule)
            if (rule.step, rule.audience) in known:
                yield at, f"{rule.step} to {rule.audience} stands more than once"
            known.add((rule.step, rule.audience))


def _step(at: Location, rule: Reminder | ParticipantReminder) -> Iterator[Finding]:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", rule.step):
        yield at, "must be letters, digits and hyphens, as T-7d"


def _participant(protocol: Protocol) -> Iterator[Finding]:
    rule = protocol.participant
    if rule is None:
        return
    if rule.from_ >= rule.until:
        yield ("participant", "until"), f"must be later than {rule.from_:%H:%M}"
    others = {each.step for rules in protocol.reminders.values() for each in rules}
    for place, each in enumerate(rule.reminders):
        at = ("participant", "reminders", place)
        yield from _step((*at, "step"), each)
        # The step tells a message to the subject from those to the site, in keys and in texts.
        if each.step in others:
            yield (*at, "step"), f"{each.step} stands more than once"
        others.add(each.step)
        for number, code in enumerate(each.visits or ()):
            if code not in protocol.by_code:
                yield (*at, "visits", number), f"the protocol has no visit {code!r}"


def _ladder(protocol: Protocol) -> Iterator[Finding]:
    rungs = protocol.ladder.rungs
    if not rungs:
        yield ("ladder", "rungs"), "at least one rung is needed"
        return
    for place, (lower, upper) in enumerate(pairwise(rungs), 1):
        if upper.day <= lower.day:
            yield ("ladder", "rungs", place), f"{upper.step} must come on a later day than {lower.step}"
    steps = [rung.step for rung in rungs]
    for place, step in enumerate(steps):
        if step in steps[:place]:
            yield ("ladder", "rungs", place, "step"), f"{step} stands more than once"
    if protocol.ladder.missed_on_day <= rungs[-1].day:
        yield ("ladder", "missed_on_day"), f"must be after {rungs[-1].step} on day {rungs[-1].day}"


def _alerts(protocol: Protocol) -> Iterator[Finding]:
    for name, alert in protocol.alerts.items():
        if not alert.audiences:
            yield ("alerts", name, "audiences"), "at least one audience is needed"
        if len({*alert.audiences, *alert.later}) < len(alert.audiences) + len(alert.later):
            yield ("alerts", name, "audiences"), "an audience stands more than once"
    hours = protocol.alerts["sae"].clock_hours
    if not hours or list(hours) != sorted(set(hours)):
        yield ("alerts", "sae"), "clock_hours must name at least one hour, in rising order, as [20, 24]"
    for repeated in ("decision", "disposition", "death-unrecorded", "re-consent"):
        if repeated in protocol.alerts and protocol.alerts[repeated].every_working_days is None:
            yield (
                ("alerts", repeated),
                "every_working_days is required: it is repeated until somebody decides",
            )


def _eligibility(protocol: Protocol) -> Iterator[Finding]:
    for name, bounds in _BOUNDS.items():
        limit = getattr(protocol.eligibility, name)
        for bound in bounds:
            if getattr(limit, bound) is None:
                yield ("eligibility", name), f"{bound} is required"
        if None not in (limit.at_least, limit.at_most) and limit.at_least > limit.at_most:
            yield ("eligibility", name), "at_least is more than at_most"


def _response(protocol: Protocol) -> Iterator[Finding]:
    for place, code in enumerate(protocol.response.sustained_at):
        if code not in protocol.by_code:
            yield ("response", "sustained_at", place), f"the protocol has no visit {code!r}"


_CHECKS: tuple[Callable[[Protocol], Iterator[Finding]], ...] = (
    _reminders,
    _participant,
    _ladder,
    _alerts,
    _criteria,
    _eligibility,
    _response,
)
