"""Deviations from the protocol: derived from the events that people stated, never stated themselves.

This module does not judge assessments that come in (intake does). A deviation's id names the values that it
rests on, so that it stays the same over corrections that do not change them, and an assessment goes on. A
deviation exists until its events are voided or overtaken. The protocol file says which categories are
important; the investigator may assess a single deviation otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial

from itp_events.events import (
    AdverseEvent,
    Completed,
    DeviationAssessed,
    Event,
    SaeSubmitted,
    Unscheduled,
    plain_number,
)
from itp_events.protocol.model import DeviationCategory
from itp_events.rules.consents import NewConsent, assents, new_consents
from itp_events.rules.dose import deviates, planned_cells, weighing_at
from itp_events.rules.eligibility import unmet
from itp_events.rules.explain import day, days, missed, outside
from itp_events.rules.safety import Clock, clocks, fatal_holds
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import as_data
from itp_events.rules.unwanted import unwanted_since
from itp_events.rules.windows import PlannedVisit

WORDS: dict[DeviationCategory, str] = {
    "window": "visit outside its window",
    "missed": "visit missed or skipped",
    "dose": "dose off by more than the limit",
    "on-hold": "infusion on hold or after a stop",
    "eligibility": "criterion of enrolment not met",
    "safety-report": "safety report late or missing",
    "consent": "procedure without consent",
}
# Criteria of enrolment that are about consent, and are listed under consent.
_ABOUT_CONSENT = ("consent-late", "consent-by", "assent-missing", "assent-late")


@dataclass(frozen=True, slots=True)
class Deviation:
    """One deviation, with the site-local date `on` on which it began and its description `term` in words.

    `ruled` is its importance by the protocol file; `assessed` is the event with the investigator's
    assessment.
    """

    id: str
    category: DeviationCategory
    visit: str | None
    on: date
    term: str
    ruled: bool
    assessed: Event | None = None

    @property
    def assessment(self) -> DeviationAssessed | None:
        """The investigator's assessment; None while there is none."""
        return as_data(self.assessed, DeviationAssessed) if self.assessed else None

    @property
    def important(self) -> bool:
        """Whether the deviation is important, by the investigator's assessment, else by the protocol file."""
        return self.assessment.important if self.assessment else self.ruled

    @property
    def waits(self) -> bool:
        """Whether the investigator should assess it: important by the protocol file, and not assessed."""
        return self.assessed is None and self.ruled


@dataclass(frozen=True, slots=True)
class _Unjudged:
    """A deviation before its importance is judged.

    `rests_on` tells it apart from other deviations of its category and visit.
    """

    category: DeviationCategory
    on: date
    term: str
    rests_on: tuple[str, ...] = ()
    planned: PlannedVisit | None = None


def deviations(state: SubjectState) -> tuple[Deviation, ...]:
    """The subject's deviations as known now, the oldest first."""
    unjudged = (each for of_category in _CATEGORIES for each in of_category(state))
    # Two regimens of one drug make one deviation.
    judged = {each.id: each for each in map(partial(_judged, state), unjudged)}
    return tuple(sorted(judged.values(), key=lambda each: (each.on, each.id)))


def _judged(state: SubjectState, unjudged: _Unjudged) -> Deviation:
    code = unjudged.planned.code if unjudged.planned else None
    parts = (state.subject.code, code, unjudged.category, *unjudged.rests_on)
    named = "/".join(part for part in parts if part)
    ruled, assessed = _ruled(state, unjudged), _assessment(state, named)
    return Deviation(named, unjudged.category, code, unjudged.on, unjudged.term, ruled, assessed)


def _ruled(state: SubjectState, unjudged: _Unjudged) -> bool:
    """Whether the protocol file says that a deviation is important."""
    planned = unjudged.planned
    rule = state.version_of(planned).deviations[unjudged.category]
    far = rule.beyond_days is None or planned is None or abs(planned.deviation_days or 0) > rule.beyond_days
    concerns = rule.epochs is None or planned is None or planned.visit.epoch in rule.epochs
    return rule.important and far and concerns


def _assessment(state: SubjectState, named: str) -> Event | None:
    """The newest assessment of the deviation with that id."""
    mine = (
        event
        for event in state.subject.of(DeviationAssessed)
        if as_data(event, DeviationAssessed).deviation == named
    )
    return max(mine, key=lambda event: (event.time, event.key), default=None)


