"""The planned visits: what each hangs on, its window, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tests.oracle.days import later, length
from tests.oracle.endings import Ending
from tests.oracle.history import History
from tests.oracle.periods import Period, periods
from tests.oracle.said import BOOKED, COMPLETED, ENROLLED, MISSED, Said
from tests.oracle.trial import Trial, trial


@dataclass
class Visit:
    """One planned visit. `resolved` is the instant since which its anchor's date is known for good.

    `trial` is the version that judges it, and `since` the instant of its assignment.
    """

    rule: dict[str, Any]
    anchor: str
    anchor_on: date
    basis: str
    resolved: datetime | None
    target: date
    opens: date
    closes: date
    done: Said | None = None
    missed: datetime | None = None
    missed_by: str = ""
    cancelled: bool = False
    cancelled_at: datetime | None = None
    booked: Said | None = None
    trial: Trial = field(default_factory=trial)
    since: datetime | None = None

    @property
    def code(self) -> str:
        """The visit's code."""
        return str(self.rule["code"])

    @property
    def treatment(self) -> bool:
        """Whether the visit is an infusion."""
        return bool(self.rule["epoch"] == "treatment")

    @property
    def waits(self) -> bool:
        """Whether nothing has become of the visit yet."""
        return not (self.done or self.missed or self.cancelled)

    @property
    def settled(self) -> bool:
        """Whether what hangs on the visit may be recorded."""
        return bool(self.done or self.missed)

    def cancelled_by(self, at: datetime) -> bool:
        """Whether it was known at an instant that the visit is cancelled."""
        return self.cancelled_at is not None and self.cancelled_at <= at

    @property
    def when(self) -> date:
        """The day to come: the booked one, else the target."""
        return self.booked.on if self.booked else self.target

    @property
    def deviation(self) -> int | None:
        """Days outside the window, negative when early; None when not done."""
        if not self.done:
            return None
        on = self.done.on
        return (min(on, self.opens) - self.opens).days + (max(on, self.closes) - self.closes).days


@dataclass(frozen=True)
class Fate:
    """What decides about visits nobody recorded: the service's own misses, a stop, an exit."""

    silent: dict[str, datetime]
    stop: Ending | None
    exit: Ending | None


@dataclass(frozen=True)
class Schedule:
    """The visits of the plan, and those of earlier versions of which nothing had become in their time."""

    visits: list[Visit]
    earlier: list[tuple[Visit, Period]]


def schedule(trial: Trial, history: History, fate: Fate) -> Schedule:
    """The visits in the protocol's order: what became of one under a version stays judged by that version."""
    followed = periods(trial, history)
    found: dict[str, Visit] = {}
    earlier: list[tuple[Visit, Period]] = []
    for code in _in_order(followed):
        visit, before = _under_its_version(code, history, followed, found, fate)
        earlier += before
        if visit:
            found[code] = visit
    return Schedule(list(found.values()), earlier)


def _in_order(followed: list[Period]) -> list[str]:
    """The codes of all versions: what the newest does not have comes behind what it came behind."""
    codes = [visit["code"] for visit in followed[-1].trial.visits]
    for period in followed[-2::-1]:
        of_version = [visit["code"] for visit in period.trial.visits]
        for before, code in zip(["", *of_version], of_version, strict=False):
            if code not in codes:
                codes.insert(codes.index(before) + 1 if before else 0, code)
    return codes


def _under_its_version(
    code: str, history: History, followed: list[Period], before: dict[str, Visit], fate: Fate
) -> tuple[Visit | None, list[tuple[Visit, Period]]]:
    """The visit, None when the newest version has none and nothing had become of it, and those before."""
    earlier: list[tuple[Visit, Period]] = []
    for period, following in zip(followed, [*followed[1:], None], strict=True):
        rule = period.trial.rule(code)
        if rule is None:
            continue
        visit = _placed(period.trial, history, rule, before, fate)
        visit.trial, visit.since = period.trial, period.since
        _settle(period.trial, history, visit, fate)
        if following is None or _over(visit, history, following):
            return visit, earlier
        earlier.append((visit, following))
    # The versions that came later have no such visit.
    return None, earlier


