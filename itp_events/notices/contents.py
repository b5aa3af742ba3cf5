"""The contents of a notice: the values that fill its text. They hold subject codes and never names.

This module does not say which notices are due, and it does not put values into words.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

from itp_events.events import (
    AdverseEvent,
    Completed,
    ContactAttempted,
    Event,
    MedicationChanged,
    Pregnancy,
)
from itp_events.marks import MARK
from itp_events.notices.assumed import assumed_in
from itp_events.notices.content_types import DoseContents, NoticeContents, StoodDownBecause
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import PARTICIPANT, AlertName, Limit, Reminder
from itp_events.rules.consents import new_consents
from itp_events.rules.contact import agreement
from itp_events.rules.dose import Weighing, planned_cells, weighing_at, weighings, weight_change
from itp_events.rules.eligibility import unmet
from itp_events.rules.explain import reason
from itp_events.rules.safety import Clock, clocks, courses
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import as_data
from itp_events.rules.windows import Ending, PlannedVisit


def contents(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    """The contents of a wanted notice at the instant of `state`; an absent value has no key."""
    if wanted.audience == PARTICIPANT:
        return _to_participant(state, wanted)
    says: NoticeContents = {}
    if wanted.planned:
        says |= of_visit(state, wanted.planned)
    if wanted.event:
        says |= _of_event(wanted)
    if wanted.kind == "escalation" and wanted.planned:
        says["day"] = _days_closed(state, wanted, wanted.planned)
    if _prepares(state, wanted):
        says["dose"] = _ordered(state)
    make = _BY_ALERT.get(wanted.alert) if wanted.alert else None
    if make:
        says |= make(state, wanted)
    if assumed := sorted(assumed_in(state, wanted, says)):
        says["assumed"] = assumed
    return says


def _to_participant(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    """The day and the language, and nothing of the study: others may read the phone."""
    says: NoticeContents = {}
    if wanted.day is not None:
        says["t"] = wanted.day.isoformat()
    agreed = agreement(state.subject)
    if agreed and agreed.language:
        says["language"] = agreed.language
    return says


def of_visit(state: SubjectState, planned: PlannedVisit) -> NoticeContents:
    """The values that say of a visit when it is due, and why."""
    anchor = planned.anchor
    rule = state.version_of(planned).by_code.get(anchor.code)
    says: NoticeContents = {
        "visit_label": planned.visit.label,
        "target": planned.target.isoformat(),
        "opens": planned.opens.isoformat(),
        "closes": planned.closes.isoformat(),
        "t": planned.day.isoformat(),
        "booked": planned.booked is not None,
        "anchor_code": anchor.code,
        "anchor_label": rule.label if rule else anchor.code,
        "anchor_on": anchor.on.isoformat(),
        "anchor_basis": anchor.basis,
        "reason": reason(planned, state.visits),
        "offset": planned.visit.target.text,
        "target_source": planned.visit.source.target,
        "window_source": planned.visit.source.window,
    }
    return says | _of_this_visit(planned)


def _of_this_visit(planned: PlannedVisit) -> NoticeContents:
    """The values that only some visits have."""
    says: NoticeContents = {}
    if planned.agreed:
        says["agreed"] = True
    if planned.visit.reading:
        says["reading"] = planned.visit.reading
    if planned.on:
        says["on"] = planned.on.isoformat()
    away = planned.deviation_days or (planned.outside(planned.day) if planned.booked else None)
    if away is not None:
        says["deviation_days"] = away
    return says


def _days_closed(state: SubjectState, wanted: WantedNotice, planned: PlannedVisit) -> int:
    """The days from a window's last day to a rung, which a hold or a working day may have moved."""
    return (state.subject.site.date_of(wanted.due) - planned.closes).days


def _of_event(wanted: WantedNotice) -> NoticeContents:
    event = wanted.fact
    if event is None:
        return {}
    data = event.data
    if isinstance(data, AdverseEvent):
        return _of_adverse_event(data)
    if isinstance(data, MedicationChanged):
        return {"term": f"{data.drug}: {data.detail}", "on": data.on.isoformat()}
    if isinstance(data, Pregnancy):
        return {
            "ae": wanted.event[1] if wanted.event else event.id,
            "term": "pregnancy of a partner" if data.partner else "pregnancy",
            "on": data.on.isoformat(),
        }
    if isinstance(data, ContactAttempted):
        return {"on": data.on.isoformat()}
    on = None if isinstance(data, Completed) else getattr(data, "on", None)
    return {"on": on.isoformat()} if on else {}


def _of_adverse_event(data: AdverseEvent) -> NoticeContents:
    says: NoticeContents = {"ae": data.ae, "term": data.term, "grade": data.grade, "on": data.on.isoformat()}
    if data.outcome:
        says["outcome"] = data.outcome
    return says


def _prepares(state: SubjectState, wanted: WantedNotice) -> Reminder | None:
    """The rule of a reminder that orders cells; None for every other notice."""
    if wanted.planned is None or wanted.kind != "reminder":
        return None
    rules = state.protocol.reminders[wanted.planned.visit.epoch]
    return next((rule for rule in rules if rule.step == wanted.step and rule.prepares_cells), None)