def _window(state: SubjectState) -> Iterator[_Unjudged]:
    for planned in state.visits:
        if planned.on is None or not planned.deviation_days:
            continue
        away = planned.deviation_days
        window = days(planned.opens, planned.closes)
        term = f"{planned.code} done on {day(planned.on)}, {outside(away)} of {window}"
        # Both the date and the distance, since a correction of the anchor may change the distance alone.
        yield _Unjudged("window", planned.on, term, (planned.on.isoformat(), f"{away:+d}d"), planned)


def _missed(state: SubjectState) -> Iterator[_Unjudged]:
    for planned in state.visits:
        if planned.outcome == "missed":
            known = state.subject.site.date_of(planned.known_at or state.now)
            term = f"{planned.code} missed: {missed(planned)}"
            yield _Unjudged("missed", min(planned.closes, known), term, planned=planned)
        elif why := _skipped(state, planned):
            yield _Unjudged("missed", planned.closes, f"{planned.code} skipped: {why}", planned=planned)


def _skipped(state: SubjectState, planned: PlannedVisit) -> str | None:
    """The reason for which a visit counts as skipped; None when it does not.

    A visit is skipped when its window passed with nothing recorded and either a later visit was done, or
    treatment was stopped after the window had closed. A visit is not skipped when a stop or an exit cancelled
    it in time, or when it had to wait for the investigator's decision.
    """
    closed = f"its window, {days(planned.opens, planned.closes)}, passed with nothing recorded"
    if _held_at_close(state, planned):
        return None
    if planned.status(state.today) == "overdue":
        place = [each.code for each in state.visits].index(planned.code)
        later = next((each for each in state.visits[place + 1 :] if each.on), None)
        return f"{closed}, and {later.code} was done on {day(later.on)}" if later and later.on else None
    if planned.outcome != "cancelled" or planned.visit.epoch != "treatment" or not planned.firm:
        return None
    if state.stop is None or planned.closes >= state.stop.on:
        return None
    return f"{closed}, before treatment was stopped on {day(state.stop.on)}"


def _held_at_close(state: SubjectState, planned: PlannedVisit) -> bool:
    """Whether nothing might be proposed for a visit when its window closed.

    An infusion then waited for a decision; after a fatal adverse event, every visit waits for the death.
    """
    end = state.subject.site.midnight(date.fromordinal(planned.closes.toordinal() + 1))
    treatment = planned.visit.epoch == "treatment"
    holds = state.holds if treatment else fatal_holds(state.subject)
    return any(hold.at < end and (hold.until is None or hold.until >= end) for hold in holds)


def _dose(state: SubjectState) -> Iterator[_Unjudged]:
    for planned in state.visits:
        if planned.on is None or planned.event is None or not deviates(state, planned):
            continue
        weighing = weighing_at(state.subject, planned.event)
        given = as_data(planned.event, Completed).cells_given or 0
        planned_dose = planned_cells(state, weighing, planned)
        term = (
            f"{planned.code}: {_stated(given)} cells given, {_cells(planned_dose)} planned "
            f"for {plain_number(weighing.kg)} kg"
        )
        rests_on = (planned.on.isoformat(), _number(given), f"{_number(weighing.kg)}kg")
        yield _Unjudged("dose", planned.on, term, rests_on, planned)


def _number(value: float) -> str:
    return f"{value:.15g}"


def _stated(cells: float) -> str:
    """A number of cells as it was stated: every digit counts."""
    digits = Decimal(repr(cells)).normalize()
    return (
        f"{plain_number(float(digits.scaleb(-digits.adjusted())))} x 10^{digits.adjusted()}" if cells else "0"
    )


def _cells(value: float) -> str:
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):.4g} x 10^{int(exponent)}" if value else "0"


def _on_hold(state: SubjectState) -> Iterator[_Unjudged]:
    for planned in state.visits:
        if planned.on is not None and unwanted_since(state, planned) is not None:
            term = f"{planned.code} given on {day(planned.on)} while on hold or after treatment was stopped"
            yield _Unjudged("on-hold", planned.on, term, (planned.on.isoformat(),), planned)


def _eligibility(state: SubjectState) -> Iterator[_Unjudged]:
    # A subject that met the criteria on the day of enrolment stays eligible when an amendment sets others.
    if not state.subject.corrected:
        return
    enrolled = state.subject.enrolled
    for problem in unmet(state.subject.periods[0].protocol, enrolled):
        if problem.rule not in _ABOUT_CONSENT:
            term = f"enrolled on {day(enrolled.on)} without meeting a criterion: {problem}"
            yield _Unjudged("eligibility", enrolled.on, term, problem.criterion)


