"""The orders of cells, as the service would have sent them, and what was stood down again.

Whether an order was sent depends on what was known then, so the subject's time is passed through once more,
with what had been reported at each instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from tests.oracle.course import Course, course
from tests.oracle.history import History
from tests.oracle.notices.reminders import asked, cells_useful, ordered_first
from tests.oracle.notices.row import Row
from tests.oracle.said import ENROLLED, VOID, Said
from tests.oracle.visits import Visit


def stand_downs(found: Course, as_of: datetime) -> Iterator[Row]:
    """An alert for each order that was sent and that a new day, a hold, a stop, an exit or a miss undid.

    Of several for one day of a visit the newest stands, until the cells are ordered for that day once
    more; of an infusion that was given, none.
    """
    newest: dict[tuple[str, date, bool], datetime | None] = {}
    for at, code, day, undone in _orders(found, as_of):
        newest[code, day, at > as_of] = at if undone else None
    for (code, _, _), stood_down in newest.items():
        if stood_down and not found.visit(code).done:
            for audience in found.trial.audiences("stand-down"):
                yield Row("alert", code, "stand-down", audience, stood_down)


def _orders(found: Course, as_of: datetime) -> Iterator[tuple[datetime, str, date, bool]]:
    """When each order of a visit's cells for a day was sent, and when it was undone."""
    sent: dict[str, date] = {}
    for at, then in _moments(found, as_of):
        for visit in then.infusions:
            ordered = sent.get(visit.code)
            if ordered and not _given(then, visit, at) and _undone(then, visit, ordered, at):
                yield at, visit.code, sent.pop(visit.code), True
        for visit in asked(then):
            if _is_ordered(then, visit, at, sent):
                sent[visit.code] = visit.when
                yield at, visit.code, visit.when, False


def _is_ordered(then: Course, visit: Visit, at: datetime, sent: dict[str, date]) -> bool:
    if not visit.treatment or visit.code in sent:
        return False
    return _ordered(then, visit) <= at and cells_useful(then, visit)(at)


def _given(then: Course, visit: Visit, at: datetime) -> bool:
    return bool(visit.done and visit.done.time <= at)


def _undone(then: Course, visit: Visit, ordered: date, at: datetime) -> bool:
    unknown = visit.resolved is None or visit.resolved > at
    if unknown or then.on_hold(at) or (then.exit and then.exit.known <= at):
        return True
    if visit.missed and visit.missed_by != "exit" and visit.missed <= at:
        return True
    return bool(then.stop and visit.cancelled) or visit.when != ordered


def _ordered(then: Course, visit: Visit) -> datetime:
    """When the cells for the visit's day are ordered."""
    if visit.code == then.trial.infusions[0]:
        return ordered_first(then, visit)
    rules = then.trial.rules["reminders"]["treatment"]
    days = next(rule["days"] for rule in rules if rule.get("prepares_cells"))
    calendar = then.trial.calendar
    assert visit.resolved
    day = date.fromordinal(visit.when.toordinal() + days)
    return max(calendar.at_nine(calendar.on_or_before(day)), visit.resolved)


def _moments(found: Course, as_of: datetime) -> Iterator[tuple[datetime, Course]]:
    """The instants at which something changed, each with the course as it was known then."""
    times = sorted({said.time for said in found.history.accepted})
    past = [(at, _as_known(found, at)) for at in times]
    known = [(at, then) for at, then in past if then]
    ends = [*(at for at, _ in known[1:]), as_of + timedelta.resolution]
    for (at, then), end in zip(known, ends, strict=False):
        yield at, then
        yield from ((each, then) for each in _own_moments(then, at) if each < end)
    if known:
        yield from ((each, found) for each in _own_moments(found, as_of))


def _as_known(found: Course, at: datetime) -> Course | None:
    accepted = [said for said in found.history.accepted if _heard(found.history, said) <= at]
    corrects = {said: before for said, before in found.history.corrects.items() if said.time <= at}
    history = History(accepted, corrects)
    if not history.standing(ENROLLED):
        return None
    return course(found.trial, history, at + timedelta(days=1100))


def _heard(history: History, said: Said) -> datetime:
    """When an event was heard of; the void of an enrolment with the enrolment that takes its place."""
    if said.type != VOID:
        return said.time
    name = (said.data["event"]["source"], said.data["event"]["id"])
    anew = [
        each.time for each, gone in history.corrects.items() if gone.name == name and gone.type == ENROLLED
    ]
    return max([said.time, *anew])


def _own_moments(then: Course, after: datetime) -> list[datetime]:
    """The instants after one at which, with nothing more reported, orders are sent or undone."""
    found = {visit.missed for visit in then.infusions if visit.missed}
    found |= {_ordered(then, visit) for visit in asked(then) if visit.treatment}
    found |= {flag.since for flag in then.flags}
    found |= {flag.answered for flag in then.flags if flag.answered}
    if then.exit:
        found.add(then.exit.known)
    return sorted(at for at in found if at > after)
