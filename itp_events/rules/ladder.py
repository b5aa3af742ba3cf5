"""The escalation ladder of one visit: the instants of its rungs and of its automatic miss.

This module sends nothing and does not say whether a ladder runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from itp_events.protocol.model import Ladder, Protocol, Rung, Site


@dataclass(frozen=True, slots=True)
class Hold:
    """A time during which a flag waited for the investigator, from `at` to `until` (UTC; None: still)."""

    at: datetime
    until: datetime | None

    def during(self, instant: datetime) -> bool:
        """Whether the hold waits at an instant, its beginning included and its end not."""
        return self.at <= instant and (self.until is None or instant < self.until)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody took care of an overdue visit at the instant `at` (UTC), until a site-local date."""

    at: datetime
    until: date


class Climb(NamedTuple):
    """The rungs of a ladder with the instants at which they are due, and the instant of the miss; all in UTC.

    While a hold is open, the rungs and the miss that it pauses are left out.
    """

    rungs: tuple[tuple[Rung, datetime], ...]
    missed_at: datetime | None


class _Steps(NamedTuple):
    days: tuple[tuple[Rung, date], ...]
    missed_on: date
    paused_from: datetime | None = None


def climb(
    protocol: Protocol, site: Site, base: date, acknowledged: Sequence[Acknowledgement], holds: Sequence[Hold]
) -> Climb:
    """The ladder counted from the site-local date `base`.

    `base` is the window's last day or the day on which the anchor was resolved, whichever is later.
    `acknowledged` holds what was acknowledged since then. A hold pauses the ladder. An acknowledgement moves
    the next rung to its `until`, keeps the spacing of the rungs after that, and puts off the automatic miss.
    Rungs fall on working days, each at least one working day after the one before.
    """
    ladder = protocol.ladder
    steps = _Steps(
        tuple((rung, base + timedelta(days=rung.day)) for rung in ladder.rungs),
        base + timedelta(days=ladder.missed_on_day),
    )
    for change in _changes(site, base, acknowledged, holds):
        if isinstance(change, Hold):
            steps = _paused(steps, protocol, site, base, change)
        elif steps.paused_from is None:
            steps = _put_off(steps, protocol, site, ladder, change)
    return _climb(steps, protocol, site)


def _changes(
    site: Site, base: date, acknowledged: Sequence[Acknowledgement], holds: Sequence[Hold]
) -> list[Acknowledgement | Hold]:
    """The acknowledgements and holds in order of time; an acknowledgement comes before a hold."""
    answers = [_outside(each, site, base, holds) for each in acknowledged]
    return sorted([*answers, *holds], key=lambda change: (change.at, isinstance(change, Hold)))


def _outside(acknowledged: Acknowledgement, site: Site, base: date, holds: Sequence[Hold]) -> Acknowledgement:
    """An acknowledgement as it counts for the ladder: one given during a hold is put off by the hold's rest.

    It then counts as given when the hold began, with an `until` that lies as much earlier: the hold moves
    that date by its whole length.
    """
    hold = next((each for each in holds if each.during(acknowledged.at)), None)
    if hold is None:
        return acknowledged
    began = site.date_of(hold.at)
    elapsed = site.date_of(acknowledged.at) - max(began, base)
    return Acknowledgement(hold.at, max(acknowledged.until - elapsed, began + timedelta(days=1)))


def _dues(steps: _Steps, protocol: Protocol, site: Site) -> list[datetime]:
    dues: list[datetime] = []
    before: date | None = None
    for _, day in steps.days:
        on = site.workdays.on_or_after(day)
        if before is not None:
            on = max(on, site.workdays.next(before))
        dues.append(site.at(on, protocol.notices_at))
        before = on
    return dues


def _paused(steps: _Steps, protocol: Protocol, site: Site, base: date, hold: Hold) -> _Steps:
    if steps.paused_from is not None or site.at(steps.missed_on, protocol.notices_at) <= hold.at:
        return steps
    if hold.until is None:
        return _Steps(steps.days, steps.missed_on, hold.at)
    shift = (site.date_of(hold.until) - max(site.date_of(hold.at), base)).days
    if shift <= 0:
        return steps
    by = timedelta(days=shift)
    dues = _dues(steps, protocol, site)
    days = tuple(
        (rung, day + by if due > hold.at else day) for (rung, day), due in zip(steps.days, dues, strict=True)
    )
    return _Steps(days, steps.missed_on + by)


def _put_off(
    steps: _Steps, protocol: Protocol, site: Site, ladder: Ladder, acknowledged: Acknowledgement
) -> _Steps:
    dues = _dues(steps, protocol, site)
    waiting = [rung.day for (rung, _), due in zip(steps.days, dues, strict=True) if due > acknowledged.at]
    days = tuple(
        (rung, acknowledged.until + timedelta(days=rung.day - waiting[0]) if rung.day in waiting else day)
        for rung, day in steps.days
    )
    at_least = acknowledged.until + timedelta(days=ladder.missed_after_acknowledgement_days)
    return _Steps(days, max(steps.missed_on, at_least))


def _climb(steps: _Steps, protocol: Protocol, site: Site) -> Climb:
    rungs = tuple(
        (rung, due)
        for (rung, _), due in zip(steps.days, _dues(steps, protocol, site), strict=True)
        if steps.paused_from is None or due <= steps.paused_from
    )
    missed_at = site.at(steps.missed_on, protocol.notices_at) if steps.paused_from is None else None
    return Climb(rungs, missed_at)
