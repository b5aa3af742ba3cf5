"""What a notice says: the facts that fill its text, as JSON types. Subject codes only, never names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, timedelta
from typing import Any

from itp_events.events import (
    AdverseEvent,
    Completed,
    ContactAttempted,
    Died,
    Event,
    MedicationChanged,
    Pregnancy,
)
from itp_events.marks import MARK
from itp_events.notices.assumed import assumed_in
from itp_events.notices.wanted import Duty
from itp_events.protocol.model import Limit, Reminder
from itp_events.rules.dose import Weighing, planned_cells, weighing_at, weighings, weight_change
from itp_events.rules.eligibility import unmet
from itp_events.rules.explain import reason
from itp_events.rules.safety import Clock, clocks, courses
from itp_events.rules.state import View
from itp_events.rules.subject import as_data
from itp_events.rules.windows import Ending, PlannedVisit


def facts(seen: View, duty: Duty) -> dict[str, Any]:
    """The facts for a duty's text; absent ones left out, dates as YYYY-MM-DD."""
    found: dict[str, Any] = {}
    if duty.planned:
        found |= _of_visit(seen, duty.planned)
    if duty.event:
        found |= _of_event(seen, duty)
    if duty.kind == "escalation":
        found["day"] = _days_closed(seen, duty)
    if _prepares(seen, duty):
        found["dose"] = _dose(seen, weighings(seen.subject)[-1]) | _changed(seen)
    found |= _of_step(seen, duty)
    found["assumed"] = sorted(assumed_in(seen, duty, found)) or None
    return {key: _json(value) for key, value in found.items() if value is not None}


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _of_visit(seen: View, planned: PlannedVisit) -> dict[str, Any]:
    anchor = planned.anchor
    rule = seen.protocol.by_code.get(anchor.code)
    return {
        "visit_label": planned.visit.label,
        "target": planned.target,
        "opens": planned.opens,
        "closes": planned.closes,
        "t": planned.day,
        "booked": planned.booked is not None,
        "anchor_code": anchor.code,
        "anchor_label": rule.label if rule else anchor.code,
        "anchor_on": anchor.on,
        "anchor_basis": anchor.basis,
        "reason": reason(planned, seen.visits),
        "offset": planned.visit.target.text,
        "agreed": planned.agreed or None,
        "target_source": planned.visit.source.target,
        "reading": planned.visit.reading,
        "window_source": planned.visit.source.window,
        "on": planned.on,
        "deviation_days": planned.deviation_days
        or (planned.outside(planned.day) if planned.booked else None),
    }


def _days_closed(seen: View, duty: Duty) -> int | None:
    """How many days after a window's last day a rung falls: a hold or a working day may have moved it."""
    return (seen.subject.site.date_of(duty.due) - duty.planned.closes).days if duty.planned else None


def _of_event(seen: View, duty: Duty) -> dict[str, Any]:
    event = duty.fact
    if event is None:
        return {}
    data = event.data
    if isinstance(data, AdverseEvent):
        said = {"ae": data.ae, "term": data.term, "grade": data.grade, "on": data.on}
        return said | {"outcome": data.outcome}
    if isinstance(data, MedicationChanged):
        return {"term": f"{data.drug}: {data.detail}", "on": data.on}
    if isinstance(data, Pregnancy):
        return {
            "ae": duty.event[1] if duty.event else event.id,
            "term": "pregnancy of a partner" if data.partner else "pregnancy",
            "on": data.on,
        }
    if isinstance(data, ContactAttempted):
        return {"on": data.on}
    return {} if isinstance(data, Completed) else {"on": getattr(data, "on", None)}


def _prepares(seen: View, duty: Duty) -> Reminder | None:
    if duty.planned is None or duty.kind != "reminder":
        return None
    rules = seen.protocol.reminders[duty.planned.visit.epoch]
    return next((rule for rule in rules if rule.step == duty.step and rule.prepares_cells), None)


def _dose(seen: View, known: Weighing) -> dict[str, Any]:
    return {
        "cells": planned_cells(seen, known),
        "cells_per_kg": seen.protocol.dose.cells_per_kg,
        "weight_kg": known.kg,
        "weight_on": known.on.isoformat(),
        "weight_source": known.at,
        "source": seen.protocol.dose.source,
    }


def _changed(seen: View) -> dict[str, Any]:
    change = weight_change(seen)
    return {} if change is None else {"weight_change": change}


