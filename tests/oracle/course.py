"""A subject's course up to an instant: what the service decided by itself, and all that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.oracle.endings import Ending, stated_exit, stated_stops
from tests.oracle.flags import Flag, flags
from tests.oracle.history import History
from tests.oracle.illness import deadly_times
from tests.oracle.ladder import Ladder, Pause, ladder
from tests.oracle.periods import Period, periods
from tests.oracle.said import COMPLETED, DECIDED, MISSED, Said
from tests.oracle.trial import Trial
from tests.oracle.visits import Fate, Visit, came_first, schedule


@dataclass
class Course:
    """Everything that is true of a subject once the service has decided what it decides by itself."""

    trial: Trial
    history: History
    visits: list[Visit]
    flags: list[Flag]
    stop: Ending | None
    exit: Ending | None
    silent: dict[str, datetime]
    earlier: list[tuple[Visit, Period]]

    def visit(self, code: str) -> Visit:
        """The visit of that code."""
        return next(visit for visit in self.visits if visit.code == code)

    @property
    def infusions(self) -> list[Visit]:
        """The infusions, in order."""
        return [visit for visit in self.visits if visit.treatment]

    @property
    def follow_up(self) -> bool:
        """Whether treatment has ended."""
        return bool(self.stop) or not any(visit.waits for visit in self.infusions)

    def holds(self) -> list[Pause]:
        """When flags waited for a decision."""
        return _merged([Pause(flag.since, flag.answered) for flag in self.flags])

    def deadly(self) -> list[Pause]:
        """When an event that led to death stood without the death."""
        return _merged([Pause(since, until) for since, until in deadly_times(self.history)])

    def pauses(self, visit: Visit) -> list[Pause]:
        """When the visit's ladder stands still."""
        return _merged([*self.deadly(), *(self.holds() if visit.treatment else [])])

    def ladder(self, visit: Visit) -> Ladder:
        """The visit's ladder."""
        found = ladder(visit.trial, self.history, visit, self.pauses(visit))
        if found.misses and visit.since:
            # No version counts a visit as missed before it was assigned.
            found.misses = max(found.misses, visit.since)
        return found

    def open_flags(self, at: datetime) -> list[Flag]:
        """The flags that wait for a decision at an instant."""
        return [
            flag for flag in self.flags if flag.since <= at and not (flag.answered and flag.answered <= at)
        ]

    def lies_dead(self, at: datetime) -> bool:
        """Whether the death that an event speaks of is still to be recorded at an instant."""
        return covers(self.deadly(), at)

    def on_hold(self, at: datetime) -> bool:
        """Whether nothing may be proposed for the subject at an instant."""
        return bool(self.open_flags(at)) or self.lies_dead(at)


def covers(pauses: Sequence[Pause], at: datetime) -> bool:
    """Whether one of some pauses lasts at an instant."""
    return any(each.since <= at and (each.until is None or at < each.until) for each in pauses)


def _merged(pauses: Sequence[Pause]) -> list[Pause]:
    found: list[Pause] = []
    for pause in sorted(pauses, key=lambda each: each.since):
        last = found[-1] if found else None
        if last and (last.until is None or pause.since <= last.until):
            ends = None if last.until is None or pause.until is None else max(last.until, pause.until)
            found[-1] = Pause(last.since, ends)
        else:
            found.append(pause)
    return found


def course(trial: Trial, history: History, until: datetime) -> Course:
    """The course with every miss that silence brought up to an instant, that instant included."""
    silent: dict[str, datetime] = {}
    while True:
        found = _after(trial, history, silent)
        misses = [(at, visit.code) for visit in found.visits if (at := _silent_miss(found, visit))]
        misses += [
            (at, visit.code) for visit, end in found.earlier if (at := _missed_in_time(found, visit, end))
        ]
        at, code = min(misses, default=(None, ""))
        if at is None or at > until:
            return found
        silent = {**silent, code: at}


def _missed_in_time(found: Course, visit: Visit, following: Period) -> datetime | None:
    """When the service declared a visit missed as an earlier version has it, before the next was assigned."""
    if visit.code in found.silent:
        return None
    at = _silent_miss(found, visit)
    return at if at and not following.reaches(found.trial.calendar.day_of(at), at) else None


