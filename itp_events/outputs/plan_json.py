"""A plan as JSON types, by the names of the public contract.

This module computes nothing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from itp_events.events import NoticeIssued
from itp_events.outputs.plan import Plan
from itp_events.rules.consents import NewConsent, new_consents
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.keys import stable
from itp_events.rules.response import Response, responses
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import Ending, PlannedVisit
from itp_events.rules.withdrawal import Flag


def document(plan: Plan) -> dict[str, Any]:
    """The plan as `itp plan --json` prints it, with instants in UTC and dates local to the site."""
    state, decision = plan.decision.subject_state, plan.decision
    return {
        "subject": state.subject.code,
        "protocol": {"id": state.protocol.id, "version": state.protocol.version},
        "time_zone": state.subject.site.time_zone,
        "as_of": instant(state.now),
        "status": state.status,
        "state": state.phase,
        "wake_at": instant(decision.wake_at) if decision.wake_at else None,
        "exit": _exit(state.exit),
        "visits": [
            _visit(state, planned, response)
            for planned, response in zip(state.visits, responses(state), strict=True)
        ],
        "dispositions": [
            {"epoch": each.epoch, "on": each.on.isoformat(), "decode": each.decode, "term": each.term}
            for each in state.dispositions
        ],
        "flags": [_flag(flag) for flag in state.flags],
        "consents": [_consent(asked) for asked in new_consents(state.subject)],
        "deviations": [deviation(each) for each in deviations(state)],
        "notices": [_notice(notice) for notice in plan.notices],
        "forecast": [_notice(notice) for notice in plan.forecast],
    }


def instant(value: datetime) -> str:
    """An instant as RFC 3339 in UTC, to the second where it has no fraction: `2026-01-14T01:00:00Z`."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _exit(end: Ending | None) -> dict[str, Any] | None:
    if end is None:
        return None
    return {"on": end.on.isoformat(), "decode": end.decode, "term": end.term, "criterion": end.criterion}


def _visit(state: SubjectState, planned: PlannedVisit, response: Response) -> dict[str, Any]:
    rule, anchor = planned.visit, planned.anchor
    return {
        "code": planned.code,
        "label": rule.label,
        "epoch": rule.epoch,
        "source": {"target": rule.source.target, "window": rule.source.window},
        "anchor": {"code": anchor.code, "on": anchor.on.isoformat(), "basis": anchor.basis},
        "target": planned.target.isoformat(),
        "opens": planned.opens.isoformat(),
        "closes": planned.closes.isoformat(),
        "status": planned.status(state.today),
        "booked": _day(planned.booked),
        "on": _day(planned.on),
        "deviation_days": planned.deviation_days,
        "suggested": _day(state.suggested(planned)),
        "version": planned.version,
        "bleeding": response.bleeding,
        "response": {"grade": response.grade, "confirmed": response.confirmed, "why": response.why},
    }


def _consent(asked: NewConsent) -> dict[str, Any]:
    since = asked.period.since
    return {
        "kind": asked.kind,
        "version": asked.version,
        "since": instant(since) if since else None,
        "given_on": _day(asked.given_on),
    }


def _day(value: date | None) -> str | None:
    return value.isoformat() if value else None


def _flag(flag: Flag) -> dict[str, Any]:
    decision = getattr(flag.decision.data, "decision", None) if flag.decision else None
    return {"criterion": flag.criterion, "since": instant(flag.at), "decision": decision}


def deviation(one: Deviation) -> dict[str, Any]:
    """A deviation as JSON types, with the investigator's assessment (None while there is none)."""
    return {
        "id": one.id,
        "category": one.category,
        "visit": one.visit,
        "on": one.on.isoformat(),
        "important": one.important,
        "assessed": _assessment(one),
    }


def _assessment(one: Deviation) -> dict[str, Any] | None:
    said = one.assessment
    if said is None or one.assessed is None:
        return None
    at = instant(one.assessed.time)
    return {
        "important": said.important,
        "cause": said.cause,
        "action": said.action,
        "by": said.by,
        "at": at,
    }


def _notice(notice: NoticeIssued) -> dict[str, Any]:
    return {
        "key": stable(notice.notice),
        "kind": notice.kind,
        "visit": notice.visit,
        "step": notice.step,
        "audience": notice.audience,
        "due": instant(notice.due),
    }
