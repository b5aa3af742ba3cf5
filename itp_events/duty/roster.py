"""The roster: who answers an audience at a site on a day, with rotas, exceptions, absences and deputies.

Nobody who is away or whose account is not active is ever on duty. This module does not say which addresses
reach a person, and what happens when nobody is on duty is in answering.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal, NamedTuple

from itp_events.duty.changes import Absent, Back, DutyException, DutyVoided, Entry, Rota, RotaEnded

_DAY = timedelta(days=1)

Why = Literal["away", "inactive", "no-address"]


class Absence(NamedTuple):
    """A person is away from `first` to `last`, both included; None: until further notice.

    `id` is the number of the change that stated it.
    """

    id: int
    person: str
    first: date
    last: date | None
    deputy: str | None

    def covers(self, day: date) -> bool:
        """Whether the person is away on a day."""
        return self.first <= day and (self.last is None or day <= self.last)


class Missing(NamedTuple):
    """A person of the rota for whom nobody answers, and why; `until` is the last day of an absence."""

    person: str
    why: Why
    until: date | None = None


@dataclass(frozen=True, slots=True)
class OnDuty:
    """The people who answer on a day, in the rota's order, each once.

    `planned` is whom the rota names; None: there is no rota. `missing` lists those of them for whom nobody
    answers. `covers` holds each person who answers and those for whom they do, themselves among them.
    """

    planned: tuple[str, ...] | None
    people: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    covers: tuple[tuple[str, str], ...] = ()

    @property
    def nobody(self) -> bool:
        """Whether there is a rota, and nobody is on duty by it."""
        return self.planned is not None and not self.people


@dataclass(frozen=True, slots=True)
class Roster:
    """All that stands of what was stated about duty. `inactive` are the accounts that do not count."""

    rotas: tuple[tuple[int, Rota | RotaEnded], ...] = ()
    exceptions: tuple[tuple[int, DutyException], ...] = ()
    absences: tuple[Absence, ...] = ()
    inactive: frozenset[str] = field(default_factory=frozenset)

    def on_duty(self, audience: str, site: str, day: date) -> OnDuty:
        """The people who answer an audience at a site on a local day of that site."""
        planned = self._planned(audience, site, day)
        if planned is None:
            planned = self._planned(audience, None, day)
        if planned is None:
            return OnDuty(None)
        answering = [(person, self._answers_for(person, day)) for person in dict.fromkeys(planned)]
        return OnDuty(
            planned=tuple(dict.fromkeys(planned)),
            people=tuple(dict.fromkeys(who for _, who in answering if who)),
            missing=tuple(self._missing(person, day) for person, who in answering if who is None),
            covers=tuple((who, person) for person, who in answering if who),
        )

    def is_away(self, person: str, day: date) -> bool:
        """Whether a person is absent on a day, or never there since the account is not active."""
        return person in self.inactive or any(self.absences_of(person, day))

    def absences_of(self, person: str, day: date) -> Iterator[Absence]:
        """The absences of a person on a day, the one that was stated last first."""
        return (each for each in reversed(self.absences) if each.person == person and each.covers(day))

    def people(self) -> tuple[str, ...]:
        """Everybody whom a rota, an exception or an absence names, each once."""
        planned = [*(rota for _, rota in self.rotas), *(each for _, each in self.exceptions)]
        named = [person for each in planned if not isinstance(each, RotaEnded) for person in each.people]
        away = [who for each in self.absences for who in (each.person, each.deputy) if who]
        return tuple(dict.fromkeys([*named, *away]))

    def slots(self) -> tuple[tuple[str, str | None], ...]:
        """The audiences and sites for which a rota or an exception was ever stated."""
        stated = [*(each for _, each in self.rotas), *(each for _, each in self.exceptions)]
        return tuple(dict.fromkeys((each.audience, each.site) for each in stated))

    def _planned(self, audience: str, site: str | None, day: date) -> tuple[str, ...] | None:
        """The people whom rota and exceptions name, away or not; None where there is no rota."""
        for _, instead in reversed(self.exceptions):
            mine = (instead.audience, instead.site) == (audience, site)
            if mine and instead.first <= day <= instead.last:
                return instead.people
        holding = [
            rota
            for _, rota in self.rotas
            if (rota.audience, rota.site) == (audience, site) and rota.first <= day
        ]
        return _of_weekday(holding, day.isoweekday())

    def _answers_for(self, person: str, day: date, asked: frozenset[str] = frozenset()) -> str | None:
        """The person, or who answers for them: a deputy, or that one's deputy; None: nobody does."""
        if not self.is_away(person, day):
            return person
        asked |= {person}
        for absence in self.absences_of(person, day):
            if absence.deputy and absence.deputy not in asked:
                found = self._answers_for(absence.deputy, day, asked)
                if found:
                    return found
        return None

    def _missing(self, person: str, day: date) -> Missing:
        for absence in self.absences_of(person, day):
            return Missing(person, "away", absence.last)
        return Missing(person, "inactive")


def _of_weekday(rotas: Sequence[Rota | RotaEnded], weekday: int) -> tuple[str, ...] | None:
    """The people of the newest rota that plans a weekday; nobody where newer ones leave it out."""
    known = False
    for rota in reversed(rotas):
        if isinstance(rota, RotaEnded):
            break
        known = True
        if weekday in rota.days:
            return rota.people
    return () if known else None


def roster(entries: Collection[Entry], inactive: Collection[str] = ()) -> Roster:
    """The roster that the recorded changes give; `inactive` are accounts that do not count any more.

    Of two rotas for the same day the one that begins later holds, of two that begin together the one stated
    last; of two exceptions the one stated last.
    """
    ordered = sorted(entries)
    void = {each.change.change for each in ordered if isinstance(each.change, DutyVoided)}
    stands = [each for each in ordered if each.id not in void]
    rotas = [(each.id, each.change) for each in stands if isinstance(each.change, Rota | RotaEnded)]
    return Roster(
        rotas=tuple(sorted(rotas, key=lambda each: (each[1].first, each[0]))),
        exceptions=tuple((each.id, each.change) for each in stands if isinstance(each.change, DutyException)),
        absences=tuple(_absences(stands)),
        inactive=frozenset(person.lower() for person in inactive),
    )


def _absences(stands: Sequence[Entry]) -> Iterator[Absence]:
    returns = [(each.id, each.change) for each in stands if isinstance(each.change, Back)]
    for number, away in stands:
        if isinstance(away, Absent):
            last = away.last
            for later, back in returns:
                if later > number and back.person == away.person and away.first <= back.on:
                    last = min(last, back.on - _DAY) if last else back.on - _DAY
            if last is None or last >= away.first:
                yield Absence(number, away.person, away.first, last, away.deputy)
