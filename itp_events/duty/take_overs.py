"""Take-overs: who begins to answer for somebody who is away, and who comes back.

Each of them is told once what is open; this module does not say what that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from itp_events.duty.ahead import days_from
from itp_events.duty.roster import Absence, Roster

# A person's places are those at which they are planned within so many days.
_AHEAD = 14
# A service that stood still for a while still tells who came back meanwhile.
_LATE = timedelta(days=7)


class Place(NamedTuple):
    """An audience at a site, with the site's local date of today."""

    audience: str
    site: str
    today: date


class TakeOver(NamedTuple):
    """A person who has begun to answer for the absent one, or with `back` the absent one on the return."""

    absence: Absence
    person: str
    places: tuple[Place, ...]
    back: bool

    @property
    def key(self) -> str:
        """The name of the take-over for good: each is told once."""
        return f"{self.absence.id}/{self.person}/{'back' if self.back else 'away'}"


def take_overs(roster: Roster, places: Sequence[Place]) -> Iterator[TakeOver]:
    """The take-overs that have happened by today and have not ended yet."""
    for absence in roster.absences:
        yield from _begun(roster, absence, places)
        yield from _ended(roster, absence, places)


def _begun(roster: Roster, absence: Absence, places: Sequence[Place]) -> Iterator[TakeOver]:
    now = {
        person
        for place in places
        if absence.covers(place.today)
        for person in _covering(roster, place, place.today, absence.person)
    }
    for person in sorted(now - {absence.person}):
        theirs = tuple(
            place
            for place in places
            if any(
                person in _covering(roster, place, day, absence.person)
                for day in days_from(place.today, _AHEAD)
                if absence.covers(day)
            )
        )
        yield TakeOver(absence, person, theirs, back=False)


def _ended(roster: Roster, absence: Absence, places: Sequence[Place]) -> Iterator[TakeOver]:
    last = absence.last
    if last is None:
        return
    theirs = tuple(
        place
        for place in places
        if last < place.today <= last + _LATE
        and not roster.is_away(absence.person, place.today)
        and any(
            absence.person in _covering(roster, place, day, absence.person)
            for day in days_from(place.today, _AHEAD)
        )
    )
    if theirs:
        yield TakeOver(absence, absence.person, theirs, back=True)


def _covering(roster: Roster, place: Place, day: date, planned: str) -> list[str]:
    covers = roster.on_duty(place.audience, place.site, day).covers
    return [who for who, whom in covers if whom == planned]
