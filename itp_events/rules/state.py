"""A subject's state at an instant: visits, flags, stop and exit, derived from the events that people stated.

This module decides nothing and records nothing. The state depends on the events and on `now`, and never on
the times at which the service was awake. Flags pause ladders, ladders decide misses, and misses raise flags:
the derivation is repeated until it settles. It settles because each of these acts only on what comes after
it, so that nothing rests on its own consequences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Literal

from itp_events.errors import ItpError
from itp_events.protocol.model import Protocol
from itp_events.rules.ladder import Hold
from itp_events.rules.safety import Fatal, fatal_holds, unrecorded_death
from itp_events.rules.subject import Subject
from itp_events.rules.windows import Ending, PlannedVisit, schedule
from itp_events.rules.withdrawal import Flag, MetCriterion, exits, flags, met_criteria, nothing_given, stops

# More rounds than any protocol has visits, each of which can raise a flag.
_ROUNDS = 200

DEATH_UNRECORDED = "death-unrecorded"

StudyStatus = Literal["on-treatment", "in-follow-up", "on-hold", "completed", "withdrawn"]


@dataclass(frozen=True)
class Disposition:
    """The end of one epoch for the subject (SDTM DS): its site-local date, DSDECOD and verbatim term."""

    epoch: Literal["treatment", "follow-up"]
    on: date
    decode: str
    term: str


@dataclass(frozen=True)
class SubjectState:
    """A subject's state at `now`; dates are local dates of the site, instants are in UTC.

    `flags` holds all that were raised, the answered ones included. `ahead` holds the instants at which
    criteria will be met if nothing changes. `holds` are the times during which the ladders of infusions rest.
    """

    protocol: Protocol
    subject: Subject
    now: datetime
    visits: tuple[PlannedVisit, ...]
    flags: tuple[Flag, ...]
    stop: Ending | None
    exit: Ending | None
    ahead: tuple[datetime, ...]
    holds: tuple[Hold, ...] = ()

    def version_of(self, planned: PlannedVisit | None) -> Protocol:
        """The protocol version that judges a visit; for None the one that the subject follows now."""
        return self.subject.version(planned.version) if planned else self.protocol

    @property
    def today(self) -> date:
        """The site-local date at `now`."""
        return self.subject.site.date_of(self.now)

    @property
    def open_flags(self) -> tuple[Flag, ...]:
        """The flags that wait for the investigator, the oldest first; none after exit."""
        return () if self.exit else tuple(flag for flag in self.flags if flag.open)

    @cached_property
    def unrecorded_death(self) -> Fatal | None:
        """The fatal adverse event of a subject whose death is not recorded; None after exit."""
        return None if self.exit else unrecorded_death(self.subject)

    @property
    def on_hold(self) -> bool:
        """Whether a flag waits for the investigator, or a death for its record."""
        return bool(self.open_flags) or self.unrecorded_death is not None

    def held(self, planned: PlannedVisit) -> bool:
        """Whether no date is proposed for a visit: an infusion on hold, or any visit after a fatal event."""
        treatment = planned.visit.epoch == "treatment"
        return self.unrecorded_death is not None or (self.on_hold and treatment)

    @property
    def treatment_ended(self) -> bool:
        """Whether no infusion is left to give."""
        return all(visit.outcome for visit in self.visits if visit.visit.epoch == "treatment")

    @property
    def effective_stop(self) -> Ending | None:
        """The stop, when it cancelled infusions or an infusion was given after it all the same; else None."""
        return self.stop if self.stop and self._cut_short(self.stop) else None

    def _cut_short(self, stop: Ending) -> bool:
        infusions = (visit for visit in self.visits if visit.visit.epoch == "treatment")
        return any(visit.outcome == "cancelled" or (visit.on and visit.on > stop.on) for visit in infusions)

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
    def phase(self) -> str:
        """The phase in words, as `Awaiting INF3`."""
        if self.exit:
            return "Completed" if self.status == "completed" else f"Withdrawn: {self.exit.decode}"
        if self.unrecorded_death:
            return f"On hold: {DEATH_UNRECORDED}"
        if self.open_flags:
            return f"On hold: {self.open_flags[0].criterion}"
        if self.awaiting_disposition or self.current is None:
            return "Awaiting disposition"
        words = {"upcoming": "Awaiting {}", "open": "{} window open", "overdue": "{} overdue"}
        return words[self.current.status(self.today)].format(self.current.code)

    def suggested(self, planned: PlannedVisit) -> date | None:
        """The working day to propose for a visit: nearest to its target, inside its window, not past.

        None for a visit that is settled or whose window is over, for infusions while on hold, and for every
        visit while a fatal event stands without a death.
        """
        if planned.outcome or self.held(planned) or self.exit:
            return None
        first = max(planned.opens, self.today)
        return self.subject.site.workdays.nearest(planned.target, first, planned.closes)

    @property
    def dispositions(self) -> tuple[Disposition, ...]:
        """One disposition for each epoch that ended, treatment first."""
        treatment = self._treatment_disposition()
        if treatment is None:
            return ()
        if self.exit is None or not self._entered_follow_up():
            return (treatment,)
        return treatment, Disposition("follow-up", self.exit.on, self.exit.decode, self.exit.term)

    def _treatment_disposition(self) -> Disposition | None:
        infusions = [visit for visit in self.visits if visit.visit.epoch == "treatment"]
        if not self.treatment_ended:
            return None
        given = all(visit.on for visit in infusions)
        if _cut_short(infusions) or (self.effective_stop and not given):
            end = self.stop or self.exit
            return Disposition("treatment", end.on, end.decode, end.term) if end else None
        return self._treatment_over(infusions)

    def _treatment_over(self, infusions: Sequence[PlannedVisit]) -> Disposition:
        """Completed when every infusion was given; else OTHER, with the count of those given."""
        given, last = [visit for visit in infusions if visit.on], infusions[-1]
        known_on = self.subject.site.date_of(last.known_at) if last.known_at else last.target
        if len(given) == len(infusions):
            return Disposition("treatment", last.on or known_on, "COMPLETED", "Completed")
        term = f"{len(given)} of {len(infusions)} infusions given"
        return Disposition("treatment", last.on or known_on, "OTHER", term)

    def _entered_follow_up(self) -> bool:
        infusions = [visit for visit in self.visits if visit.visit.epoch == "treatment"]
        stopped = self.stop is not None and any(visit.on for visit in infusions)
        return stopped or not _cut_short(infusions)


def _cut_short(infusions: Sequence[PlannedVisit]) -> bool:
    """Whether treatment ended before its last infusion: by a stop, or with the study."""
    return infusions[-1].by_exit or any(visit.outcome == "cancelled" for visit in infusions)


def subject_state(subject: Subject, now: datetime) -> SubjectState:
    """The state of a subject at `now`, an aware instant.

    Stops and ends that people stated count from the beginning. The service itself finds one kind of end: no
    infusion was given and none is left. It looks for it in the state that holds without that end.

    Raises:
        ItpError: flags and ladders do not settle, which only a fault in the rules can cause.
    """
    stop = next(iter(stops(subject)), None)
    exit = min(exits(subject), key=lambda ending: ending.order, default=None)
    state = _settled(_Premises(subject, now, stop, exit, tuple(fatal_holds(subject))))
    nothing = nothing_given(subject, state.flags, state.visits, state.stop)
    if nothing is None or (exit is not None and exit.order <= nothing.order):
        return state
    return _settled(_Premises(subject, now, stop, nothing, tuple(fatal_holds(subject))))


@dataclass(frozen=True)
class _Premises:
    """The inputs of a state: the subject's events, the stop and the end that hold, and fatal events."""

    subject: Subject
    now: datetime
    stop: Ending | None
    exit: Ending | None
    fatal: tuple[Hold, ...]


