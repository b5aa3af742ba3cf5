"""What holds for a subject at an instant: visits, flags, stop and exit, derived from the facts alone.

Everything here follows from what people stated and from `now`; nothing depends on when the service was
awake. Flags pause ladders, ladders decide misses, and misses raise flags: the derivation is repeated
until it settles, which it does because each of these acts only on what comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from itp_events.ladder import Hold
from itp_events.protocol import Protocol
from itp_events.subject import Subject
from itp_events.windows import Ending, PlannedVisit, schedule
from itp_events.withdrawal import Flag, Trigger, exits, flags, nothing_given, stops, triggers

# Each round settles at least the earliest flag or ending that is not settled yet; no subject has so many.
_AT_MOST = 100

StudyStatus = Literal["on-treatment", "in-follow-up", "on-hold", "completed", "withdrawn"]


@dataclass(frozen=True)
class Disposition:
    """How one epoch ended for the subject (SDTM DS): date, DSDECOD and verbatim term."""

    epoch: Literal["treatment", "follow-up"]
    on: date
    decode: str
    term: str


@dataclass(frozen=True)
class View:
    """A subject's situation at `now`; dates are local dates of the site, instants UTC."""

    protocol: Protocol
    subject: Subject
    now: datetime
    visits: tuple[PlannedVisit, ...]
    flags: tuple[Flag, ...]
    stop: Ending | None
    exit: Ending | None
    ahead: tuple[datetime, ...]

    @property
    def today(self) -> date:
        """The site-local date."""
        return self.subject.site.date_of(self.now)

    @property
    def open_flags(self) -> tuple[Flag, ...]:
        """The flags that wait for the investigator, the oldest first; none after exit."""
        return () if self.exit else tuple(flag for flag in self.flags if flag.open)

    @property
    def on_hold(self) -> bool:
        """Whether a flag waits for the investigator."""
        return bool(self.open_flags)

    @property
    def treatment_ended(self) -> bool:
        """Whether no infusion is left to give."""
        return all(visit.outcome for visit in self.visits if visit.visit.epoch == "treatment")

    @property
    def stopped(self) -> Ending | None:
        """The stop that cancelled infusions; one that found none left to cancel is none."""
        cancelled = (
            visit.visit.epoch == "treatment" and visit.outcome == "cancelled" for visit in self.visits
        )
        return self.stop if any(cancelled) else None

    @property
    def awaiting_disposition(self) -> bool:
        """Whether no last visit will be done and the investigator has not chosen a disposition."""
        return self.exit is None and self.visits[-1].outcome in ("missed", "cancelled")

    @property
    def current(self) -> PlannedVisit | None:
        """The first visit that is neither done nor missed nor cancelled."""
        return next((visit for visit in self.visits if visit.outcome is None), None)

    @property
    def status(self) -> StudyStatus:
        """The subject's status, by the names of the contract."""
        if self.exit:
            return "completed" if self.exit.decode == "COMPLETED" else "withdrawn"
        if self.on_hold:
            return "on-hold"
        return "in-follow-up" if self.treatment_ended else "on-treatment"

    @property
    def state(self) -> str:
        """The phase to show, as `Awaiting INF3`."""
        if self.exit:
            return "Completed" if self.status == "completed" else f"Withdrawn: {self.exit.decode}"
        if self.open_flags:
            return f"On hold: {self.open_flags[0].criterion}"
        if self.awaiting_disposition or self.current is None:
            return "Awaiting disposition"
        words = {"upcoming": "Awaiting {}", "open": "{} window open", "overdue": "{} overdue"}
        return words[self.current.status(self.today)].format(self.current.code)

    def suggested(self, planned: PlannedVisit) -> date | None:
        """The working day to propose for a visit: nearest to its target, inside its window, not past.

        None for a visit that is settled or whose window is over, and for infusions while on hold.
        """
        held = self.on_hold and planned.visit.epoch == "treatment"
        if planned.outcome or held or self.exit:
            return None
        first = max(planned.opens, self.today)
        return self.subject.site.workdays.nearest(planned.target, first, planned.closes)

    @property
    def dispositions(self) -> tuple[Disposition, ...]:
        """One disposition for each epoch that ended."""
        found = []
        treatment = self._treatment_disposition()
        if treatment:
            found.append(treatment)
        if self.exit and treatment and self._entered_follow_up():
            found.append(Disposition("follow-up", self.exit.on, self.exit.decode, self.exit.term))
        return tuple(found)

    def _treatment_disposition(self) -> Disposition | None:
        infusions = [visit for visit in self.visits if visit.visit.epoch == "treatment"]
        if not self.treatment_ended:
            return None
        if any(visit.outcome == "cancelled" or visit.by_exit for visit in infusions):
            end = self.stop or self.exit
            return Disposition("treatment", end.on, end.decode, end.term) if end else None
        last = infusions[-1]
        return Disposition("treatment", last.on or last.target, "COMPLETED", "Completed")

    def _entered_follow_up(self) -> bool:
        infusions = [visit for visit in self.visits if visit.visit.epoch == "treatment"]
        cut_short = any(visit.outcome == "cancelled" or visit.by_exit for visit in infusions)
        return not cut_short or (self.stop is not None and any(visit.on for visit in infusions))


def view(protocol: Protocol, subject: Subject, now: datetime) -> View:
    """What holds for the subject at `now`, an aware instant."""
    known: tuple[tuple[Hold, ...], Ending | None, Ending | None] = ((), None, None)
    for _ in range(_AT_MOST):
        seen = _derive(protocol, subject, now, *known)
        found = _holds(seen.flags), seen.stop, seen.exit
        if found == known:
            break
        known = found
    return seen


def _derive(
    protocol: Protocol,
    subject: Subject,
    now: datetime,
    holds: Sequence[Hold],
    stop: Ending | None,
    exit: Ending | None,
) -> View:
    visits = schedule(protocol, subject, now, holds, stop, exit)
    found = triggers(protocol, subject, visits)
    raised = flags(subject, [each for each in found if each.at <= now and not _after(each, exit)])
    stop = next(iter(stops(protocol, subject, raised)), None)
    ends = exits(protocol, subject, raised, visits)
    if nothing := nothing_given(protocol, subject, raised, visits, stop):
        ends.append(nothing)
    exit = min(ends, key=lambda end: (end.on, end.at), default=None)
    if stop and exit and (exit.on, exit.at) < (stop.on, stop.at):
        stop = None
    ahead = tuple(each.at for each in found if each.at > now)
    return View(protocol, subject, now, visits, tuple(raised), stop, exit, ahead)


def _after(trigger: Trigger, exit: Ending | None) -> bool:
    return exit is not None and trigger.at >= exit.at


def _holds(raised: Sequence[Flag]) -> tuple[Hold, ...]:
    """The times during which any flag waits: flags that wait at once make one hold."""
    holds: list[Hold] = []
    for flag in raised:  # in order of `at`
        until = flag.decision.time if flag.decision else None
        last = holds[-1] if holds else None
        if last and last.during(flag.at):
            latest = max(last.until, until) if last.until and until else None
            holds[-1] = Hold(last.at, latest)
        else:
            holds.append(Hold(flag.at, until))
    return tuple(holds)
