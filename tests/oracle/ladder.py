"""The ladder of a visit whose window closed with nothing recorded, and the day it is missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tests.oracle.days import DAY, Calendar
from tests.oracle.history import History
from tests.oracle.said import ACKNOWLEDGED
from tests.oracle.trial import Trial
from tests.oracle.visits import Visit


@dataclass(frozen=True)
class Pause:
    """A time during which a ladder stands still; `until` is None while it lasts."""

    since: datetime
    until: datetime | None


@dataclass
class Rung:
    """One rung: the day it falls on, and the instant since which it is answered."""

    step: str
    audience: str
    day: date | None
    due: datetime | None = None
    answered: datetime | None = None


@dataclass
class Ladder:
    """A visit's rungs, and the instant at which the service declares it missed."""

    rungs: list[Rung]
    misses: datetime | None


@dataclass(frozen=True)
class _Answer:
    at: datetime
    until: date


def ladder(trial: Trial, history: History, visit: Visit, pauses: Sequence[Pause]) -> Ladder:
    """The ladder as acknowledgements and pauses have moved it."""
    return _Climb(trial, history, visit).after(pauses)


class _Climb:
    def __init__(self, trial: Trial, history: History, visit: Visit) -> None:
        assert visit.resolved
        self._calendar: Calendar = trial.calendar
        self._rules = trial.rules["ladder"]
        self._base = max(visit.closes, self._calendar.day_of(visit.resolved))
        self._miss: date | None = self._base + DAY * self._rules["missed_on_day"]
        self._rungs = [
            Rung(rule["step"], rule["audience"], self._base + DAY * rule["day"])
            for rule in self._rules["rungs"]
        ]
        self._days = [rule["day"] for rule in self._rules["rungs"]]
        self._answers = [
            _Answer(history.known(said), self._until(history.known(said), said.data.get("until")))
            for said in history.standing(ACKNOWLEDGED)
            if said.visit == visit.code and self._overdue(visit, history.known(said))
        ]

    def _overdue(self, visit: Visit, at: datetime) -> bool:
        """Whether there was something to answer: an answer from before the ladder stood moves none of it."""
        return bool(visit.resolved and visit.resolved <= at) and visit.closes < self._calendar.day_of(at)

    def _until(self, at: datetime, stated: str | None) -> date:
        """The day an answer is good for: the next working day too when 09:00 of the stated one has passed."""
        day = date.fromisoformat(stated) if stated else None
        if day and self._calendar.at_nine(day) > at:
            return day
        return self._calendar.next(self._calendar.day_of(at))

    def after(self, pauses: Sequence[Pause]) -> Ladder:
        """The ladder after everything that moves it, in the order in which it came."""
        self._fall()
        moves: list[tuple[datetime, int, _Answer | Pause]] = [(each.at, 1, each) for each in self._answers]
        moves += [(each.since, 0, each) for each in pauses]
        for _, _, move in sorted(moves, key=lambda each: each[:2]):
            if isinstance(move, Pause):
                self._pause(move)
            else:
                self._answer(move, pauses)
            self._fall()
        misses = self._calendar.at_nine(self._miss) if self._miss else None
        return Ladder(self._rungs, misses)

    def _fall(self) -> None:
        """Set when each rung is due: a working day, and one after the rung before at least."""
        before: date | None = None
        for rung in self._rungs:
            if rung.day is None:
                rung.due = None
                continue
            day = self._calendar.on_or_after(rung.day)
            if before:
                day = max(day, self._calendar.next(before))
            rung.due, before = self._calendar.at_nine(day), day

    def _pause(self, pause: Pause) -> None:
        ahead = [rung for rung in self._rungs if rung.due and rung.due > pause.since]
        missing = self._miss and self._calendar.at_nine(self._miss) >= pause.since
        if pause.until is None:
            for rung in ahead:
                rung.day = None
            self._miss = None if missing else self._miss
            return
        start = max(self._calendar.day_of(pause.since), self._base)
        shift = max(self._calendar.day_of(pause.until) - start, timedelta())
        for rung in ahead:
            rung.day = rung.day + shift if rung.day else None
        if missing and self._miss:
            self._miss += shift

    def _answer(self, answer: _Answer, pauses: Sequence[Pause]) -> None:
        until = answer.until
        for pause in pauses:
            if pause.since <= answer.at and (pause.until is None or answer.at < pause.until):
                if pause.until is None:
                    self._silence(answer.at)
                    return
                until += self._calendar.day_of(pause.until) - self._calendar.day_of(answer.at)
        self._silence(answer.at)
        ahead = [place for place, rung in enumerate(self._rungs) if rung.due and rung.due > answer.at]
        for place in ahead:
            self._rungs[place].day = until + DAY * (self._days[place] - self._days[ahead[0]])
        if self._miss:
            at_least = until + DAY * self._rules["missed_after_acknowledgement_days"]
            self._miss = max(self._miss, at_least)

    def _silence(self, at: datetime) -> None:
        for rung in self._rungs:
            if rung.due and rung.due <= at and not rung.answered:
                rung.answered = at