def _settled(given: _Premises) -> SubjectState:
    """The state once every flag has paused the ladders that it pauses.

    A flag acts only on what comes after it. So each round settles at least the earliest flag that is not
    settled yet, and there are no more flags than met criteria.
    """
    stop, exit = given.stop, given.exit
    if stop and exit and (exit.on, exit.at) < (stop.on, stop.at):
        stop = None
    holds: tuple[Hold, ...] = _merged(given.fatal)
    rounds = 0
    while True:
        visits = schedule(given.subject, given.now, holds, stop, exit, given.fatal)
        met = met_criteria(given.subject, visits)
        known = [each for each in met if each.at <= given.now and _before(each, exit)]
        raised = flags(given.subject, known)
        settled = _merged([*given.fatal, *(Hold(flag.at, flag.decided_at) for flag in raised)])
        if settled == holds:
            break
        holds, rounds = settled, rounds + 1
        if rounds > _ROUNDS + len(given.subject.facts):
            raise ItpError(f"{given.subject.code}: flags and ladders do not settle; the rules are at fault")
    ahead = tuple(each.at for each in met if each.at > given.now)
    named = _as_answered(given, raised, visits, stop, exit)
    return SubjectState(
        given.subject.protocol, given.subject, given.now, visits, tuple(raised), *named, ahead, holds
    )


def _as_answered(
    given: _Premises,
    raised: Sequence[Flag],
    visits: Sequence[PlannedVisit],
    stop: Ending | None,
    exit: Ending | None,
) -> tuple[Ending | None, Ending | None]:
    """The stop and the end, with the criteria of the flags that they answer."""
    stated = {end.origin: end for end in stops(given.subject, raised)}
    ended = {end.origin: end for end in exits(given.subject, raised, visits)}
    stop = stated.get(stop.origin, stop) if stop else None
    if exit is not None:
        exit = ended.get(exit.origin) or stated.get(exit.origin) or exit
    return stop, exit


def _before(met: MetCriterion, exit: Ending | None) -> bool:
    return exit is None or met.at <= exit.at


def _merged(holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """The holds in order of time; holds that overlap become one."""
    merged: list[Hold] = []
    for hold in sorted(holds, key=lambda each: each.at):
        last = merged[-1] if merged else None
        if last and last.during(hold.at):
            latest = max(last.until, hold.until) if last.until and hold.until else None
            merged[-1] = Hold(last.at, latest)
        else:
            merged.append(hold)
    return tuple(merged)
