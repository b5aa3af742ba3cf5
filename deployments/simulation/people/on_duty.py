"""The rotas, holidays and absences of a simulated site, as statements of its people and in a book.

The book is kept day by day, and shares nothing with the roster that the service makes of the statements.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache

from deployments.simulation.people.draws import Draws
from itp_events.duty.changes import Absent, DutyException, Entry, Rota
from itp_events.duty.roster import Roster, roster
from itp_events.protocol.model import Audience

SITE = "01"
AUDIENCES: tuple[Audience, ...] = ("coordinator", "investigator")
_STAFF: dict[Audience, tuple[str, ...]] = {
    "coordinator": ("ann", "bob", "cai", "dan"),
    "investigator": ("pi", "sub-pi"),
}
# As long as a course, and the enrolment before it.
_WEEKS = 220
_DAYS = 7
_NEW_ROTA, _HOLIDAY, _LEAVE, _WITHOUT_DEPUTY = 0.1, 0.06, 0.08, 0.3


@dataclass
class Book:
    """The people planned for an audience on a day, and those who are away on it, with their deputies."""

    planned: dict[tuple[str, date], tuple[str, ...]] = field(default_factory=dict)
    away: dict[tuple[str, date], str | None] = field(default_factory=dict)

    def answering(self, audience: str, day: date) -> set[str]:
        """Everybody who answers for an audience on a day; nobody where all are away without a deputy."""
        found = (self._for(person, day) for person in self.planned.get((audience, day), ()))
        return {person for person in found if person}

    def _for(self, person: str, day: date) -> str | None:
        asked: list[str] = []
        while (person, day) in self.away:
            asked.append(person)
            deputy = self.away[person, day]
            if deputy is None or deputy in asked:
                return None
            person = deputy
        return person


@dataclass
class Duty:
    """A site's duty over a study: the roster of the service, and the book."""

    roster: Roster
    book: Book


@lru_cache(maxsize=64)
def duty_of(seed: int, start: date) -> Duty:
    """The duty of a site by chance, from the Monday before a study's start on."""
    site = _Site(Draws(seed, "duty"), start - timedelta(days=start.weekday()))
    for week in range(_WEEKS):
        site.pass_week(week)
    return Duty(roster([Entry(number, each) for number, each in enumerate(site.stated, 1)]), site.book)


class _Site:
    def __init__(self, draws: Draws, monday: date) -> None:
        self.draws, self.monday, self.book = draws, monday, Book()
        self.stated: list[Rota | DutyException | Absent] = []
        self.holidays: dict[tuple[str, date], tuple[str, ...]] = {}

    def pass_week(self, week: int) -> None:
        monday = self.monday + timedelta(days=week * _DAYS)
        for audience in AUDIENCES:
            if week == 0 or self.draws.happens(_NEW_ROTA, audience, week, "rota"):
                self._rota(audience, monday, week)
            if self.draws.happens(_HOLIDAY, audience, week, "holiday"):
                self._holiday(audience, monday, week)
            for person in _STAFF[audience]:
                if self.draws.happens(_LEAVE, person, week, "leave"):
                    self._leave(audience, person, monday, week)

    def _rota(self, audience: Audience, monday: date, week: int) -> None:
        chance, staff = self.draws.of(audience, week, "crew"), _STAFF[audience]
        crew = tuple(chance.sample(staff, chance.choice((1, 1, 2))))
        weekend = tuple(chance.sample(staff, chance.choice((0, 1))))
        for days, people in (((1, 2, 3, 4, 5), crew), ((6, 7), weekend)):
            self.stated.append(Rota(audience=audience, site=SITE, days=days, people=people, first=monday))
        for number in range((_WEEKS - week) * _DAYS):
            self.book.planned[audience, monday + timedelta(days=number)] = (
                weekend if number % _DAYS > 4 else crew
            )
        self.book.planned.update(self.holidays)

    def _holiday(self, audience: Audience, monday: date, week: int) -> None:
        chance = self.draws.of(audience, week, "days off")
        first = monday + timedelta(days=chance.randrange(_DAYS))
        last = first + timedelta(days=chance.randrange(4))
        people = tuple(chance.sample(_STAFF[audience], chance.choice((0, 1, 2))))
        self.stated.append(DutyException(audience=audience, site=SITE, people=people, first=first, last=last))
        self.holidays |= {(audience, day): people for day in _days(first, last)}
        self.book.planned.update(self.holidays)

    def _leave(self, audience: Audience, person: str, monday: date, week: int) -> None:
        chance = self.draws.of(person, week, "length")
        first = monday + timedelta(days=chance.randrange(_DAYS))
        days = _days(first, first + timedelta(days=chance.randrange(10)))
        if any((person, day) in self.book.away for day in days):
            return
        others = [each for each in _STAFF[audience] if each != person]
        deputy = None if chance.random() < _WITHOUT_DEPUTY else chance.choice(others)
        self.stated.append(Absent(person=person, first=days[0], last=days[-1], deputy=deputy))
        self.book.away.update({(person, day): deputy for day in days})


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
