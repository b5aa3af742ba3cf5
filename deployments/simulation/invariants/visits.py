"""The visits of a subject as a log plainly says: windows by arithmetic, outcomes by what was recorded.

What the service itself recorded (misses, the stop, the exit) counts as said. Dates are dates of the site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from deployments.simulation.invariants.lineage import Lineage
from itp_events.events import Booked, Completed, Data, Enrolled, Event, Exited, Missed, TreatmentStopped
from itp_events.protocol.model import END_OF_TREATMENT, ENROLMENT, Protocol, Visit

_Kind = TypeVar("_Kind", bound=Data)


@dataclass(frozen=True)
class Visited:
    """One visit: its window, and what became of it. `firm`: the date that it hangs on is known."""

    rule: Visit
    firm: bool
    target: date
    opens: date
    closes: date
    booking: Event | None
    done: Event | None
    missed: Event | None
    by_exit: bool
    cancelled: bool

    @property
    def code(self) -> str:
        """The visit's code."""
        return self.rule.code

    @property
    def treatment(self) -> bool:
        """Whether it is an infusion."""
        return self.rule.epoch == "treatment"

    @property
    def on(self) -> date | None:
        """The date on which it was done."""
        return self.done.data.on if self.done and isinstance(self.done.data, Completed) else None

    @property
    def booked(self) -> date | None:
        """The date agreed last."""
        return self.booking.data.on if self.booking and isinstance(self.booking.data, Booked) else None

    @property
    def when(self) -> date:
        """T: the booked date, else the target."""
        return self.booked or self.target

    @property
    def waits(self) -> bool:
        """Whether nothing has become of it yet."""
        return not (self.done or self.missed or self.by_exit or self.cancelled)

    def outside(self, day: date) -> int:
        """Days outside the window: negative before it, positive after it, 0 inside."""
        if day < self.opens:
            return (day - self.opens).days
        return max(0, (day - self.closes).days)


class Visits:
    """All visits of a subject, in the protocol's order; `standing` are the events nobody voided."""

    def __init__(self, protocol: Protocol, standing: Sequence[Event], lineage: Lineage) -> None:
        self._protocol, self._standing, self._lineage = protocol, standing, lineage
        self.enrolled = _last(standing, Enrolled)
        stop, end = _last(standing, TreatmentStopped), _last(standing, Exited)
        self.stop_on = stop[1].on if stop else None
        self.exit_on = end[1].on if end else None
        self.all: list[Visited] = []
        if self.enrolled:
            for rule in protocol.visits:
                self.all.append(self._visit(rule, self.enrolled[1]))

    def of(self, code: str) -> Visited:
        """The visit of a code."""
        return next(each for each in self.all if each.code == code)

    def _visit(self, rule: Visit, enrolled: Enrolled) -> Visited:
        anchor, firm = self._anchor(rule, enrolled)
        target = rule.target.after(anchor)
        opens, closes = rule.opens(target), rule.closes(target)
        first = enrolled.first_infusion_on if not self.all else None
        done, missed = self._outcome(rule.code)
        cancelled, by_exit = self._cut(rule, firm, closes) if not (done or missed) else (False, False)
        booking = self._booking(rule.code)
        return Visited(rule, firm, first or target, opens, closes, booking, done, missed, by_exit, cancelled)

    def _anchor(self, rule: Visit, enrolled: Enrolled) -> tuple[date, bool]:
        if rule.anchor == ENROLMENT:
            return enrolled.on, True
        after_treatment = rule.anchor == END_OF_TREATMENT
        anchor = self._end_of_treatment() if after_treatment else self.of(rule.anchor)
        if anchor.on:
            return anchor.on, True
        return anchor.target, bool(anchor.missed or anchor.by_exit)

    def _end_of_treatment(self) -> Visited:
        infusions = [each for each in self.all if each.treatment]
        given = [each for each in infusions if each.on]
        cut = self.stop_on is not None and any(each.cancelled for each in infusions)
        return max(given, key=lambda each: each.on or each.target) if given and cut else infusions[-1]

    def _outcome(self, code: str) -> tuple[Event | None, Event | None]:
        found = [e for e in self._standing if isinstance(e.data, Completed | Missed) and e.data.visit == code]
        done = next((event for event in found if isinstance(event.data, Completed)), None)
        return done, None if done else next(iter(found), None)

    def _cut(self, rule: Visit, firm: bool, closes: date) -> tuple[bool, bool]:
        """Whether a stop or an exit cancelled an unrecorded visit, or the exit left it missed."""
        stopped = any(each.cancelled for each in self.all) or rule.epoch == "treatment"
        if self.stop_on and stopped:
            past = firm and closes < self.stop_on
            if rule.epoch == "treatment" or past:
                return True, False
        if self.exit_on is None:
            return False, False
        past = firm and closes < self.exit_on
        return not past, past

    def _booking(self, code: str) -> Event | None:
        """The booking known last; one restated unchanged keeps its first instant."""
        bookings = [e for e in self._standing if isinstance(e.data, Booked) and e.data.visit == code]
        return max(bookings, key=lambda event: (self._lineage.known(event), event.key), default=None)


def _last(standing: Sequence[Event], kind: type[_Kind]) -> tuple[Event, _Kind] | None:
    """The newest standing event of a type, and its data."""
    found = [(event, event.data) for event in standing if isinstance(event.data, kind)]
    return found[-1] if found else None
