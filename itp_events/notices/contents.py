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
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import AlertName, Limit, Reminder
from itp_events.rules.dose import Weighing, planned_cells, weighing_at, weighings, weight_change
from itp_events.rules.eligibility import unmet
from itp_events.rules.explain import reason
from itp_events.rules.safety import Clock, clocks, courses
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import as_data
from itp_events.rules.windows import Ending, PlannedVisit


def facts(state: SubjectState, wanted: WantedNotice) -> dict[str, Any]:
    """The facts for a duty's text; absent ones left out, dates as YYYY-MM-DD."""
    found: dict[str, Any] = {}
    if wanted.planned:
        found |= _of_visit(state, wanted.planned)
    if wanted.event:
        found |= _of_event(state, wanted)
    if wanted.kind == "escalation":
        found["day"] = _days_closed(state, wanted)
    if _prepares(state, wanted):
        found["dose"] = _dose(state, weighings(state.subject)[-1]) | _changed(state)
    found |= _of_step(state, wanted)
    found["assumed"] = sorted(assumed_in(state, wanted, found)) or None
    return {key: _json(value) for key, value in found.items() if value is not None}


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _of_visit(state: SubjectState, planned: PlannedVisit) -> dict[str, Any]:
    anchor = planned.anchor
    rule = state.protocol.by_code.get(anchor.code)
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
        "reason": reason(planned, state.visits),
        "offset": planned.visit.target.text,
        "agreed": planned.agreed or None,
        "target_source": planned.visit.source.target,
        "reading": planned.visit.reading,
        "window_source": planned.visit.source.window,
        "on": planned.on,
        "deviation_days": planned.deviation_days
        or (planned.outside(planned.day) if planned.booked else None),
    }


def _days_closed(state: SubjectState, wanted: WantedNotice) -> int | None:
    """How many days after a window's last day a rung falls: a hold or a working day may have moved it."""
    return (state.subject.site.date_of(wanted.due) - wanted.planned.closes).days if wanted.planned else None


def _of_event(state: SubjectState, wanted: WantedNotice) -> dict[str, Any]:
    event = wanted.fact
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
            "ae": wanted.event[1] if wanted.event else event.id,
            "term": "pregnancy of a partner" if data.partner else "pregnancy",
            "on": data.on,
        }
    if isinstance(data, ContactAttempted):
        return {"on": data.on}
    return {} if isinstance(data, Completed) else {"on": getattr(data, "on", None)}


def _prepares(state: SubjectState, wanted: WantedNotice) -> Reminder | None:
    if wanted.planned is None or wanted.kind != "reminder":
        return None
    rules = state.protocol.reminders[wanted.planned.visit.epoch]
    return next((rule for rule in rules if rule.step == wanted.step and rule.prepares_cells), None)


def _dose(state: SubjectState, known: Weighing) -> dict[str, Any]:
    return {
        "cells": planned_cells(state, known),
        "cells_per_kg": state.protocol.dose.cells_per_kg,
        "weight_kg": known.kg,
        "weight_on": known.on.isoformat(),
        "weight_source": known.at,
        "source": state.protocol.dose.source,
    }


def _changed(state: SubjectState) -> dict[str, Any]:
    change = weight_change(state)
    return {} if change is None else {"weight_change": change}


def _of_step(state: SubjectState, wanted: WantedNotice) -> dict[str, Any]:
    make = _BY_ALERT.get(wanted.alert) if wanted.alert else None
    return make(state, wanted) if make else {}


def _decision(state: SubjectState, wanted: WantedNotice) -> dict[str, Any]:
    return {"attempt": wanted.number} | _criterion(state, wanted)


def _criterion(state: SubjectState, wanted: WantedNotice) -> dict[str, Any]:
    flag = next((each for each in state.flags if each.event == wanted.event), None)
    if flag is None:
        return {}
    return {"criterion": flag.criterion, "on": flag.on, "treatment_ended": state.treatment_ended or None}


