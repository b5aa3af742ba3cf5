"""The dose: cells per kg of the protocol times a weight; what was given compared with it.

Cells are ordered for the weight known last. What was given is compared with the dose for the weight taken at
that infusion, else for the weight known last before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from itp_events.events import Completed, Data, Event
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import Subject, as_data
from itp_events.rules.windows import PlannedVisit


@dataclass(frozen=True, slots=True)
class Weighing:
    """A weight in kg, its site-local date, at which event it was taken, and since when it is known (UTC)."""

    kg: float
    on: date
    at: str
    known_at: datetime


def weighings(subject: Subject, before: Event | None = None) -> list[Weighing]:
    """The weights known, the oldest first; with `before`, only those that stand before that event."""
    enrolled = subject.enrolled
    known_at = subject.known_since(subject.enrolment, _weight)
    found = [Weighing(enrolled.weight_kg, enrolled.on, "enrolment", known_at)]
    end = subject.place(before) if before else None
    for event in subject.of(Completed):
        if end and subject.place(event) >= end:
            break
        data = as_data(event, Completed)
        if data.weight_kg:
            found.append(_weighing(subject, event, data.weight_kg))
    return found


def weighing_at(subject: Subject, infusion: Event) -> Weighing:
    """The weight that counts for what was given: the one taken at that infusion, else the last before it."""
    data = as_data(infusion, Completed)
    if data.weight_kg:
        return _weighing(subject, infusion, data.weight_kg)
    return weighings(subject, infusion)[-1]


def _weighing(subject: Subject, event: Event, kg: float) -> Weighing:
    data = as_data(event, Completed)
    return Weighing(kg, data.on, data.visit, subject.known_since(event, _weight))


def _weight(data: Data) -> object:
    return data.type, getattr(data, "weight_kg", None)


def planned_cells(state: SubjectState, weighing: Weighing) -> float:
    """How many cells the protocol gives for a weight."""
    return float(_decimal(state.protocol.dose.cells_per_kg) * _decimal(weighing.kg))


def deviates(state: SubjectState, planned: PlannedVisit) -> bool:
    """Whether the cells given differ from the planned dose by more than the protocol's limit."""
    event = planned.event
    if event is None or planned.on is None or planned.visit.epoch != "treatment":
        return False
    given = as_data(event, Completed).cells_given
    if given is None:
        return False
    dose = planned_cells(state, weighing_at(state.subject, event))
    return _differs(given, dose, state.protocol.dose.deviation)


def weight_change(state: SubjectState) -> float | None:
    """The relative change of weight since the last infusion, where it exceeds the protocol's limit."""
    subject = state.subject
    last = next(
        (each for each in reversed(state.visits) if each.visit.epoch == "treatment" and each.on), None
    )
    now = weighings(subject)[-1].kg
    then = weighings(subject, last.event)[-1].kg if last else subject.enrolled.weight_kg
    return (now - then) / then if _differs(now, then, state.protocol.dose.weight_change) else None


def _differs(value: float, reference: float, limit: float) -> bool:
    """Whether a value differs from its reference by more than `limit`, a fraction of the reference."""
    return abs(_decimal(value) - _decimal(reference)) > _decimal(limit) * _decimal(reference)


@lru_cache(maxsize=4096)
def _decimal(value: float) -> Decimal:
    # The number as people write it: in binary, exactly 10 percent of 64.1 kg is a little more than that.
    return Decimal(str(value))
