"""The response at each visit by the criteria of the International Working Group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tests.oracle.course import Course
from tests.oracle.said import MEDICATION, Said
from tests.oracle.visits import enrolment

COMPLETE, RESPONSE, NONE, UNKNOWN = "complete", "response", "none", "not-evaluable"


@dataclass(frozen=True)
class Graded:
    """What a visit's count says, and the day of the count."""

    grade: str
    on: date | None = None


def responses(course: Course) -> dict[str, dict[str, Any]]:
    """Each visit's grade, and whether a second count confirms it."""
    graded = {visit.code: _graded(course, visit.done) for visit in course.visits}
    counts = [each for each in graded.values() if each.on]
    return {
        code: {"grade": each.grade, "confirmed": _confirmed(course, each, counts)}
        for code, each in graded.items()
    }


def bleeds(said: Said) -> bool | None:
    """Whether the subject bled; None when nobody said."""
    stated = said.data.get("bleeding")
    return None if stated is None else bool(stated)


def _graded(course: Course, done: Said | None) -> Graded:
    if done is None:
        return Graded(UNKNOWN)
    rules = course.trial.rules["response"]
    count, bleeding = done.data.get("platelets"), bleeds(done)
    if bleeding or (count is not None and count < rules["response_from"]):
        return Graded(NONE, done.on)
    if count is None:
        return Graded(UNKNOWN)
    grade = _by_count(course, count, rules)
    if grade == NONE:
        return Graded(NONE, done.on)
    if bleeding is None or _too_early(course, done.on) or _rescued(course, done.on, rules):
        return Graded(UNKNOWN, done.on)
    return Graded(grade, done.on)


def _by_count(course: Course, count: float, rules: dict[str, Any]) -> str:
    if count >= rules["complete_from"]:
        return COMPLETE
    baseline = enrolment(course.history).data.get("baseline_platelets")
    if baseline is None:
        return UNKNOWN
    return RESPONSE if count >= rules["times_baseline"] * baseline else NONE


def _too_early(course: Course, on: date) -> bool:
    """Whether the count was taken before the first infusion could act."""
    given = [visit.done.on for visit in course.infusions if visit.done]
    return not given or on <= min(given)


def _rescued(course: Course, on: date, rules: dict[str, Any]) -> bool:
    span = timedelta(weeks=rules["not_within_weeks_of_rescue"])
    return any(rescue <= on <= rescue + span for rescue in _rescues(course))


def _rescues(course: Course) -> list[date]:
    return [said.on for said in course.history.standing(MEDICATION) if said.data["kind"] == "rescue"]


def _confirmed(course: Course, graded: Graded, counts: Sequence[Graded]) -> bool:
    good = {COMPLETE: (COMPLETE,), RESPONSE: (RESPONSE, COMPLETE)}.get(graded.grade)
    if not good or not graded.on:
        return False
    apart = timedelta(days=course.trial.rules["response"]["confirmed_after_days"])
    others = [each.on for each in counts if each.on and each.grade in good]
    lesser = [each.on for each in counts if each.on and each.grade not in (*good, UNKNOWN)]
    breaks = [*lesser, *_rescues(course)]
    return any(
        abs(on - graded.on) >= apart and not any(_between(graded.on, each, on) for each in breaks)
        for on in others
    )


def _between(one: date, day: date, other: date) -> bool:
    return min(one, other) < day < max(one, other)
