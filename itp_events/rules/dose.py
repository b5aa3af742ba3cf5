"""The dose: the protocol's cells per kg times a weight, and its comparison with the cells given.

This module orders nothing and raises no alert. Cells are ordered for the weight known last. The cells given
are compared with the dose for the weight taken at that infusion, else for the weight known last before it.
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
    """A weight in kg with its site-local date.

    `at` is the code of the visit at which it was taken, or `enrolment`; it is known since `known_at` (UTC).
    """

    kg: float
    on: date
    at: str
    known_at: datetime


def weighings(subject: Subject, before: Event | None = None) -> list[Weighing]:
    """The weights known, the oldest first; with `before`, only those from before that event."""
    enrolled = subject.enrolled
    known_at = subject.known_since(subject.enrolment, _weight)
    known = [Weighing(enrolled.weight_kg, enrolled.on, "enrolment", known_at)]
    end = subject.place(before) if before else None
    for event in subject.of(Completed):
        if end and subject.place(event) >= end:
            break
        data = as_data(event, Completed)
        if data.weight_kg:
            known.append(_weighing(subject, event, data.weight_kg))
    return known


def weighing_at(subject: Subject, infusion: Event) -> Weighing:
    """The weight that counts for an infusion's dose: the one taken at it, else the last before it."""
    data = as_data(infusion, Completed)
    if data.weight_kg:
        return _weighing(subject, infusion, data.weight_kg)
    return weighings(subject, infusion)[-1]


def _weighing(subject: Subject, event: Event, kg: float) -> Weighing:
    data = as_data(event, Completed)
    return Weighing(kg, data.on, data.visit, subject.known_since(event, _weight))


def _weight(data: Data) -> object:
    return data.type, getattr(data, "weight_kg", None)


def planned_cells(state: SubjectState, weighing: Weighing, infusion: PlannedVisit | None = None) -> float:
    """The planned dose for a weight, as an absolute number of cells.

    The dose is that of the version that judges `infusion`; for None, of the version followed now.
    """
    return float(_decimal(state.version_of(infusion).dose.cells_per_kg) * _decimal(weighing.kg))


def deviates(state: SubjectState, planned: PlannedVisit) -> bool:
    """Whether the cells given differ from the planned dose by more than the protocol's limit."""
    event = planned.event
    if event is None or planned.on is None or planned.visit.epoch != "treatment":
        return False
    given = as_data(event, Completed).cells_given
    if given is None:
        return False
    dose = planned_cells(state, weighing_at(state.subject, event), planned)
    return _differs(given, dose, state.version_of(planned).dose.deviation)


def weight_change(state: SubjectState) -> float | None:
    """The relative change of weight since the last infusion, as 0.1 for ten per cent more.

    None when it is within the protocol's limit. Before the first infusion, the weight at enrolment counts.
    """
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
    # Decimal, as people write it: in binary, exactly 10 per cent of 64.1 kg comes out a little larger.
    return Decimal(str(value))
