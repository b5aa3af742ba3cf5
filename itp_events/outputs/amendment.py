"""The changes that another version of the protocol would bring for a subject: dates, notices, state.

This module assigns no version. It plans the subject twice and compares the two plans: under two versions from
the beginning on (`compare`), or without and with the assignment of a version at an instant (`preview`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from itp_events.events import Event, NoticeIssued, ProtocolAssigned, plain_number
from itp_events.notices.content_types import said_by
from itp_events.notices.reconcile import notice
from itp_events.outputs.plan import Plan, plan
from itp_events.protocol.model import Protocol
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.deviations import deviations
from itp_events.rules.dose import planned_cells, weighings
from itp_events.rules.explain import day
from itp_events.rules.response import WORDS, response_course, responses
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import Outcome, PlannedVisit


class Window(NamedTuple):
    """A visit's dates, local to the site, and whether each rests on an assumption."""

    opens: date
    target: date
    closes: date
    target_assumed: bool = False
    window_assumed: bool = False


# A notice is found again under the other version by visit, step, audience, criterion and its place among
# equals.
_Place = tuple[str, str, str, str, int]


@dataclass(frozen=True, slots=True)
class VisitChange:
    """A visit whose dates or outcome differ between the versions.

    A window is None where a version has no such visit; an outcome is None while the visit is still to come.
    """

    code: str
    old: Window | None
    new: Window | None
    old_outcome: Outcome | None = None
    new_outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class StateChange:
    """A difference in the subject's state: its phase, a flag, a deviation, a response, or the dose.

    `what` names it; `old` and `new` are in words, None where a version has nothing of the kind.
    """

    what: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class NoticeChange:
    """A notice to come that is due at another instant (UTC); None: it is due under one version only."""

    visit: str | None
    step: str
    audience: str
    old: datetime | None
    new: datetime | None
    criterion: str | None = None


@dataclass(frozen=True)
class Amendment:
    """The differences between two versions for one subject."""

    visits: tuple[VisitChange, ...]
    notices: tuple[NoticeChange, ...]
    state_changes: tuple[StateChange, ...] = ()


def compare(old: Protocol, new: Protocol, facts: Sequence[Event], as_of: datetime) -> Amendment:
    """The changes for a subject when `new` takes the place of `old` at `as_of`, an aware instant.

    `facts` are the subject's events.

    Raises:
        Refused: no enrolment stands.
    """
    # Both versions are tried on the stated events, whichever version the subject is pinned to today.
    stated = [event for event in facts if not event.own and not isinstance(event.data, ProtocolAssigned)]
    before, after = plan(old, stated, as_of), plan(new, stated, as_of)
    visits, notices = tuple(_visits(before, after)), tuple(_notices(before, after, as_of))
    return Amendment(visits, notices, tuple(_state_changes(before, after)))


@dataclass(frozen=True, slots=True)
class BookingChange:
    """A booked date (site-local) that lies inside the window under one version only.

    `inside` says whether it would lie inside; None: the visit would be no more.
    """

    visit: str
    booked: date
    inside: bool | None


def preview(protocol: Protocol, facts: Sequence[Event], version: str, as_of: datetime) -> Preview:
    """The changes for a subject when it is assigned to an installed version at `as_of`, an aware instant.

    `facts` are the subject's events. What the assignment then brings is what this says: both plan the same
    events.

    Raises:
        Refused: no enrolment stands.
        BadInput: the version is not installed.
    """
    protocol.of_version(version)
    code = next(event.subject for event in facts)
    data = ProtocolAssigned(by="preview", version=version, reason="preview")
    assigned = Event("preview", "preview", code, as_of, data)
    before, after = plan(protocol, facts, as_of), plan(protocol, [*facts, assigned], as_of)
    changes = Amendment(
        tuple(_visits(before, after)),
        tuple(_notices(before, after, as_of)),
        tuple(_state_changes(before, after)),
    )
    return Preview(code, before.decision.subject_state, changes, tuple(_bookings(before, after)))


@dataclass(frozen=True)
class Preview:
    """The changes that an assignment would bring to one subject; `today` is its state without it."""

    code: str
    today: SubjectState
    changes: Amendment
    bookings: tuple[BookingChange, ...]