def _of_step(seen: View, duty: Duty) -> dict[str, Any]:
    if duty.step.startswith("decision-"):
        return {"attempt": duty.number} | _criterion(seen, duty)
    make = _BY_STEP.get("sae" if duty.step.startswith("sae") else duty.step)
    return make(seen, duty) if make else {}


def _criterion(seen: View, duty: Duty) -> dict[str, Any]:
    flag = next((each for each in seen.flags if each.event == duty.event), None)
    if flag is None:
        return {}
    return {"criterion": flag.criterion, "on": flag.on, "treatment_ended": seen.treatment_ended or None}


def _clock(seen: View, duty: Duty) -> dict[str, Any]:
    clock = next((each for each in clocks(seen.protocol, seen.subject) if each.event == duty.event), None)
    if clock is None:
        # Told of within a clock that runs already.
        clock = _running(seen, duty)
    last = seen.protocol.alerts["sae"].clock_hours[-1]
    limit = clock.limit if clock else duty.due + timedelta(hours=last)
    return {
        "hours": duty.number or last,
        "deadline": limit.astimezone(UTC).isoformat(),
        "follow_up": (clock is not None and clock.follow_up) or None,
        "death": isinstance(duty.fact.data, Died) if duty.fact else None,
    }


def _running(seen: View, duty: Duty) -> Clock | None:
    """The clock of the adverse event that an alert is about, though another report of it began it."""
    fact = duty.fact
    if fact is None or not isinstance(fact.data, AdverseEvent):
        return None
    course = next((each for each in courses(seen.subject) if fact in each.reports), None)
    found = [
        clock for clock in clocks(seen.protocol, seen.subject) if course and clock.fact in course.reports
    ]
    return found[-1] if found else None


def _fatal_event(seen: View, duty: Duty) -> dict[str, Any]:
    return {"attempt": duty.number}


def _end(ending: Ending | None) -> dict[str, Any]:
    if ending is None:
        return {}
    return {"criterion": ending.criterion, "decode": ending.decode, "term": ending.term, "on": ending.on}


def _given(seen: View, duty: Duty) -> dict[str, Any]:
    event: Event | None = duty.planned.event if duty.planned else None
    if event is None:
        return {}
    dose = _dose(seen, weighing_at(seen.subject, event))
    return {"given": as_data(event, Completed).cells_given, "planned": dose["cells"], "dose_for": dose}


def _stand_down(seen: View, duty: Duty) -> dict[str, Any]:
    planned = duty.planned
    if planned is None:
        return {}
    because = _why_stood_down(seen, planned)
    new_date = planned.day if because == "moved" else None
    return {"old_date": duty.key.rsplit("/", 1)[1], "new_date": new_date, "because": because}


def _why_stood_down(seen: View, planned: PlannedVisit) -> str:
    if seen.exit:
        return "exit"
    if planned.outcome:
        return "stopped" if planned.outcome == "cancelled" else "missed"
    if seen.unrecorded_death:
        return "fatal"
    if seen.on_hold:
        return "on-hold"
    return "moved" if planned.firm else "open"


def _unmet(seen: View) -> dict[str, Any]:
    found = unmet(seen.protocol, seen.subject.enrolled)
    return {
        "unmet": [str(each) for each in found],
        "shortfalls": [{"rule": each.rule, "mark": MARK * each.assumed, **each.values} for each in found],
    }


def _of_age(seen: View, limit: Limit) -> dict[str, Any]:
    return {"age_years": seen.subject.enrolled.screening.age_years, "from_years": limit.at_least}


def _choice(duty: Duty) -> dict[str, Any]:
    return {"attempt": duty.number, "outcome": duty.planned.outcome if duty.planned else None}


_BY_STEP: dict[str, Callable[[View, Duty], dict[str, Any]]] = {
    "sae": _clock,
    "flag": _criterion,
    "exit": lambda seen, _: _end(seen.exit),
    "treatment-stopped": lambda seen, _: _end(seen.stop),
    "eligibility": lambda seen, _: _unmet(seen),
    "majority": lambda seen, _: _of_age(seen, seen.protocol.eligibility.consent_of_age),
    "assent": lambda seen, _: _of_age(seen, seen.protocol.eligibility.assent_years),
    "death-unrecorded": _fatal_event,
    "dose-deviation": _given,
    "stand-down": _stand_down,
    "disposition": lambda _, duty: _choice(duty),
}