def _ordered(state: SubjectState) -> DoseContents:
    """The dose that the cell laboratory must prepare, by the weight known last."""
    dose = _dose(state, weighings(state.subject)[-1])
    change = weight_change(state)
    if change is not None:
        dose["weight_change"] = change
    return dose


def _dose(state: SubjectState, known: Weighing, infusion: PlannedVisit | None = None) -> DoseContents:
    rule = state.version_of(infusion).dose
    return {
        "cells": planned_cells(state, known, infusion),
        "cells_per_kg": rule.cells_per_kg,
        "weight_kg": known.kg,
        "weight_on": known.on.isoformat(),
        "weight_source": known.at,
        "source": rule.source,
    }


def _decision(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    return _repeated(state, wanted) | _criterion(state, wanted)


def _repeated(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    return {"attempt": wanted.number}


def _criterion(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    flag = next((each for each in state.flags if each.event == wanted.event), None)
    if flag is None:
        return {}
    says: NoticeContents = {"criterion": flag.criterion, "on": flag.on.isoformat()}
    if state.treatment_ended:
        says["treatment_ended"] = True
    return says


def _clock(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    began = next((each for each in clocks(state.subject) if each.event == wanted.event), None)
    # A report within a clock that runs already has no clock of its own.
    clock = began or _running(state, wanted)
    if clock is None:
        return {}
    if began is None and clock.submitted is not None:
        return {"submitted": True}
    says: NoticeContents = {
        "hours": wanted.number or clock.hours[-1],
        "deadline": clock.limit.astimezone(UTC).isoformat(),
        "death": clock.death,
    }
    if clock.follow_up:
        says["follow_up"] = True
    return says


def _running(state: SubjectState, wanted: WantedNotice) -> Clock | None:
    """The clock of the adverse event that an alert is about, when another report of that event began it."""
    fact = wanted.fact
    if fact is None or not isinstance(fact.data, AdverseEvent):
        return None
    course = next((each for each in courses(state.subject) if fact in each.reports), None)
    running = [clock for clock in clocks(state.subject) if course and clock.fact in course.reports]
    return running[-1] if running else None


def _end(ending: Ending | None) -> NoticeContents:
    if ending is None:
        return {}
    says: NoticeContents = {"decode": ending.decode, "term": ending.term, "on": ending.on.isoformat()}
    if ending.criterion is not None:
        says["criterion"] = ending.criterion
    return says


def _given(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    event: Event | None = wanted.planned.event if wanted.planned else None
    if event is None:
        return {}
    dose = _dose(state, weighing_at(state.subject, event), wanted.planned)
    says: NoticeContents = {"planned": dose["cells"], "dose_for": dose}
    given = as_data(event, Completed).cells_given
    if given is not None:
        says["given"] = given
    return says


def _stand_down(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    planned, ordered_for = wanted.planned, wanted.day
    if planned is None or ordered_for is None:
        return {}
    because = _why_stood_down(state, planned)
    says: NoticeContents = {"old_date": ordered_for.isoformat(), "because": because}
    if because == "moved":
        says["new_date"] = planned.day.isoformat()
    return says


def _why_stood_down(state: SubjectState, planned: PlannedVisit) -> StoodDownBecause:
    if state.exit:
        return "exit"
    if planned.outcome:
        return "stopped" if planned.outcome == "cancelled" else "missed"
    if state.unrecorded_death:
        return "fatal"
    if state.on_hold:
        return "on-hold"
    return "moved" if planned.firm else "open"


def _unmet(state: SubjectState) -> NoticeContents:
    failed = unmet(state.subject.periods[0].protocol, state.subject.enrolled)
    return {
        "unmet": [str(each) for each in failed],
        "shortfalls": [{"rule": each.rule, "mark": MARK * each.assumed, **each.values} for each in failed],
    }


def _of_age(state: SubjectState, limit: Limit) -> NoticeContents:
    says: NoticeContents = {"age_years": state.subject.enrolled.screening.age_years}
    if limit.at_least is not None:
        says["from_years"] = limit.at_least
    return says


def _choice(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    says = _repeated(state, wanted)
    if wanted.planned and wanted.planned.outcome:
        says["outcome"] = wanted.planned.outcome
    return says


def _asked_anew(state: SubjectState, wanted: WantedNotice) -> NoticeContents:
    asked = next(each for each in new_consents(state.subject) if each.named == wanted.asked)
    since = state.subject.site.date_of(asked.period.since or state.now)
    return _repeated(state, wanted) | {
        "consent": asked.kind,
        "version": asked.version,
        "on": since.isoformat(),
    }


_BY_ALERT: dict[AlertName, Callable[[SubjectState, WantedNotice], NoticeContents]] = {
    "sae": _clock,
    "flag": _criterion,
    "decision": _decision,
    "exit": lambda state, _: _end(state.exit),
    "treatment-stopped": lambda state, _: _end(state.stop),
    "eligibility": lambda state, _: _unmet(state),
    "majority": lambda state, _: _of_age(state, state.protocol.eligibility.consent_of_age),
    "assent": lambda state, _: _of_age(state, state.protocol.eligibility.assent_years),
    "death-unrecorded": _repeated,
    "re-consent": _asked_anew,
    "dose-deviation": _given,
    "stand-down": _stand_down,
    "disposition": _choice,
}
