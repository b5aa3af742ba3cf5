"""Withdrawal criteria that wait for the investigator: when each was met, and what answered it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from tests.oracle.endings import Ending
from tests.oracle.history import History
from tests.oracle.illness import codes, tellings, weight
from tests.oracle.periods import periods
from tests.oracle.said import COMPLETED, CONTACT, DECIDED, MEDICATION, UNSCHEDULED, Said
from tests.oracle.trial import Trial
from tests.oracle.visits import Visit

MEDICINES = {
    "rescue": "rescue-medication",
    "prohibited": "prohibited-medication",
    "maintenance": "maintenance-changed",
}


@dataclass
class Flag:
    """A criterion that was met, and the decision that answered it."""

    criterion: str
    since: datetime
    answer: Said | None = None
    answered: datetime | None = None


@dataclass(frozen=True)
class Met:
    """One new fact that meets a criterion, and the instant at which it does; `fact` tells it from others."""

    at: datetime
    criterion: str
    fact: object


def flags(
    trial: Trial, history: History, visits: Sequence[Visit], ending: Ending | None, stop: Ending | None
) -> list[Flag]:
    """The flags in the order in which they came; a new fact flags again only once the flag is answered."""
    met = sorted(_met(trial, history, visits, ending, stop), key=lambda each: (each.at, each.criterion))
    decisions = sorted(history.standing(DECIDED), key=lambda said: (history.known(said), said.name))
    found: list[Flag] = []
    waiting = list(met)
    for decision in decisions:
        at = history.known(decision)
        while waiting and waiting[0].at <= at:
            _raise(found, waiting.pop(0))
        _answer(found, decision, at)
    for each in waiting:
        _raise(found, each)
    return [flag for flag in found if not (ending and flag.since > ending.known)]


def _raise(found: list[Flag], met: Met) -> None:
    if not any(flag.criterion == met.criterion and not flag.answer for flag in found):
        found.append(Flag(met.criterion, met.at))


def _answer(found: list[Flag], decision: Said, at: datetime) -> None:
    named = decision.data.get("criterion")
    for flag in found:
        if not flag.answer and named in (None, flag.criterion):
            flag.answer, flag.answered = decision, at


def _met(
    trial: Trial, history: History, visits: Sequence[Visit], ending: Ending | None, stop: Ending | None
) -> Iterator[Met]:
    """What each version found met in its time; what was met before its time counts from its assignment."""
    followed = periods(trial, history)
    seen: set[tuple[str, object]] = set()
    for period, following in zip(followed, [*followed[1:], None], strict=True):
        for met in sorted(_met_by(period.trial, history, visits, ending, stop), key=lambda each: each.at):
            at = max(met.at, period.since) if period.since else met.at
            over = following and following.since and at >= following.since
            if not over and (met.criterion, met.fact) not in seen:
                seen.add((met.criterion, met.fact))
                yield replace(met, at=at)


def _met_by(
    trial: Trial, history: History, visits: Sequence[Visit], ending: Ending | None, stop: Ending | None
) -> Iterator[Met]:
    yield from _adverse_events(trial, history)
    for said in history.standing(MEDICATION):
        yield Met(history.known(said), MEDICINES[said.data["kind"]], history.origin(said).name)
    yield from _missed_infusions(trial, visits)
    yield from _lost(trial, history, visits, ending, stop)


def _adverse_events(trial: Trial, history: History) -> Iterator[Met]:
    least = trial.criterion("adverse-event")["grade"]
    for ae in codes(history):
        for told in tellings(history, ae, weight):
            data = told.report.data
            if data["related"] and (data["serious"] or data["grade"] >= least):
                yield Met(told.at, "adverse-event", told.first.name)


def _missed_infusions(trial: Trial, visits: Sequence[Visit]) -> Iterator[Met]:
    in_a_row = trial.criterion("missed-infusions")["in_a_row"]
    infusions = [visit for visit in visits if visit.treatment]
    for place in range(len(infusions) - in_a_row + 1):
        those = infusions[place : place + in_a_row]
        row = [visit.missed for visit in those if visit.missed_by != "exit"]
        known = [missed for missed in row if missed]
        if len(known) == in_a_row:
            yield Met(max(known), "missed-infusions", (those[-1].code, those[-1].target, those[-1].missed_by))


def _lost(
    trial: Trial, history: History, visits: Sequence[Visit], ending: Ending | None, stop: Ending | None
) -> Iterator[Met]:
    rule = trial.criterion("lost-to-follow-up")
    found = (_silence(trial, history, visit, ending, stop) for visit in visits)
    silences = [each for each in found if each and each[0] < each[1]]
    for run in _runs(history):
        facts: list[tuple[datetime, object]] = [(at, ("attempt", at)) for at in run.known()]
        facts += [(since, fact) for since, _, fact in silences]
        for at, fact in sorted(facts, key=lambda each: each[0]):
            if run.days_known(at) < rule["attempts"] or not run.counts_at(at):
                continue
            if any(since <= at < until for since, until, _ in silences):
                yield Met(at, "lost-to-follow-up", fact)


def _silence(
    trial: Trial, history: History, visit: Visit, ending: Ending | None, stop: Ending | None
) -> tuple[datetime, datetime, object] | None:
    """From when to when a visit counts as long overdue."""
    if not visit.resolved:
        return None
    rule = trial.criterion("lost-to-follow-up")
    ready = visit.closes + timedelta(days=rule["days_after_close"])
    if visit.done and visit.done.on <= ready:
        return None
    since = trial.calendar.at_nine(ready)
    since = max(since, visit.resolved)
    until = datetime.max.replace(tzinfo=since.tzinfo)
    if visit.done:
        until = history.known(visit.done)
    elif visit.missed and visit.missed_by == "stated":
        until = visit.missed
    elif visit.cancelled and stop and visit.closes < stop.on:
        until = stop.known
    elif visit.cancelled:
        until = stop.known if stop else ending.known if ending else until
    return since, until, (visit.code, visit.target)


@dataclass(frozen=True)
class _Run:
    """Attempts without success between two meetings, each with its day and the instant it became known."""

    attempts: list[tuple[date, datetime]]
    ended: datetime | None

    def known(self) -> list[datetime]:
        """The instants at which the days became known: a second attempt on a day makes no more of them."""
        days = {day for day, _ in self.attempts}
        return [min(known for each, known in self.attempts if each == day) for day in days]

    def days_known(self, at: datetime) -> int:
        return len({day for day, known in self.attempts if known <= at})

    def counts_at(self, at: datetime) -> bool:
        return self.ended is None or at < self.ended


def _runs(history: History) -> list[_Run]:
    marks: list[tuple[date, datetime, bool]] = []
    for said in history.standing(CONTACT, COMPLETED, UNSCHEDULED):
        meets = said.type != CONTACT or bool(said.data["reached"])
        marks.append((said.on, history.known(said), meets))
    found: list[_Run] = []
    attempts: list[tuple[date, datetime]] = []
    for day, known, meets in sorted(marks):
        if meets:
            found.append(_Run(attempts, known))
            attempts = []
        else:
            attempts.append((day, known))
    return [*found, _Run(attempts, None)]
