"""Working days of a country, with China's swapped working Saturdays and Sundays.

This module does not know sites: a site names its country. For a year whose official calendar is not published
yet, the holidays that follow from rules count. When the `holidays` library learns more, plans follow at the
next wake.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holidays import HolidayBase

_DAY = timedelta(days=1)
# The library fills a year at its first use, and calls it filled before that: another thread would see half of
# its holidays, and the wrong answer would be kept.
_ONE_AT_A_TIME = Lock()


@lru_cache(maxsize=32)
def _country(code: str) -> HolidayBase:
    import holidays  # takes a tenth of a second, which only programs that plan should pay

    return holidays.country_holidays(code)


def known_calendar(code: str) -> bool:
    """Whether the `holidays` library knows a country code (ISO 3166, as CN)."""
    try:
        _country(code)
    except NotImplementedError:
        return False
    return True


def published_to(code: str) -> int | None:
    """The last year whose official calendar, with its swapped working days, is known.

    None for a country that swaps no days: its calendar follows from rules.
    """
    published = getattr(_country(code), "special_public_holidays", None) or {}
    return max((year for year, days in published.items() if _swaps(days)), default=None)


def _swaps(days: tuple[object, ...]) -> bool:
    # The library writes a swap as a month and day, then the month and day with which it is swapped.
    return any(isinstance(each, tuple) and len(each) == 4 for each in days)


@lru_cache(maxsize=65536)
def _is_working(code: str, day: date) -> bool:
    with _ONE_AT_A_TIME:
        return _country(code).is_working_day(day)


class WorkCalendar:
    """Working days of a country, given by its ISO code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def is_working(self, day: date) -> bool:
        """Whether `day` is a working day."""
        return _is_working(self.code, day)

    def on_or_before(self, day: date) -> date:
        """`day` if it is a working day, else the working day before it."""
        while not self.is_working(day):
            day -= _DAY
        return day

    def on_or_after(self, day: date) -> date:
        """`day` if it is a working day, else the working day after it."""
        while not self.is_working(day):
            day += _DAY
        return day

    def next(self, day: date) -> date:
        """The working day after `day`."""
        return self.on_or_after(day + _DAY)

    def nearest(self, target: date, first: date, last: date) -> date | None:
        """The working day nearest to `target` from `first` to `last`; None when there is none.

        Of two that are equally near, it is the earlier.
        """
        span = (last - first).days
        days = (first + timedelta(days=offset) for offset in range(span + 1))
        working = [day for day in days if self.is_working(day)]
        return min(working, key=lambda day: (abs((day - target).days), day), default=None)
