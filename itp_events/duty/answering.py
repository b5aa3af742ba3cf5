"""Finds the people that a notice is for when it is handed over, also when nobody is on duty.

Nobody on duty is somebody's alarm: the audience of the next rung gets the notice at once, with the reason.
This module does not know addresses: it is told which people can be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from itp_events.duty.roster import Missing, Roster
from itp_events.protocol.model import Ladder

# The people who run the service: the last ones to be told.
LAST = "ops"


class Gap(NamedTuple):
    """An audience of which nobody can be told: its rota names nobody, or all of them are `missing`."""

    audience: str
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The audience that is told in the end, and its people; None: everybody who is tagged with it.

    `gaps` are the audiences that were passed over on the way, with the reasons.
    """

    audience: str
    people: tuple[str, ...] | None
    gaps: tuple[Gap, ...] = ()


def answer(
    roster: Roster,
    ladder: Ladder,
    audience: str,
    site: str,
    day: date,
    reachable: Callable[[str], bool],
) -> Answer:
    """The people who are told what is for an audience at a site on a local day of that site.

    Where nobody is on duty, or nobody who is can be reached, the audience of the next rung takes its place;
    behind the last rung stand `ops`, and of those everybody.
    """
    gaps: list[Gap] = []
    asked = audience
    while True:
        duty = roster.on_duty(asked, site, day)
        if duty.planned is None:
            return Answer(asked, None, tuple(gaps))
        people = tuple(person for person in duty.people if reachable(person))
        if people:
            return Answer(asked, people, tuple(gaps))
        unreachable = tuple(Missing(person, "no-address") for person in duty.people)
        gaps.append(Gap(asked, (*duty.missing, *unreachable)))
        if asked == LAST:
            return Answer(LAST, None, tuple(gaps))
        asked = following(ladder, asked)


def following(ladder: Ladder, audience: str) -> str:
    """The audience of the next rung; the first rung's for an audience that has none itself."""
    rungs = list(dict.fromkeys(rung.audience for rung in ladder.rungs))
    if audience not in rungs:
        return rungs[0] if rungs else LAST
    later = rungs[rungs.index(audience) + 1 :]
    return later[0] if later else LAST