def _safety_report(state: SubjectState) -> Iterator[_Unjudged]:
    """The safety reports that the events show to be late."""
    for clock in clocks(state.subject):
        due = state.subject.site.date_of(clock.limit)
        if late := _late(state, clock):
            term = f"{_report(clock)} due by {_at(state, clock.limit)}: {late}"
            yield _Unjudged("safety-report", due, term, clock.event)


def _late(state: SubjectState, clock: Clock) -> str | None:
    """The words for a report not submitted by its limit; None when nothing shows that it was late."""
    if clock.submitted is None:
        return "not submitted" if clock.limit <= state.now else None
    on = as_data(clock.submitted, SaeSubmitted).on
    entered = state.subject.known_since(clock.submitted)
    due = state.subject.site.date_of(clock.limit)
    # On the limit's own day, only the instant of the entry shows whether the report was in time.
    if on < due or (on == due and entered <= clock.limit):
        return None
    return f"submitted on {day(on)}, entered {_at(state, entered)}"


def _report(clock: Clock) -> str:
    if clock.death:
        return "report of the adverse event that led to the death"
    kind = "follow-up report" if clock.follow_up else "report"
    data = clock.fact.data
    what = f"{data.ae} ({data.term})" if isinstance(data, AdverseEvent) else "the pregnancy"
    return f"{kind} of {what}"


def _at(state: SubjectState, instant: datetime) -> str:
    local = instant.astimezone(state.subject.site.zone)
    return f"{day(local.date())} {local:%H:%M}"


def _consent(state: SubjectState) -> Iterator[_Unjudged]:
    enrolled, first = state.subject.enrolled, _first_procedure(state)
    found = unmet(state.subject.periods[0].protocol, enrolled) if state.subject.corrected else ()
    problems = {each.rule: each for each in found}
    for rule in ("consent-by", "assent-missing"):
        if rule in problems:
            yield _Unjudged("consent", first, str(problems[rule]), (rule,))
    for name, given in (("consent", enrolled.consent_on), ("assent", _assent(state))):
        if given and given > first:
            term = f"{name} given on {day(given)}, after the first procedure on {day(first)}"
            yield _Unjudged("consent", first, term, (f"{name}-late", given.isoformat()))


def _assent(state: SubjectState) -> date | None:
    """The date of the child's assent, when its assent was needed at enrolment; else None."""
    return state.subject.enrolled.assent_on if assents(state.subject) else None


def _re_consent(state: SubjectState) -> Iterator[_Unjudged]:
    """The visits done under a version before the consent that it asks for anew, or without it."""
    done = [planned for planned in state.visits if planned.on]
    for asked in new_consents(state.subject):
        for planned in done:
            if planned.on is None or planned.known_at is None or asked.given_by(planned.on):
                continue
            if not state.subject.precedes(planned.on, planned.known_at, asked.period):
                yield _unconsented(asked, planned.on, planned)
        for event in state.subject.of(Unscheduled):
            on = state.subject.happened(event)
            known = state.subject.known_since(event)
            if not asked.given_by(on) and not state.subject.precedes(on, known, asked.period):
                yield _unconsented(asked, on)


def _unconsented(asked: NewConsent, on: date, planned: PlannedVisit | None = None) -> _Unjudged:
    what = planned.code if planned else "unscheduled visit"
    given = f"given on {day(asked.given_on)}" if asked.given_on else "not given"
    term = f"{what} on {day(on)} under version {asked.version}, {asked.kind} to that version {given}"
    return _Unjudged("consent", on, term, (f"new-{asked.kind}", asked.version, on.isoformat()), planned)


def _first_procedure(state: SubjectState) -> date:
    """The first site-local date on which something was done with the subject, by the events stated."""
    visits = [*state.subject.of(Completed), *state.subject.of(Unscheduled)]
    return min([state.subject.enrolled.on, *map(state.subject.happened, visits)])


_CATEGORIES: tuple[Callable[[SubjectState], Iterator[_Unjudged]], ...] = (
    _window,
    _missed,
    _dose,
    _on_hold,
    _eligibility,
    _safety_report,
    _consent,
    _re_consent,
)
