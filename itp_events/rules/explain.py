"""Dates, spans, numbers and visits in words, with the event, the rule and the source behind each.

This module derives nothing. Its words are English; the notices have texts of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache

from itp_events.events import Missed
from itp_events.marks import marked
from itp_events.protocol.model import ENROLMENT, Reading, Site, Span, Visit
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.subject import as_data
from itp_events.rules.windows import PlannedVisit

_UNITS = ((7, "week"), (1, "day"))
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# The readings of the synopsis, in words to stand behind the source of a date.
READINGS: dict[Reading, str] = {
    "calendar-months": "counted in calendar months",
    "days-after": "counted in days",
    "each-holds": "each must hold",
}


@lru_cache(maxsize=4096)
def day(value: date) -> str:
    """A date in a form that nobody misreads, as `26 Jan 2026`."""
    return f"{value.day} {value:%b} {value.year}"


def at_site(site: Site, instant: datetime) -> str:
    """An instant by the site's clocks, as `19 Jan 2026 09:00`."""
    local = instant.astimezone(site.zone)
    return f"{day(local.date())} {local:%H:%M}"


def days(first: date, last: date) -> str:
    """A span of dates, as `23 to 29 Jan 2026`."""
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {day(last)}"
    if first.year == last.year:
        return f"{first.day} {first:%b} to {day(last)}"
    return f"{day(first)} to {day(last)}"


def span(value: Span) -> str:
    """A duration in words, as `2 weeks`, in the unit of the protocol file."""
    months = _count(value.months, "month")
    if value.months and not value.days:
        return months
    size, unit = next(
        pair for pair in _UNITS if value.days % pair[0] == 0 and value.text.endswith(pair[1][0].upper())
    )
    days_or_weeks = _count(value.days // size, unit)
    return f"{months} and {days_or_weeks}" if value.months else days_or_weeks


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def reason(planned: PlannedVisit, visits: Sequence[PlannedVisit]) -> str:
    """The reason for a visit's target and window in one sentence, with the sources of the rules.

    Dates that rest on an assumption are marked; `visits` is the subject's whole plan.
    """
    rule = planned.visit
    read = f", {READINGS[rule.reading]}" if rule.reading else ""
    on = marked(day(planned.target), target_assumed(planned, visits))
    span_of = marked(days(planned.opens, planned.closes), window_assumed(planned, visits))
    source = "agreed" if planned.agreed else f"{rule.source.target}{read}"
    return f"target {on} ({source}), window {span_of} ({rule.source.window}): {basis(planned)}"


def basis(planned: PlannedVisit) -> str:
    """The anchor of a visit's target in words, as `2 weeks after INF2, done on 12 Jan 2026`."""
    if planned.agreed:
        return f"planned for {day(planned.target)} at {_anchor(planned)}"
    return f"{offset(planned.visit)} {_anchor(planned)}"


def offset(rule: Visit) -> str:
    """The distance of a visit's target from its anchor in words, as `2 weeks after`."""
    return f"{span(rule.target)} after" if rule.target.months or rule.target.days else "on the day of"


def sides(rule: Visit) -> str:
    """The reach of a visit's window around its target, as `-3/+3 days`."""
    before, after = rule.before.days, rule.after.days
    return f"-{before}/+{_count(after, 'day')}" if before else f"+{_count(after, 'day')}"


def bleeding(stated: bool | int | None) -> str:
    """Bleeding in words, with its WHO grade when a grade was stated; empty for None."""
    if stated is None:
        return ""
    if not stated:
        return "no bleeding"
    return "bleeding" if stated is True else f"bleeding of WHO grade {stated}"


def outside(days: int) -> str:
    """A distance from a window in words, as `2 days after the window`; negative days lie before it."""
    return f"{_count(abs(days), 'day')} {'after' if days > 0 else 'before'} the window"


def missed(planned: PlannedVisit) -> str:
    """The reason for which a visit counts as missed: as declared by a person, else the service's own."""
    if planned.event is not None:
        return as_data(planned.event, Missed).reason
    return "exit" if planned.by_exit else f"not recorded; window closed on {day(planned.closes)}"


def _anchor(planned: PlannedVisit) -> str:
    anchor = planned.anchor
    name = "enrolment" if anchor.code == ENROLMENT else anchor.code
    if anchor.code == ENROLMENT:
        return f"{name} on {day(anchor.on)}"
    if anchor.basis == "projected" and planned.on:
        return f"{name}, not recorded any more: its target {day(anchor.on)} counts until it is stated again"
    words = {
        "actual": f"{name}, done on {day(anchor.on)}",
        "planned": f"{name}, which was missed: its target {day(anchor.on)} counts",
        "projected": f"{name}, still open: projected from its target {day(anchor.on)}",
    }
    return words[anchor.basis]


def power_of_ten(value: float) -> str:
    """A large number as people write it, as `1.23 × 10⁸`, with at most four digits."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{float(mantissa):g} × 10{str(int(exponent)).translate(_RAISED)}"


def counted(number: int, noun: str) -> str:
    """A number of things, as `1 day`, `2 days` or `3 entries`."""
    several = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number} {noun if number == 1 else several}"
