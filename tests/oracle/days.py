"""Dates and instants: the site's calendar, calendar months, 09:00 at the site."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

DAY = timedelta(days=1)


class Calendar:
    """A site's working days and the times of its clock."""

    def __init__(self, country: str, zone: ZoneInfo, notices_at: time) -> None:
        self.zone = zone
        self._notices_at = notices_at
        self._working = cache(holidays.country_holidays(country).is_working_day)

    def works(self, day: date) -> bool:
        """Whether the day is a working day, swapped weekends included."""
        return bool(self._working(day))

    def on_or_after(self, day: date) -> date:
        """The first working day from this one on."""
        while not self.works(day):
            day += DAY
        return day

    def on_or_before(self, day: date) -> date:
        """The last working day up to this one."""
        while not self.works(day):
            day -= DAY
        return day

    def next(self, day: date, count: int = 1) -> date:
        """The working day that comes so many working days after this one."""
        for _ in range(count):
            day = self.on_or_after(day + DAY)
        return day

    def nearest(self, target: date, first: date, last: date) -> date | None:
        """The working day nearest to the target from `first` to `last`; of two the earlier."""
        span = (last - first).days
        days = [first + DAY * step for step in range(span + 1)]
        working = [day for day in days if self.works(day)]
        return min(working, key=lambda day: (abs(day - target), day), default=None)

    def at_nine(self, day: date) -> datetime:
        """The instant at which notices of that day are due."""
        return datetime.combine(day, self._notices_at, self.zone).astimezone(UTC)

    def midnight(self, day: date) -> datetime:
        """The instant at which the day begins."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def day_of(self, instant: datetime) -> date:
        """The site's date at an instant."""
        return instant.astimezone(self.zone).date()


def later(day: date, duration: str) -> date:
    """The day an ISO 8601 duration of days, weeks or calendar months after another.

    Months are clamped to the month's end.
    """
    found = re.fullmatch(r"P(\d+)([DWM])", duration)
    if not found:
        raise ValueError(duration)
    count, unit = int(found[1]), found[2]
    if unit != "M":
        return day + DAY * count * (7 if unit == "W" else 1)
    months = day.month - 1 + count
    year, month = day.year + months // 12, months % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def length(duration: str) -> timedelta:
    """An ISO 8601 duration of days or weeks as a span."""
    return later(date(2000, 1, 1), duration) - date(2000, 1, 1)
