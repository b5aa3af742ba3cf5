"""Response of platelets to treatment by the criteria of the International Working Group.

This module decides nothing: the service acts on no response. Source: Rodeghiero et al., Blood 2009;113:2386.
The thresholds are protocol data; platelets are in 10^9/L. The count of a visit is graded by itself. A
response or complete response is confirmed by a second such count, far enough from the first, with no lesser
count and no rescue medication between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from itp_events.events import Completed, Event, MedicationChanged, plain_number
from itp_events.protocol.model import ResponseRule
from itp_events.rules import explain
from itp_events.rules.explain import day
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import as_data
from itp_events.rules.windows import PlannedVisit

Grade = Literal["complete", "response", "none", "not-evaluable"]
WORDS: dict[Grade, str] = {
    "complete": "complete response",
    "response": "response",
    "none": "no response",
    "not-evaluable": "not evaluable",
}
# The least first: a complete response is a response too.
_RISING: tuple[Grade, ...] = ("none", "response", "complete")


@dataclass(frozen=True, slots=True)
class Response:
    """The grade at one visit, with its reason `why` in words.

    `on` is the site-local date of the visit, None when it was not done. `bleeding` is a WHO grade, or only
    whether there was any. `confirmed`: a second count says the same.
    """

    visit: str
    on: date | None
    platelets: float | None
    bleeding: bool | int | None
    grade: Grade
    why: str
    confirmed: bool = False

    @property
    def rank(self) -> int:
        """The grade as a number: 0 for no response, then rising; -1 when it cannot be evaluated."""
        return _RISING.index(self.grade) if self.grade in _RISING else -1


@dataclass(frozen=True, slots=True)
class Spell:
    """A confirmed response or complete response, from its first count to its end (None: it lasts).

    `since` and `until` are site-local dates; `ended` is the cause of the end in words. `days` is the time to
    response: from the first infusion to the first count.
    """

    grade: Grade
    visit: str
    since: date
    days: int
    until: date | None = None
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Sustained:
    """Whether a confirmed response holds at a visit without other treatment of ITP.

    `held` is None when that cannot be evaluated; `why` is the reason in words.
    """

    visit: str
    held: bool | None
    why: str

    @property
    def answer(self) -> str:
        """The answer in words: yes, no, or not evaluable."""
        return "not evaluable" if self.held is None else "yes" if self.held else "no"


@dataclass(frozen=True)
class ResponseCourse:
    """The response of one subject over time.

    `spells` holds complete responses first, each kind in order of time. `sustained` has an entry for each
    visit at which the protocol asks for a sustained response, once that visit is done or will not take place.
    """

    first_infusion: date | None
    spells: tuple[Spell, ...]
    sustained: tuple[Sustained, ...]

    def first(self, grade: Grade) -> Spell | None:
        """The first confirmed spell of a grade, with the time to that response; None without one."""
        return next((spell for spell in self.spells if spell.grade == grade), None)

    def in_words(self) -> Iterator[str]:
        """One sentence for each spell and for each visit at which a sustained response is asked for."""
        for spell in self.spells:
            began = f"{WORDS[spell.grade]} {spell.days} days after the first infusion"
            ended = f"until {day(spell.until)} ({spell.ended})" if spell.until else "it stands"
            yield f"confirmed {began}, from {day(spell.since)} ({spell.visit}); {ended}"
        for each in self.sustained:
            yield f"sustained at {each.visit}: {each.answer} ({each.why})"


def responses(state: SubjectState) -> tuple[Response, ...]:
    """The response at every visit, in the order of the protocol; a visit not done is not evaluable."""
    counts = _counts(state)
    return tuple(_confirmed(state, counts, each) for each in counts)


def response_course(state: SubjectState) -> ResponseCourse:
    """The confirmed responses of a subject, and the visits at which a response is sustained."""
    counts = _counts(state)
    spells = tuple(
        spell for grade in reversed(_RISING[1:]) for spell in _spells(state, counts, _RISING.index(grade))
    )
    settled = {planned.code for planned in state.visits if planned.outcome}
    codes = [code for code in state.protocol.response.sustained_at if code in settled]
    sustained = tuple(_sustained(state, counts, code) for code in codes)
    return ResponseCourse(_first_infusion(state), spells, sustained)


def grade(
    rule: ResponseRule, platelets: float | None, bleeding: bool | int | None, baseline: float | None
) -> tuple[Grade, str]:
    """The grade of one count by itself, with the reason in words; counts in 10^9/L, bleeding by WHO."""
    least, fold = f"{rule.response_from:g}", f"{rule.times_baseline:g} x baseline"
    if bleeding:
        # Bleeding, a count too low or a rise too small: each alone means no response.
        return "none", explain.bleeding(bleeding)
    if platelets is None:
        return "not-evaluable", "no platelet count recorded"
    if platelets < rule.response_from:
        return "none", f"below {least}"
    if platelets < rule.complete_from and baseline is None:
        return "not-evaluable", "no platelet count at baseline"
    if platelets < rule.complete_from and platelets < rule.times_baseline * (baseline or 0):
        return "none", f"below {fold} ({plain_number(baseline or 0)})"
    if bleeding is None:
        return "not-evaluable", "whether there was bleeding is not recorded"
    if platelets >= rule.complete_from:
        return "complete", f"{rule.complete_from:g} or more, no bleeding"
    return "response", f"{least} or more, at least {fold}, no bleeding"


def _counts(state: SubjectState) -> tuple[Response, ...]:
    return tuple(_count(state, planned) for planned in state.visits)


def _count(state: SubjectState, planned: PlannedVisit) -> Response:
    if planned.on is None or planned.event is None or not isinstance(planned.event.data, Completed):
        why = f"the visit was {planned.outcome}" if planned.outcome else "the visit is not recorded"
        return Response(planned.code, None, None, None, "not-evaluable", why)
    data = planned.event.data
    baseline = state.subject.enrolled.baseline_platelets
    found, why = grade(state.protocol.response, data.platelets, data.bleeding, baseline)
    if found in _RISING[1:] and (obstacle := _obstacle(state, planned.on)):
        found, why = "not-evaluable", obstacle
    return Response(planned.code, planned.on, data.platelets, data.bleeding, found, why)


def _obstacle(state: SubjectState, on: date) -> str | None:
    """The reason for which no count on a date can show a response to treatment; None when one can."""
    first = _first_infusion(state)
    if first is None or on <= first:
        return "counted before the first infusion could act"
    weeks = state.protocol.response.not_within_weeks_of_rescue
    for event in _rescues(state):
        given = as_data(event, MedicationChanged)
        if given.on <= on <= given.on + timedelta(weeks=weeks):
            return f"within {weeks} weeks of rescue medication ({given.drug} on {day(given.on)})"
    return None


def _first_infusion(state: SubjectState) -> date | None:
    given = [each.on for each in state.visits if each.visit.epoch == "treatment" and each.on]
    return min(given, default=None)


def _rescues(state: SubjectState) -> Iterator[Event]:
    for event in state.subject.of(MedicationChanged):
        if as_data(event, MedicationChanged).kind == "rescue":
            yield event


def _confirmed(state: SubjectState, counts: Sequence[Response], one: Response) -> Response:
    """The response of one visit, with the count that confirms it, if there is one."""
    if one.rank < 1:
        return one
    stretch = next(each for each in _stretches(state, counts, one.rank) if one in each)
    apart = state.protocol.response.confirmed_after_days
    if not _is_confirmed(state, stretch):
        return replace(one, why=f"{one.why}; not confirmed by a second count at least {apart} days apart")
    others = [each for each in stretch if _days(one, each) >= apart] or [stretch[0], stretch[-1]]
    other = min(others, key=lambda each: _days(one, each))
    return replace(one, why=f"{one.why}; confirmed by {other.visit}", confirmed=True)


def _stretches(state: SubjectState, counts: Sequence[Response], rank: int) -> list[list[Response]]:
    """The runs of evaluable counts of at least a rank, without a lesser count or a rescue between them."""
    stretches: list[list[Response]] = [[]]
    before: Response | None = None
    for each in _in_time(counts):
        if before and _rescued_between(state, before, each):
            stretches.append([])
        if each.rank >= rank:
            stretches[-1].append(each)
        else:
            stretches.append([])
        before = each
    return [stretch for stretch in stretches if stretch]


def _in_time(counts: Sequence[Response]) -> list[Response]:
    """The counts that can be evaluated, the oldest first."""
    return sorted((each for each in counts if each.rank >= 0), key=_date)


def _date(one: Response) -> date:
    assert one.on is not None
    return one.on


def _days(one: Response, other: Response) -> int:
    return abs((_date(one) - _date(other)).days)


def _is_confirmed(state: SubjectState, stretch: Sequence[Response]) -> bool:
    return _days(stretch[0], stretch[-1]) >= state.protocol.response.confirmed_after_days


def _rescued_between(state: SubjectState, one: Response, other: Response) -> Event | None:
    between = (
        event
        for event in _rescues(state)
        if _date(one) < as_data(event, MedicationChanged).on <= _date(other)
    )
    return next(between, None)


def _spells(state: SubjectState, counts: Sequence[Response], rank: int) -> Iterator[Spell]:
    first = _first_infusion(state)
    for stretch in _stretches(state, counts, rank):
        if first and _is_confirmed(state, stretch):
            since = _date(stretch[0])
            spell = Spell(_RISING[rank], stretch[0].visit, since, (since - first).days)
            yield _with_end(state, counts, spell, stretch[-1], rank)


def _with_end(
    state: SubjectState, counts: Sequence[Response], spell: Spell, last: Response, rank: int
) -> Spell:
    """The spell with its end, if there is one: rescue medication, or the first count that is too low."""
    rescued = [as_data(each, MedicationChanged) for each in _rescues(state)]
    rescue = min((each for each in rescued if each.on > _date(last)), key=lambda each: each.on, default=None)
    lost = next((each for each in _in_time(counts) if _date(each) >= _date(last) and each.rank < rank), None)
    if rescue and (lost is None or rescue.on <= _date(lost)):
        return replace(spell, until=rescue.on, ended=f"rescue medication {rescue.drug}")
    if lost is None:
        return spell
    return replace(spell, until=lost.on, ended=f"lost at {lost.visit}: {lost.why}")


def _sustained(state: SubjectState, counts: Sequence[Response], code: str) -> Sustained:
    one = next(each for each in counts if each.visit == code)
    if one.rank < 1:
        return Sustained(code, False if one.grade == "none" else None, one.why)
    stretch = next(each for each in _stretches(state, counts, _RISING.index("response")) if one in each)
    if not _is_confirmed(state, stretch):
        return Sustained(code, None, "not confirmed by a second count")
    if treated := _treated_otherwise(state, _date(one)):
        return Sustained(code, False, f"{treated.kind} drug {treated.drug} changed on {day(treated.on)}")
    return Sustained(code, True, f"response since {day(_date(stretch[0]))} without other treatment")


def _treated_otherwise(state: SubjectState, until: date) -> MedicationChanged | None:
    """The first change of another treatment up to a date; None without one.

    Rescue medication is left out, since it ends the response itself.
    """
    changes = (as_data(event, MedicationChanged) for event in state.subject.of(MedicationChanged))
    others = (each for each in changes if each.kind != "rescue" and each.on <= until)
    return min(others, key=lambda each: each.on, default=None)
