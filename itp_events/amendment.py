"""What another version of the protocol would change for a subject: dates, and notices still to come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from itp_events.events import Event, NoticeIssued, ProtocolAssigned
from itp_events.plan import Plan, plan
from itp_events.protocol import Protocol
from itp_events.windows import PlannedVisit

Window = tuple[date, date, date]


@dataclass(frozen=True, slots=True)
class VisitChange:
    """A visit whose (opens, target, closes) differ, site-local; None where a version has no such visit."""

    code: str
    old: Window | None
    new: Window | None


@dataclass(frozen=True, slots=True)
class NoticeChange:
    """A notice to come that is due at another instant (UTC) or, with None, under one version only."""

    visit: str | None
    step: str
    audience: str
    old: datetime | None
    new: datetime | None


@dataclass(frozen=True)
class Amendment:
    """The differences between two versions for one subject."""

    visits: tuple[VisitChange, ...]
    notices: tuple[NoticeChange, ...]


def compare(old: Protocol, new: Protocol, facts: Sequence[Event], as_of: datetime) -> Amendment:
    """What changes for the subject of these facts when `new` takes the place of `old` at `as_of`.

    Raises Refused when no enrolment stands.
    """
    # Both versions are tried on what people stated, whichever version the subject is pinned to today.
    stated = [event for event in facts if not event.own and not isinstance(event.data, ProtocolAssigned)]
    before, after = plan(old, stated, as_of), plan(new, stated, as_of)
    return Amendment(tuple(_visits(before, after)), tuple(_notices(before, after)))


def _visits(before: Plan, after: Plan) -> Iterable[VisitChange]:
    old, new = _windows(before), _windows(after)
    for code in dict.fromkeys([*old, *new]):
        if old.get(code) != new.get(code):
            yield VisitChange(code, old.get(code), new.get(code))


def _windows(of: Plan) -> dict[str, Window]:
    return {each.code: _window(each) for each in of.decision.seen.visits if each.outcome is None}


def _window(planned: PlannedVisit) -> Window:
    return planned.opens, planned.target, planned.closes


def _notices(before: Plan, after: Plan) -> Iterable[NoticeChange]:
    old, new = _dues(before), _dues(after)
    for key in sorted(old.keys() | new.keys(), key=lambda key: (old.get(key) or new[key], key)):
        if old.get(key) != new.get(key):
            visit, step, audience, _ = key
            yield NoticeChange(visit or None, step, audience, old.get(key), new.get(key))


def _dues(of: Plan) -> dict[tuple[str, str, str, int], datetime]:
    """When each notice is due, told apart by its place among its like and not by dates that may move."""
    found: dict[tuple[str, str, str, int], datetime] = {}
    for notice in (*of.notices, *of.forecast):
        number = 0
        while (key := _place(notice, number)) in found:
            number += 1
        found[key] = notice.due
    return found


def _place(notice: NoticeIssued, number: int) -> tuple[str, str, str, int]:
    return notice.visit or "", notice.step, notice.audience, number