def _over(visit: Visit, history: History, following: Period) -> bool:
    """Whether it was known what had become of a visit before the next version was assigned."""
    if visit.done:
        return not following.reaches(visit.done.on, history.known(visit.done))
    at = visit.missed or visit.cancelled_at
    return at is not None and not following.reaches(visit.trial.calendar.day_of(at), at)


def enrolment(history: History) -> Said:
    """The enrolment that stands."""
    return history.standing(ENROLLED)[-1]


def _placed(
    trial: Trial, history: History, rule: dict[str, Any], before: dict[str, Visit], fate: Fate
) -> Visit:
    if rule["anchor"] == "enrolment":
        return _first(history, rule)
    if rule["anchor"] == "end-of-treatment":
        anchor = _end_of_treatment(trial, before, fate)
    else:
        anchor = before[rule["anchor"]]
    on, basis, resolved = _anchored(history, anchor)
    stopped = fate.stop if rule["anchor"] == "end-of-treatment" else None
    if stopped and resolved and anchor.code != trial.infusions[-1]:
        resolved = max(resolved, stopped.known)
    target = later(on, rule["target"])
    opens, closes = target - length(rule["before"]), target + length(rule["after"])
    return Visit(rule, anchor.code, on, basis, resolved, target, opens, closes)


def _first(history: History, rule: dict[str, Any]) -> Visit:
    enrolled = enrolment(history)
    start = enrolled.on
    agreed = enrolled.data.get("first_infusion_on")
    target = date.fromisoformat(agreed) if agreed else start
    closes = later(start, rule["target"]) + length(rule["after"])
    return Visit(rule, "enrolment", start, "actual", history.known(enrolled), target, start, closes)


def _anchored(history: History, anchor: Visit) -> tuple[date, str, datetime | None]:
    if anchor.done:
        return anchor.done.on, "actual", history.known(anchor.done)
    if anchor.missed:
        return anchor.target, "planned", anchor.missed
    return anchor.target, "projected", None


def _end_of_treatment(trial: Trial, before: dict[str, Visit], fate: Fate) -> Visit:
    last = before[trial.infusions[-1]]
    given = [before[code] for code in trial.infusions if before[code].done]
    return given[-1] if fate.stop and given else last


def _settle(trial: Trial, history: History, visit: Visit, fate: Fate) -> None:
    code = visit.code
    visit.done = next((said for said in history.standing(COMPLETED) if said.visit == code), None)
    bookings = [said for said in history.standing(BOOKED) if said.visit == code]
    visit.booked = max(bookings, key=lambda said: (history.known(said), said.name), default=None)
    if visit.done:
        return
    stated = next((said for said in history.standing(MISSED) if said.visit == code), None)
    if stated:
        visit.missed, visit.missed_by = history.known(stated), "stated"
    elif fate.stop and _stopped(trial, visit, fate.stop, fate.silent):
        visit.cancelled, visit.cancelled_at = True, fate.stop.known
    elif fate.exit and not (code in fate.silent and visit.closes < fate.exit.on):
        _settle_by_exit(visit, fate.exit)
    elif code in fate.silent:
        visit.missed, visit.missed_by = fate.silent[code], "service"


def _settle_by_exit(visit: Visit, ending: Ending) -> None:
    if visit.resolved and visit.closes < ending.on:
        visit.missed, visit.missed_by = ending.known, "exit"
    else:
        visit.cancelled, visit.cancelled_at = True, ending.known


def came_first(trial: Trial, missed: datetime, stop: Ending | None) -> bool:
    """Whether the service declared a visit missed before treatment was stopped."""
    return stop is None or (missed < stop.known and trial.calendar.day_of(missed) <= stop.on)


def _stopped(trial: Trial, visit: Visit, stop: Ending, silent: dict[str, datetime]) -> bool:
    if visit.treatment:
        missed = silent.get(visit.code)
        return not (missed and came_first(trial, missed, stop))
    return visit.anchor != trial.infusions[-1] and visit.closes < stop.on