def _silent_miss(found: Course, visit: Visit) -> datetime | None:
    """When the service declares the visit missed: also when an exit then settles what is left."""
    by_exit, by_stop = visit.missed_by == "exit", bool(found.stop and visit.cancelled and visit.treatment)
    if not (visit.waits or by_exit or by_stop) or not visit.resolved:
        return None
    misses = found.ladder(visit).misses
    if misses is None or (by_stop and not came_first(found.trial, misses, found.stop)):
        return None
    return None if found.exit and not _before_the_end(found, visit, misses, found.exit) else misses


def _before_the_end(found: Course, visit: Visit, misses: datetime, ending: Ending) -> bool:
    """Whether the service declared a visit missed by the day of the end, and before anybody knew of it."""
    in_time = misses <= ending.known and found.trial.calendar.day_of(misses) <= ending.on
    return in_time and visit.closes < ending.on


def _after(trial: Trial, history: History, silent: dict[str, datetime]) -> Course:
    trial = periods(trial, history)[-1].trial
    ending = stated_exit(trial, history, {}, frozenset())
    stop = _effective(trial, history, stated_stops(trial, history, {}), silent, ending)
    planned = schedule(trial, history, Fate(silent, stop, None))
    visits = planned.visits
    nothing = _nothing_given(trial, visits, stop)
    if nothing and (not ending or (nothing.on, nothing.known) < (ending.on, ending.known)):
        ending = nothing
    waiting = _awaits_disposition(trial, history, visits[-1], stop)
    if ending:
        planned = schedule(trial, history, Fate(silent, stop, ending))
        visits = planned.visits
    raised = flags(trial, history, visits, ending, stop)
    answered = _answered(raised)
    if stop:
        stop = next(each for each in stated_stops(trial, history, answered) if each.by is stop.by)
    if nothing and ending is nothing:
        ending = _nothing_given(trial, visits, stop) if stop else ending
    elif ending:
        ending = stated_exit(trial, history, answered, waiting)
    return Course(trial, history, visits, raised, stop, ending, silent, planned.earlier)


def _awaits_disposition(trial: Trial, history: History, last: Visit, stop: Ending | None) -> frozenset[Said]:
    """The decisions that were taken when the last visit was missed, or cancelled by a stop."""
    since = last.missed or (stop.known if stop and last.cancelled else None)
    decisions = history.standing(DECIDED)
    return frozenset(said for said in decisions if since and since <= history.known(said))


def _answered(raised: Sequence[Flag]) -> dict[Said, list[str]]:
    found: dict[Said, list[str]] = {}
    for flag in raised:
        if flag.answer:
            found.setdefault(flag.answer, []).append(flag.criterion)
    return found


def _effective(
    trial: Trial,
    history: History,
    stops: Sequence[Ending],
    silent: dict[str, datetime],
    ending: Ending | None,
) -> Ending | None:
    """The first stop that came before the exit, while an infusion was still to be given."""
    exits_by = ending.by if ending else None
    in_time = [stop for stop in stops if not exits_by or (stop.by and stop.by.rank < exits_by.rank)]
    return next((stop for stop in in_time if _leaves_some(trial, history, stop, silent)), None)


def _leaves_some(trial: Trial, history: History, stop: Ending, silent: dict[str, datetime]) -> bool:
    settled = {said.visit for said in history.standing(COMPLETED) if said.on <= stop.on}
    settled |= {said.visit for said in history.standing(MISSED)}
    settled |= {code for code, at in silent.items() if came_first(trial, at, stop)}
    return not set(trial.infusions) <= settled


def _nothing_given(trial: Trial, visits: Sequence[Visit], stop: Ending | None) -> Ending | None:
    """The exit of a subject who was given no infusion, and for whom none is left."""
    infusions = [visit for visit in visits if visit.treatment]
    if any(visit.done for visit in infusions):
        return None
    if stop:
        return stop
    missed = [visit.missed for visit in infusions if visit.missed and visit.missed_by != "exit"]
    if len(missed) < len(infusions):
        return None
    known = max(missed)
    decode = trial.criterion("missed-infusions")["decode"]
    return Ending(trial.calendar.day_of(known), known, decode, "missed-infusions")
