"""The notices that people must have got by now, and those that they must not get anew.

Each alert that the log plainly owes is issued by the end of the step in which it became known, to each
audience of the protocol. A notice is not repeated because a word was spelt wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from deployments.simulation.engine import Step
from deployments.simulation.invariants.findings import dose_is_off, eligibility, was_held
from deployments.simulation.invariants.lineage import Looks, apart_from_words, resting_on
from deployments.simulation.invariants.reference import Truth
from deployments.simulation.invariants.visits import Visited
from itp_events.events import (
    AdverseEvent,
    Data,
    Died,
    Event,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeWithdrawn,
    Pregnancy,
)
from itp_events.protocol.model import AlertName
from itp_events.rules.keys import about, named, stable


@dataclass(frozen=True)
class Issued:
    """A notice as it was issued: its row, the statement that it is about, and whether it was taken back."""

    row: str
    data: NoticeIssued
    at: datetime
    withdrawn: bool

    @property
    def about(self) -> str:
        """The last part of its key: the name of an event, or a date."""
        return about(self.row)

    @property
    def key(self) -> str:
        """Its key without the count of repetitions."""
        return stable(self.row)


class Told:
    """Every notice that a log holds."""

    def __init__(self, log: Sequence[Event]) -> None:
        gone: dict[str, bool] = {}
        for event in log:
            if isinstance(event.data, NoticeWithdrawn | NoticeClosed | NoticeReopened):
                gone[event.data.notice] = isinstance(event.data, NoticeWithdrawn)
        self.all = [
            Issued(event.id, event.data, event.time, gone.get(event.id, False))
            for event in log
            if isinstance(event.data, NoticeIssued)
        ]

    @cached_property
    def _index(self) -> set[tuple[str, str, str]]:
        return {(each.data.step, each.data.audience, each.about) for each in self.all if not each.withdrawn}

    def holds(self, step: str, audience: str, names: Iterable[str]) -> bool:
        """Whether an audience was told in a step about one of some statements."""
        return any((step, audience, name) in self._index for name in names)

    def since(self, at: datetime, step: str, audience: str, names: set[str]) -> bool:
        """Whether an audience was told in a step, not before an instant, about one of some statements."""
        return any(
            each.about in names and each.at >= at and not each.withdrawn
            for each in self.all
            if (each.data.step, each.data.audience) == (step, audience)
        )

    def ever(self, step: str, audience: str) -> bool:
        """Whether an audience was told in a step about anything."""
        return any(each[:2] == (step, audience) for each in self._index)


def untold(step: Step, truth: Truth) -> Iterator[str]:
    """7. Every alert that is owed was told to each audience, as soon as its reason was known."""
    told = Told(step.log)
    for name, event in _owed(truth):
        names = list(_names(truth, event))
        for audience in truth.protocol.alerts[name].audiences:
            if not told.holds(name, audience, names):
                yield f"{name} about {event.id} was not told to the {audience}"
    yield from _clocks(step, truth, told)
    yield from _endings(truth, told)
    yield from _not_eligible(truth, told)
    yield from _flags(truth, told)


def _owed(truth: Truth) -> Iterator[tuple[AlertName, Event]]:
    for event in truth.stated(AdverseEvent, Pregnancy, Died):
        unexplained = isinstance(event.data, Died) and not truth.reports.explained
        if getattr(event.data, "serious", False) or isinstance(event.data, Pregnancy) or unexplained:
            yield "sae", event
    for visit in truth.visits.all:
        if visit.booking and visit.waits and visit.firm and visit.outside(visit.when):
            yield "booking-out-of-window", visit.booking
        if visit.done and visit.on:
            yield from _owed_of(truth, visit, visit.done, visit.on)


def _owed_of(truth: Truth, visit: Visited, done: Event, on: date) -> Iterator[tuple[AlertName, Event]]:
    if visit.outside(on):
        yield "out-of-window", done
    if visit.treatment and dose_is_off(truth, done):
        yield "dose-deviation", done
    if visit.treatment and was_held(truth, done, on):
        yield "infusion-on-hold", done


def _names(truth: Truth, event: Event) -> Iterator[str]:
    """The names of a statement and of those that it continues without a change of what an alert rests on."""
    looks = _LOOKS.get(type(event.data), resting_on)
    seen: set[str] = set()
    at: Event | None = event
    while at is not None and named(at.key) not in seen and looks(at.data) == looks(event.data):
        seen.add(named(at.key))
        yield named(at.key)
        at = truth.lineage.before(at)


def _died(data: Data) -> object:
    return data.type


def _whose(data: Data) -> object:
    return getattr(data, "partner", None)


_LOOKS: dict[type[Data], Looks] = {Died: _died, Pregnancy: _whose}


def _clocks(step: Step, truth: Truth, told: Told) -> Iterator[str]:
    """The newest due reminder of each safety report that is owed."""
    rule = truth.protocol.alerts["sae"]
    for owed in truth.reports.all:
        due = [hours for hours in rule.clock_hours if owed.since + timedelta(hours=hours) <= step.now]
        if owed.submitted or not due or not truth.reports.certain(owed.began):
            continue
        for audience in rule.audiences:
            if not told.since(owed.since, f"sae-{due[-1]}h", audience, _course(truth, owed.began)):
                yield f"sae-{due[-1]}h about {owed.began.id} was not told to the {audience}"


def _course(truth: Truth, began: Event) -> set[str]:
    """The names of every report of an adverse event; of anything else, of its versions."""
    data = began.data
    of_event = truth.lineage.reports(data.ae) if isinstance(data, AdverseEvent) else ()
    return {named(event.key) for event in (*of_event, *truth.lineage.versions(began), began)}


def _endings(truth: Truth, told: Told) -> Iterator[str]:
    open_infusions = any(each.cancelled for each in truth.visits.all if each.treatment)
    for name, holds in (("exit", truth.ended), ("treatment-stopped", truth.stopped and open_infusions)):
        if not holds or (name == "treatment-stopped" and truth.visits.exit_on):
            continue
        for audience in truth.protocol.alerts[name].audiences:  # type: ignore[index]
            if not told.ever(name, audience):
                yield f"{name} was not told to the {audience}"


def _not_eligible(truth: Truth, told: Told) -> Iterator[str]:
    if not any(row.category == "eligibility" for row in eligibility(truth)):
        return
    for audience in truth.protocol.alerts["eligibility"].audiences:
        if not told.ever("eligibility", audience):
            yield f"eligibility was not told to the {audience}"


def _flags(truth: Truth, told: Told) -> Iterator[str]:
    for criterion in truth.held if not truth.ended else ():
        audiences = {
            each.data.audience
            for each in told.all
            if each.data.step == "flag" and each.data.facts.get("criterion") == criterion
        }
        for audience in set(truth.protocol.alerts["flag"].audiences) - audiences:
            yield f"the flag {criterion} was not told to the {audience}"


def told_anew(step: Step, truth: Truth) -> Iterator[str]:
    """8. A correction that changes words alone tells nobody anew."""
    mended = [event for event in step.accepted if _mends_words(truth, event)]
    if not mended:
        return
    handed = {stable(row) for row in step.handed}
    names = {event.id: {named(each.key) for each in truth.lineage.versions(event)} for event in mended}
    for issued in Told(step.decision.events).all:
        for event in mended:
            again = issued.about in names[event.id] and issued.key in handed
            if issued.data.kind == "alert" and (again or issued.about == named(event.key)):
                yield f"{issued.row} tells anew of {event.id}, which was worded otherwise"


def _mends_words(truth: Truth, event: Event) -> bool:
    wrong = truth.lineage.corrects.get(event.key)
    return wrong is not None and apart_from_words(wrong.data) == apart_from_words(event.data)


def stood_down(step: Step, truth: Truth) -> Iterator[str]:
    """7. Cells that were ordered for a date that no longer holds are stood down, and no others."""
    told = Told(step.log)
    orders = [each for each in told.all if each.data.facts.get("dose") and each.row in step.handed]
    undone = {each.row for each in orders if _undone(truth, each)}
    for order in orders:
        if order.row not in undone:
            continue
        for audience in truth.protocol.alerts["stand-down"].audiences:
            if not any(_stands_down(each, order, audience) for each in told.all):
                yield f"{order.row} no longer holds, and the {audience} was not told to stand down"
    # One that had not left yet may be worded anew when its reason changes: the cells still go to waste.
    for issued in (each for each in Told(step.decision.events).all if each.row == each.key):
        of_it = [each for each in orders if _stands_down(issued, each, issued.data.audience)]
        held = step.decision.subject_state.on_hold
        if issued.data.step == "stand-down" and not held and not any(each.row in undone for each in of_it):
            yield f"{issued.row} stands down what was not ordered, or still holds"


def _stands_down(issued: Issued, order: Issued, audience: str) -> bool:
    same = issued.data.visit == order.data.visit and issued.about == order.about
    return (
        same
        and issued.data.step == "stand-down"
        and issued.data.audience == audience
        and not issued.withdrawn
    )


def _undone(truth: Truth, order: Issued) -> bool:
    visit = truth.visits.of(str(order.data.visit))
    if visit.on:
        return False
    over = truth.ended or truth.lies_dead or bool(truth.held) or not visit.firm or not visit.waits
    return over or str(visit.when) != order.about
