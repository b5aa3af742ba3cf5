"""The plan as the contract's JSON: state, exit, visits, dispositions, flags."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from tests.oracle.course import Course, course
from tests.oracle.findings.deviations import deviations
from tests.oracle.findings.response import responses
from tests.oracle.history import History
from tests.oracle.notices.alerts import alerts
from tests.oracle.notices.cells import stand_downs
from tests.oracle.notices.reminders import reminders, rungs
from tests.oracle.notices.row import due_after, due_by
from tests.oracle.notices.safety import safety
from tests.oracle.periods import asked_anew
from tests.oracle.trial import Trial
from tests.oracle.visits import Visit

FAR = timedelta(days=3 * 366)


def summary(trial: Trial, history: History, as_of: datetime) -> dict[str, Any]:
    """The plan at an instant."""
    found = course(trial, history, as_of)
    silent = course(trial, history, as_of + FAR)
    graded = responses(found)
    rows = [
        *reminders(silent),
        *rungs(silent),
        *alerts(silent, as_of),
        *safety(silent),
        *stand_downs(silent, as_of),
    ]
    today = found.trial.calendar.day_of(as_of)
    return {
        "protocol": {"version": found.trial.version},
        "consents": [
            {
                "kind": asked.kind,
                "version": asked.period.trial.version,
                "since": instant(asked.period.since) if asked.period.since else None,
                "given_on": asked.given.isoformat() if asked.given else None,
            }
            for asked in asked_anew(trial, history)
        ],
        "status": _status(found, as_of),
        "state": _state(found, as_of, today),
        "exit": _exit(found),
        "visits": [
            {**_visit(found, visit, as_of, today), "response": graded[visit.code]} for visit in found.visits
        ],
        "dispositions": dispositions(found),
        "flags": [
            {
                "criterion": flag.criterion,
                "since": instant(flag.since),
                "decision": flag.answer.data["decision"] if flag.answer else None,
            }
            for flag in found.flags
            if flag.since <= as_of
        ],
        "deviations": deviations(found, as_of),
        "notices": [row.printed() for row in due_by(rows, as_of)],
        "forecast": [row.printed(row.issued) for row in due_after(rows, as_of)],
    }


def instant(at: datetime) -> str:
    """An instant as the plan prints it."""
    return at.isoformat(timespec="seconds" if not at.microsecond else "auto").replace("+00:00", "Z")


def _status(found: Course, as_of: datetime) -> str:
    if found.exit:
        return "completed" if found.exit.decode == "COMPLETED" else "withdrawn"
    if found.on_hold(as_of):
        return "on-hold"
    return "in-follow-up" if found.follow_up else "on-treatment"


def _state(found: Course, as_of: datetime, today: date) -> str:
    if found.exit:
        return "Completed" if found.exit.decode == "COMPLETED" else f"Withdrawn: {found.exit.decode}"
    if found.lies_dead(as_of):
        return "On hold: death-unrecorded"
    flags = found.open_flags(as_of)
    if flags:
        return f"On hold: {flags[0].criterion}"
    waiting = next((visit for visit in found.visits if visit.waits), None)
    if not found.visits[-1].waits or waiting is None:
        return "Awaiting disposition"
    words = {"open": f"{waiting.code} window open", "overdue": f"{waiting.code} overdue"}
    return words.get(_phase(waiting, today), f"Awaiting {waiting.code}")


def _phase(visit: Visit, today: date) -> str:
    if not visit.resolved or today < visit.opens:
        return "upcoming"
    return "open" if today <= visit.closes else "overdue"


def _exit(found: Course) -> dict[str, Any] | None:
    ending = found.exit
    if not ending:
        return None
    return {"on": ending.on.isoformat(), "decode": ending.decode, "criterion": ending.criterion}


def visit_status(visit: Visit, today: date) -> str:
    """What the plan calls the visit's status."""
    if visit.done:
        return "completed"
    if visit.missed:
        return "missed"
    return "cancelled" if visit.cancelled else _phase(visit, today)


def _visit(found: Course, visit: Visit, as_of: datetime, today: date) -> dict[str, Any]:
    suggested = _suggested(found, visit, as_of, today)
    return {
        "code": visit.code,
        "label": visit.rule["label"],
        "epoch": visit.rule["epoch"],
        "source": visit.rule["source"],
        "anchor": {"code": visit.anchor, "on": visit.anchor_on.isoformat(), "basis": visit.basis},
        "target": visit.target.isoformat(),
        "opens": visit.opens.isoformat(),
        "closes": visit.closes.isoformat(),
        "status": visit_status(visit, today),
        "booked": visit.booked.data["on"] if visit.booked else None,
        "on": visit.done.data["on"] if visit.done else None,
        "deviation_days": visit.deviation,
        "bleeding": visit.done.data.get("bleeding") if visit.done else None,
        "suggested": suggested.isoformat() if suggested else None,
        "version": visit.trial.version,
    }


def _suggested(found: Course, visit: Visit, as_of: datetime, today: date) -> date | None:
    if not visit.waits or found.exit or found.lies_dead(as_of):
        return None
    if visit.treatment and found.on_hold(as_of):
        return None
    return found.trial.calendar.nearest(visit.target, max(visit.opens, today), visit.closes)


def dispositions(found: Course) -> list[dict[str, Any]]:
    """One row per epoch that has ended."""
    rows = [_treatment(found), _follow_up(found)]
    return [row for row in rows if row]


def _row(epoch: str, on: date, decode: str, term: str = "") -> dict[str, Any]:
    return {"epoch": epoch, "on": on.isoformat(), "decode": decode, "term": term}


def _treatment(found: Course) -> dict[str, Any] | None:
    infusions = found.infusions
    given = [visit for visit in infusions if visit.done]
    last = infusions[-1]
    if len(given) == len(infusions):
        assert last.done
        return _row("treatment", last.done.on, "COMPLETED")
    if found.stop:
        return _row("treatment", found.stop.on, found.stop.decode)
    if found.exit and not _over_before_exit(found):
        return _row("treatment", found.exit.on, found.exit.decode)
    if any(visit.waits for visit in infusions):
        return None
    if last.done:
        return _row("treatment", last.done.on, "OTHER", f"{len(given)} of {len(infusions)}")
    assert last.missed
    day = found.trial.calendar.day_of(last.missed)
    return _row("treatment", day, "OTHER", f"{len(given)} of {len(infusions)}")


def _over_before_exit(found: Course) -> bool:
    last = found.infusions[-1]
    nothing = not any(visit.done for visit in found.infusions)
    return not nothing and (bool(last.done) or last.missed_by in ("stated", "service"))


def _follow_up(found: Course) -> dict[str, Any] | None:
    if not found.exit:
        return None
    if not (found.stop or _over_before_exit(found)):
        return None
    if found.stop and not any(visit.done for visit in found.infusions):
        return None
    return _row("follow-up", found.exit.on, found.exit.decode)