def _clock(state: SubjectState, wanted: WantedNotice) -> dict[str, Any]:
    clock = next((each for each in clocks(state.protocol, state.subject) if each.event == wanted.event), None)
    if clock is None:
        # Told of within a clock that runs already.
        clock = _running(state, wanted)
    last = state.protocol.alerts["sae"].clock_hours[-1]
    limit = clock.limit if clock else wanted.due + timedelta(hours=last)
    return {
        "hours": wanted.number or last,
        "deadline": limit.astimezone(UTC).isoformat(),
        "follow_up": (clock is not None and clock.follow_up) or None,
        "death": isinstance(wanted.fact.data, Died) if wanted.fact else None,
    }


def _running(state: SubjectState, wanted: WantedNotice) -> Clock | None:
    """The clock of the adverse event that an alert is about, though another report of it began it."""
    fact = wanted.fact
    if fact is None or not isinstance(fact.data, AdverseEvent):
        return None
    course = next((each for each in courses(state.subject) if fact in each.reports), None)
    found = [
        clock for clock in clocks(state.protocol, state.subject) if course and clock.fact in course.reports
    ]
    return found[-1] if found else None


def _fatal_event(state: SubjectState, wanted: WantedNotice) -> dict[str, Any]:
    return {"attempt": wanted.number}


def _end(ending: Ending | None) -> dict[str, Any]:
    if ending is None:
        return {}
    return {"criterion": ending.criterion, "decode": ending.decode, "term": ending.term, "on": ending.on}


def _given(state: SubjectState, wanted: WantedNotice) -> dict[str, Any]:
    event: Event | None = wanted.planned.event if wanted.planned else None
    if event is None:
        return {}
    dose = _dose(state, weighing_at(state.subject, event))
    return {"given": as_data(event, Completed).cells_given, "planned": dose["cells"], "dose_for": dose}


def _stand_down(state: SubjectState, wanted: WantedNotice) -> dict[str, Any]:
    planned = wanted.planned
    if planned is None:
        return {}
    because = _why_stood_down(state, planned)
    new_date = planned.day if because == "moved" else None
    return {"old_date": wanted.day, "new_date": new_date, "because": because}


def _why_stood_down(state: SubjectState, planned: PlannedVisit) -> str:
    if state.exit:
        return "exit"
    if planned.outcome:
        return "stopped" if planned.outcome == "cancelled" else "missed"
    if state.unrecorded_death:
        return "fatal"
    if state.on_hold:
        return "on-hold"
    return "moved" if planned.firm else "open"


def _unmet(state: SubjectState) -> dict[str, Any]:
    found = unmet(state.protocol, state.subject.enrolled)
    return {
        "unmet": [str(each) for each in found],
        "shortfalls": [{"rule": each.rule, "mark": MARK * each.assumed, **each.values} for each in found],
    }


def _of_age(state: SubjectState, limit: Limit) -> dict[str, Any]:
    return {"age_years": state.subject.enrolled.screening.age_years, "from_years": limit.at_least}


def _choice(wanted: WantedNotice) -> dict[str, Any]:
    return {"attempt": wanted.number, "outcome": wanted.planned.outcome if wanted.planned else None}


_BY_ALERT: dict[AlertName, Callable[[SubjectState, WantedNotice], dict[str, Any]]] = {
    "sae": _clock,
    "decision": _decision,
    "flag": _criterion,
    "exit": lambda state, _: _end(state.exit),
    "treatment-stopped": lambda state, _: _end(state.stop),
    "eligibility": lambda state, _: _unmet(state),
    "majority": lambda state, _: _of_age(state, state.protocol.eligibility.consent_of_age),
    "assent": lambda state, _: _of_age(state, state.protocol.eligibility.assent_years),
    "death-unrecorded": _fatal_event,
    "dose-deviation": _given,
    "stand-down": _stand_down,
    "disposition": lambda _, wanted: _choice(wanted),
}
