"""Duty today and ahead: who answers, days on which nobody will, and deputies who will be away themselves.

This module changes nothing and tells nobody: the board, the digest and `itp doctor` do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from itp_events.duty.roster import Absence, Missing, OnDuty, Roster

# Gaps are looked for as far ahead, wherever they are shown.
GAP_DAYS = 28
_DAY = timedelta(days=1)


class GapAhead(NamedTuple):
    """Days in a row, both ends included, on which nobody answers an audience at a site."""

    audience: str
    site: str
    first: date
    last: date
    missing: tuple[Missing, ...]


class PlaceToday(NamedTuple):
    """The people who answer an audience at a site today, and the gaps of the coming four weeks."""

    audience: str
    site: str
    on_duty: OnDuty
    gaps: tuple[GapAhead, ...]


def look_ahead(roster: Roster, audience: str, site: str, today: date) -> PlaceToday:
    """The duty of an audience at a site, seen from a local day of that site."""
    gaps = gaps_ahead(roster, audience, site, days_from(today, GAP_DAYS))
    return PlaceToday(audience, site, roster.on_duty(audience, site, today), tuple(gaps))


def gaps_ahead(roster: Roster, audience: str, site: str, days: Sequence[date]) -> Iterator[GapAhead]:
    """The gaps of an audience at a site among days that follow each other; days in a row are one gap."""
    gap: GapAhead | None = None
    for day in days:
        duty = roster.on_duty(audience, site, day)
        if duty.nobody and gap and (gap.last, gap.missing) == (day - _DAY, duty.missing):
            gap = gap._replace(last=day)
            continue
        if gap:
            yield gap
        gap = GapAhead(audience, site, day, day, duty.missing) if duty.nobody else None
    if gap:
        yield gap


def absent_deputies(roster: Roster, days: Sequence[date]) -> Iterator[tuple[Absence, date]]:
    """The absences whose deputy is away as well, with the first of the days on which both are."""
    for absence in roster.absences:
        deputy = absence.deputy
        both = (day for day in days if deputy and absence.covers(day) and roster.is_away(deputy, day))
        first = next(both, None)
        if first is not None:
            yield absence, first


def days_from(first: date, count: int) -> list[date]:
    """`count` days in a row."""
    return [first + number * _DAY for number in range(count)]
