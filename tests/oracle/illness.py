"""Adverse events: the reports under one code are one event, and what a report changes is told anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.oracle.history import History, Key
from tests.oracle.pairs import AROUND
from tests.oracle.said import ADVERSE_EVENT, DIED, VOID, Said

DEADLY = 5


def weight(said: Said) -> object:
    """What the withdrawal criterion rests on."""
    return said.data["serious"], said.data["related"], said.data["grade"]


def gravity(said: Said) -> object:
    """What the report to the authorities rests on."""
    return weight(said), fatal(said)


def fatal(said: Said) -> bool:
    """Whether the event led to death."""
    return bool(said.data["grade"] == DEADLY or said.data.get("outcome") == "fatal")


def line(history: History, ae: str) -> list[Said]:
    """Every report of one adverse event, taken back or not, in the order in which they came."""
    found = [said for said in history.accepted if said.type == ADVERSE_EVENT and said.data["ae"] == ae]
    return sorted(found, key=history.turn)


def stands(history: History, said: Said) -> bool:
    """Whether nobody took the report back."""
    return said.name not in history.voided


def latest(history: History, ae: str) -> Said:
    """What the event is by the newest report that stands; a correction is as old as what it corrects."""
    standing = [said for said in line(history, ae) if stands(history, said)]
    return max(standing, key=lambda said: placed(history, said))


def placed(history: History, said: Said) -> tuple[datetime, datetime, tuple[str, str]]:
    """Where a report stands among those of its event: a correction where it was stated first.

    What was stated anew later, and says something else, is a report of its own time.
    """
    first = said
    while (gone := history.corrects.get(first)) is not None:
        if gravity(first) != gravity(gone) and not _came_with_void(history, first, gone):
            break
        first = gone
    return first.time, said.time, said.name


def _came_with_void(history: History, said: Said, gone: Said) -> bool:
    voids = [each for each in history.accepted if each.type == VOID]
    return any(
        (void.data["event"]["source"], void.data["event"]["id"]) == gone.name
        and abs(void.time - said.time) <= AROUND
        for void in voids
    )


def codes(history: History) -> list[str]:
    """The adverse events reported, in order."""
    return list(dict.fromkeys(said.data["ae"] for said in history.standing(ADVERSE_EVENT)))


def before(history: History, said: Said) -> Said | None:
    """The report that this one continues: what it corrects, else the one before it under the same code."""
    if said in history.corrects:
        return history.corrects[said]
    ahead = [
        each
        for each in line(history, said.data["ae"])
        if history.turn(each) < history.turn(said) and not _renumbered(history, each, said)
    ]
    return max(ahead, key=lambda each: placed(history, each), default=None)


def _renumbered(history: History, report: Said, said: Said) -> bool:
    """Whether a report had been corrected to be of another event when something was said."""
    later = next((each for each, gone in history.corrects.items() if gone is report), None)
    if later is None or later.data["ae"] == report.data["ae"]:
        return False
    return history.turn(later) < history.turn(said)


@dataclass(frozen=True)
class Telling:
    """A report that says something else than what it continues, and the version that first said so."""

    report: Said
    first: Said
    before: Said | None

    @property
    def at(self) -> datetime:
        """The instant at which it was said."""
        return self.first.time


def tellings(history: History, ae: str, key: Key) -> list[Telling]:
    """The reports of one event that stand and change what the key looks at."""
    reports = [said for said in line(history, ae) if stands(history, said)]
    found = (_telling(history, report, key) for report in reports)
    return sorted((told for told in found if told), key=lambda told: told.at)


def _telling(history: History, report: Said, key: Key) -> Telling | None:
    first, earlier = report, before(history, report)
    while earlier and key(earlier) == key(report):
        if stands(history, earlier):
            return None
        first, earlier = earlier, before(history, earlier)
    return Telling(report, first, earlier)


def deadly_times(history: History) -> list[tuple[datetime, datetime | None]]:
    """From when to when an event that led to death stood while no death was recorded."""
    return [span for ae in codes(history) for span in _deadly(history, ae)]


def deadly_since(history: History, ae: str) -> datetime | None:
    """Since when an event has led to a death that is still to be recorded; None when it has not."""
    found = None
    for since, until in _deadly(history, ae):
        found = since if found is None else found
        found = None if until else found
    return found


def _deadly(history: History, ae: str) -> Iterator[tuple[datetime, datetime | None]]:
    died = min((history.known(said, _any) for said in history.standing(DIED)), default=None)
    first_said = {told.report: told.at for told in tellings(history, ae, fatal)}
    since: datetime | None = None
    reports = [said for said in line(history, ae) if stands(history, said)]
    for report in sorted(reports, key=lambda each: placed(history, each)):
        at = first_said.get(report, report.time)
        if fatal(report):
            since = since or at
        elif since:
            # It may go on from a report that is older than the fatal one, whose number was corrected.
            until = min(each for each in (at if at > since else report.time, died) if each)
            if since < until:
                yield since, until
            since = None
    if since and not (died and died <= since):
        yield since, died


def _any(_said: Said) -> object:
    return None