def _bookings(before: Plan, after: Plan) -> Iterable[BookingChange]:
    would_be = _by_code(after)
    for code, was in _by_code(before).items():
        if was.booked is None or was.outcome:
            continue
        now = would_be.get(code)
        inside = None if now is None else not now.outside(was.booked)
        if inside is not (not was.outside(was.booked)):
            yield BookingChange(code, was.booked, inside)


def _visits(before: Plan, after: Plan) -> Iterable[VisitChange]:
    old, new = _by_code(before), _by_code(after)
    for code in dict.fromkeys([*old, *new]):
        was, would_be = old.get(code), new.get(code)
        if _differ(was, would_be):
            windows = _window(was, before), _window(would_be, after)
            yield VisitChange(code, *windows, _outcome(was), _outcome(would_be))


def _by_code(of: Plan) -> dict[str, PlannedVisit]:
    return {each.code: each for each in of.decision.subject_state.visits}


def _differ(was: PlannedVisit | None, would_be: PlannedVisit | None) -> bool:
    """Whether a visit's dates or its outcome change; the dates of a visit that is over do not matter."""
    if was is None or would_be is None:
        return True
    if was.outcome != would_be.outcome:
        return True
    return was.outcome is None and _dates(was) != _dates(would_be)


def _dates(planned: PlannedVisit) -> tuple[date, date, date]:
    return planned.opens, planned.target, planned.closes


def _window(planned: PlannedVisit | None, of: Plan) -> Window | None:
    if planned is None:
        return None
    visits = of.decision.subject_state.visits
    return Window(*_dates(planned), target_assumed(planned, visits), window_assumed(planned, visits))


def _outcome(planned: PlannedVisit | None) -> Outcome | None:
    return planned.outcome if planned else None


def _notices(before: Plan, after: Plan, as_of: datetime) -> Iterable[NoticeChange]:
    old, new = _dues(before), _dues(after)
    for key in sorted(old.keys() | new.keys(), key=lambda key: (old.get(key) or new[key], key)):
        was, would_be = old.get(key), new.get(key)
        # A notice that was due already was sent: only one that is still to come, or would come now, is a
        # change.
        told = was is not None and was <= as_of and (would_be is None or would_be <= as_of)
        if was != would_be and not told:
            visit, step, audience, criterion, _ = key
            yield NoticeChange(visit or None, step, audience, was, would_be, criterion or None)


def _dues(of: Plan) -> dict[_Place, datetime]:
    """The instant (UTC) at which each notice is due.

    Equal notices are told apart by their place, and not by dates, which may move.
    """
    dues: dict[_Place, datetime] = {}
    decision = of.decision
    due_now = [notice(decision.subject_state, wanted, wanted.key) for wanted in decision.due()]
    for each in (*due_now, *of.forecast):
        number = 0
        while (key := _place(each, number)) in dues:
            number += 1
        dues[key] = each.due
    return dues


def _place(issued: NoticeIssued, number: int) -> _Place:
    criterion = said_by(issued).get("criterion", "")
    return issued.visit or "", issued.step, issued.audience, criterion, number


def _state_changes(before: Plan, after: Plan) -> Iterable[StateChange]:
    old, new = _stands(before.decision.subject_state), _stands(after.decision.subject_state)
    for what in dict.fromkeys([*old, *new]):
        if old.get(what) != new.get(what):
            yield StateChange(what, old.get(what), new.get(what))


def _stands(state: SubjectState) -> dict[str, str]:
    stands = {"state": state.phase}
    for flag in state.flags:
        stands[f"flag {flag.criterion}"] = "decided" if flag.decision else "waits for a decision"
    for each in state.dispositions:
        stands[f"disposition of {each.epoch}"] = f"{each.decode} on {day(each.on)}"
    for deviation in deviations(state):
        important = "important" if deviation.important else "not important"
        stands[f"deviation {deviation.id}"] = important
    for response in responses(state):
        if response.on:
            confirmed = ", confirmed" if response.confirmed else ""
            stands[f"response at {response.visit}"] = WORDS[response.grade] + confirmed
    for sustained in response_course(state).sustained:
        stands[f"sustained response at {sustained.visit}"] = sustained.answer
    if not state.treatment_ended:
        stands["dose"] = _dose(state)
    return stands


def _dose(state: SubjectState) -> str:
    known = weighings(state.subject)[-1]
    per_kg = f"{state.protocol.dose.cells_per_kg:g} per kg, {plain_number(known.kg)} kg"
    return f"{planned_cells(state, known):g} cells ({per_kg})"
