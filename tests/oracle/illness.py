"""Adverse events: the reports under one code are one event, and what a report changes is told anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tests.oracle.history import History, Key
from tests.oracle.said import ADVERSE_EVENT, DIED, Said

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
    return sorted(found, key=lambda said: (said.time, said.place))


def stands(history: History, said: Said) -> bool:
    """Whether nobody took the report back."""
    return said.name not in history.voided


def latest(history: History, ae: str) -> Said:
    """What the event is by the report that stands and came last."""
    return [said for said in line(history, ae) if stands(history, said)][-1]


def codes(history: History) -> list[str]:
    """The adverse events reported, in order."""
    return list(dict.fromkeys(said.data["ae"] for said in history.standing(ADVERSE_EVENT)))


def before(history: History, said: Said) -> Said | None:
    """The report that this one continues: what it corrects, else the one before it under the same code."""
    if said in history.corrects:
        return history.corrects[said]
    reports = line(history, said.data["ae"])
    place = reports.index(said)
    return reports[place - 1] if place else None


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
    died = min((history.known(said) for said in history.standing(DIED)), default=None)
    found = []
    for ae in codes(history):
        told = tellings(history, ae, fatal)
        ends = [*(each.at for each in told[1:]), None]
        for each, end in zip(told, ends[: len(told)], strict=True):
            until = min((at for at in (end, died) if at), default=None)
            if fatal(each.report) and (until is None or until > each.at):
                found.append((each.at, until))
    return found
