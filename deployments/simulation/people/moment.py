"""The acts of people, and the moment in which they act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from deployments.simulation.people.behaviour import Behaviour
from deployments.simulation.people.draws import Draws
from itp_events.events import Data, Event
from itp_events.protocol.model import Site
from itp_events.rules.state import SubjectState

SOURCE = "simulation"
OPENS, CLOSES = time(8, 30), time(17, 30)
_LONG_BREAK = 5
_LONGEST_BREAK = 14


@dataclass(frozen=True, slots=True)
class Act:
    """Something somebody will do at an instant (UTC)."""

    at: datetime
    do: Callable[[Moment], None]


@dataclass
class Moment:
    """The moment in which people act: the state that they see, their reports, their later acts."""

    life: Life
    now: datetime
    subject_state: SubjectState | None
    said: list[Event] = field(default_factory=list)
    plans: list[Act] = field(default_factory=list)

    @property
    def today(self) -> date:
        """The site-local date."""
        return self.life.site.date_of(self.now)

    def say(self, name: str, data: Data) -> Event:
        """Report something now, under a name of its own within the subject's log."""
        event = Event(self.life.name(name), SOURCE, self.life.code, self.now, data)
        self.said.append(event)
        return event

    def later(self, at: datetime, do: Callable[[Moment], None]) -> None:
        """Do something else at an instant, not before now."""
        self.plans.append(Act(max(at, self.now), do))


@dataclass
class Life:
    """One subject as chance has it: its site, its draws, its fate. The service sees none of it."""

    code: str
    behaviour: Behaviour
    draws: Draws
    site: Site
    lost: bool = False
    dead: bool = False
    arranged: dict[str, date] = field(default_factory=dict)
    attended: dict[str, date] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    _names: dict[str, int] = field(default_factory=dict)

    @property
    def gone(self) -> bool:
        """Whether nobody hears of the subject any more: it is lost, or dead."""
        return self.lost or self.dead

    def name(self, wanted: str) -> str:
        """An event id that this subject has not used yet."""
        count = self._names[wanted] = self._names.get(wanted, 0) + 1
        return f"{self.code}/{wanted}" if count == 1 else f"{self.code}/{wanted}/{count}"

    def office(self, instant: datetime) -> datetime:
        """`instant` if the site's office is open then, else the opening after it."""
        local = instant.astimezone(self.site.zone)
        day = local.date()
        if local.time() > CLOSES:
            day += timedelta(days=1)
        on = self.site.workdays.on_or_after(day)
        if on == local.date() and local.time() >= OPENS:
            return instant
        return self.site.at(on, OPENS)

    def clinic(self, day: date, *purpose: object) -> datetime:
        """The instant at which the subject's visit on a date takes place, in the morning or afternoon."""
        minutes = int(self.draws.of(*purpose, "hour").uniform(0, 6 * 60))
        return self.site.at(day, OPENS) + timedelta(minutes=30 + minutes)

    def away_until(self, day: date) -> date:
        """`day`, or when the subject travels around a long holiday then, the first day back."""
        travel = self.behaviour.travel
        if not self.draws.happens(travel.share, "travels", day.year):
            return day
        earliest = -travel.days_after - _LONGEST_BREAK
        for offset in range(earliest, travel.days_before + 1):
            first = day + timedelta(days=offset)
            last = self._break(first)
            back = last + timedelta(days=travel.days_after) if last else None
            if back and first - timedelta(days=travel.days_before) <= day <= back:
                return back
        return day

    def _break(self, first: date) -> date | None:
        """The last day of a long holiday that begins on `first`."""
        workdays = self.site.workdays
        if workdays.is_working(first) or not workdays.is_working(first - timedelta(days=1)):
            return None
        last = workdays.next(first) - timedelta(days=1)
        return last if (last - first).days + 1 >= _LONG_BREAK else None
