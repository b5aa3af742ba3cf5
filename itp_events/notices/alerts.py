"""The alerts that are wanted: some are due at once, others are repeated until somebody acts.

This module does not say what an alert says (contents.py does) and issues nothing (reconcile.py does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Literal
from urllib.parse import quote

from itp_events.events import AdverseEvent, ConsentGiven, Data, Enrolled, Event, Pregnancy
from itp_events.notices.content_types import said_by
from itp_events.notices.steps import Step
from itp_events.notices.wanted import WantedNotice, event_key, visit_key
from itp_events.protocol.model import AlertName
from itp_events.rules.consents import NewConsent, new_consents
from itp_events.rules.contact import declined
from itp_events.rules.corrections import dosed, same_death, severity, whose
from itp_events.rules.decision_log import Issue
from itp_events.rules.dose import deviates, weighing_at
from itp_events.rules.eligibility import unmet
from itp_events.rules.keys import bounded, stable
from itp_events.rules.safety import Clock, clocks
from itp_events.rules.state import DEATH_UNRECORDED, SubjectState
from itp_events.rules.subject import as_data
from itp_events.rules.unwanted import unwanted_since
from itp_events.rules.windows import Ending, PlannedVisit
from itp_events.rules.withdrawal import Flag


def alerts(state: SubjectState) -> Iterator[WantedNotice]:
    """Every alert whose reason holds, due or not; of a repeated one the present repetition and the next."""
    for of_kind in _ALERTS:
        yield from of_kind(state)
    yield from repeats(state, state.now)


def repeats(state: SubjectState, since: datetime | None = None) -> Iterator[WantedNotice]:
    """The alerts that are repeated until somebody decides, up to the next one to come.

    They begin with the repetition that is current at `since`, an aware instant, or with the first when it is
    None.
    """
    for flag in state.open_flags:
        yield from _undecided(state, flag, since)
    yield from _disposition(state, since)
    yield from _death_unrecorded(state, since)
    yield from _re_consent(state, since)


def _about(
    state: SubjectState,
    name: AlertName,
    origin: Event,
    fact: Event,
    *,
    due: datetime | None = None,
    planned: PlannedVisit | None = None,
) -> Iterator[WantedNotice]:
    """One alert to each audience of the rule `name`, due at `due` (UTC) or at the report `origin`.

    `origin` is the report with which the matter began, `fact` is the event that states it today.
    """
    for audience in state.protocol.alerts[name].audiences:
        visit = planned.code if planned else None
        key = event_key(state.subject.code, name, audience, origin.key, visit)
        at = due or origin.time
        yield WantedNotice(
            key, "alert", name, audience, at, planned=planned, event=origin.key, fact=fact, alert=name
        )


def _safety(state: SubjectState) -> Iterator[WantedNotice]:
    subject = state.subject
    for event in sorted(subject.of(AdverseEvent), key=lambda each: (each.time, each.key)):
        if as_data(event, AdverseEvent).serious:
            yield from _about(state, "sae", subject.origin(event, severity), event)
    for event in subject.of(Pregnancy):
        yield from _about(state, "sae", subject.origin(event, whose), event)
    for clock in clocks(subject):
        if clock.death:
            yield from _about(state, "sae", subject.origin(clock.fact, same_death), clock.fact)
        if clock.submitted is None:
            yield from _clock(state, clock)


def _clock(state: SubjectState, clock: Clock) -> Iterator[WantedNotice]:
    rule = state.protocol.alerts["sae"]
    untils = [*clock.dues[1:], None]
    for hours, due, until in zip(clock.hours, clock.dues, untils, strict=True):
        for audience in rule.audiences:
            step = Step("sae", hours).name
            key = event_key(state.subject.code, step, audience, clock.event)
            yield WantedNotice(
                key,
                "alert",
                step,
                audience,
                due,
                until,
                event=clock.event,
                fact=clock.fact,
                number=hours,
                alert="sae",
            )


def _death_unrecorded(state: SubjectState, since: datetime | None) -> Iterator[WantedNotice]:
    fatal = state.unrecorded_death
    if fatal is None:
        return
    rule = state.protocol.alerts["death-unrecorded"]
    for number, (due, until) in enumerate(_repeats(state, fatal.since, rule.every_working_days or 1), 1):
        if since and until <= since:
            continue
        for audience in rule.audiences:
            day = state.subject.site.date_of(due)
            key = bounded(f"{state.subject.code}/{DEATH_UNRECORDED}/{audience}/{day}")
            yield WantedNotice(
                key,
                "alert",
                DEATH_UNRECORDED,
                audience,
                due,
                until,
                event=fatal.event,
                fact=fatal.fact,
                number=number,
                day=day,
                alert="death-unrecorded",
            )


def _visits(state: SubjectState) -> Iterator[WantedNotice]:
    subject = state.subject
    for planned in state.visits:
        done = planned.event if planned.on else None
        if done and planned.deviation_days:
            yield from _about(state, "out-of-window", subject.origin(done), done, planned=planned)
        if done and (due := unwanted_since(state, planned)):
            origin = subject.origin(done)
            yield from _about(state, "infusion-on-hold", origin, done, due=due, planned=planned)
        if done and deviates(state, planned):
            origin = subject.origin(done, dosed)
            due = max(origin.time, weighing_at(subject, done).known_at)
            yield from _about(state, "dose-deviation", origin, done, due=due, planned=planned)
        yield from _booking(state, planned)


def _cannot_come(state: SubjectState) -> Iterator[WantedNotice]:
    # A version that reminds no subject has nobody to tell.
    if "cannot-come" not in state.protocol.alerts:
        return
    for planned in state.visits:
        if answer := declined(state.subject, planned):
            origin = state.subject.origin(answer)
            yield from _about(state, "cannot-come", origin, answer, planned=planned)


def _booking(state: SubjectState, planned: PlannedVisit) -> Iterator[WantedNotice]:
    booking = state.subject.booked.get(planned.code)
    if booking and planned.outcome is None and planned.firm and planned.outside(planned.day):
        origin = state.subject.origin(booking)
        # Before the anchor was known, there was no window.
        due = max(origin.time, planned.anchor.known_at or origin.time)
        yield from _about(state, "booking-out-of-window", origin, booking, due=due, planned=planned)


def _enrolment(state: SubjectState) -> Iterator[WantedNotice]:
    subject, data = state.subject, state.subject.enrolled
    enrolment, first = subject.enrolment, subject.periods[0].protocol

    def failed(stated: Data) -> object:
        return isinstance(stated, Enrolled) and tuple(each.criterion for each in unmet(first, stated))

    # A subject that met the criteria on the day of enrolment stays eligible when an amendment sets others.
    if subject.corrected and unmet(first, data):
        yield from _about(state, "eligibility", subject.origin(enrolment, failed), enrolment)
    for step in open_consents(state):
        yield from _about(state, step, subject.origin(enrolment, _age), enrolment)


def open_consents(state: SubjectState) -> tuple[Literal["assent", "majority"], ...]:
    """The consents that may fall due by age before the study ends and are not given yet."""
    given = {as_data(event, ConsentGiven).kind for event in state.subject.of(ConsentGiven)}
    return tuple(kind for kind in _consents_by_age(state) if kind not in given)


def _consents_by_age(state: SubjectState) -> Iterator[Literal["assent", "majority"]]:
    rules, age = state.protocol.eligibility, state.subject.enrolled.screening.age_years
    if rules.assent_notice_years.holds(age) and not rules.assent_years.holds(age):
        yield "assent"
    if rules.majority_notice_years.holds(age) and not rules.consent_of_age.holds(age):
        yield "majority"


def _age(data: Data) -> object:
    assert isinstance(data, Enrolled)
    return data.screening.age_years


def _flags(state: SubjectState) -> Iterator[WantedNotice]:
    for flag in state.flags:
        for audience in state.protocol.alerts["flag"].audiences:
            key = event_key(state.subject.code, "flag", audience, flag.event)
            yield WantedNotice(
                key, "alert", "flag", audience, flag.at, event=flag.event, fact=flag.fact, alert="flag"
            )


def _undecided(state: SubjectState, flag: Flag, since: datetime | None) -> Iterator[WantedNotice]:
    rule = state.protocol.alerts["decision"]
    for number, (due, until) in enumerate(_repeats(state, flag.at, rule.every_working_days or 1), 1):
        if since and until <= since:
            continue
        step = Step("decision", number).name
        audiences = [*rule.audiences, *(who for who, first in rule.later.items() if number >= first)]
        for audience in audiences:
            key = event_key(state.subject.code, step, audience, flag.event)
            yield WantedNotice(
                key,
                "alert",
                step,
                audience,
                due,
                until,
                event=flag.event,
                fact=flag.fact,
                number=number,
                alert="decision",
            )


def _disposition(state: SubjectState, since: datetime | None) -> Iterator[WantedNotice]:
    last = state.visits[-1]
    if not state.awaiting_disposition or last.known_at is None:
        return
    rule = state.protocol.alerts["disposition"]
    later = _repeats(state, last.known_at, rule.every_working_days or 1)
    spans = _with_the_first(last.known_at, later)
    for number, (due, until) in enumerate(spans, 1):
        if since and until <= since:
            continue
        for audience in rule.audiences:
            day = state.subject.site.date_of(due)
            key = visit_key(state.subject.code, last.code, "disposition", audience, day)
            yield WantedNotice(
                key,
                "alert",
                "disposition",
                audience,
                due,
                until,
                last,
                number=number,
                day=day,
                alert="disposition",
            )


def consents_asked_anew(state: SubjectState) -> tuple[NewConsent, ...]:
    """The consents that the subject's protocol versions ask for anew and that are not given yet.

    None after exit, and none while a fatal adverse event stands without a death.
    """
    if state.exit or state.unrecorded_death:
        return ()
    return tuple(each for each in new_consents(state.subject) if each.given_on is None)


def _re_consent(state: SubjectState, since: datetime | None) -> Iterator[WantedNotice]:
    for asked in consents_asked_anew(state):
        assigned, began = asked.period.assigned, asked.period.since
        if assigned is None or began is None:
            continue
        # The rule of the version that asks, since a later one need not ask for any.
        rule = asked.period.protocol.alerts["re-consent"]
        later = _repeats(state, began, rule.every_working_days or 1)
        spans = _with_the_first(began, later)
        for number, (due, until) in enumerate(spans, 1):
            if since and until <= since:
                continue
            for audience in rule.audiences:
                day = state.subject.site.date_of(due)
                about = f"{asked.kind}:{quote(asked.version, safe='')}"
                key = bounded(f"{state.subject.code}/re-consent/{audience}/{about}/{day}")
                yield WantedNotice(
                    key,
                    "alert",
                    "re-consent",
                    audience,
                    due,
                    until,
                    event=state.subject.origin(assigned).key,
                    fact=assigned,
                    number=number,
                    day=day,
                    alert="re-consent",
                    asked=asked.named,
                )


def _with_the_first(
    began: datetime, later: Iterator[tuple[datetime, datetime]]
) -> Iterator[tuple[datetime, datetime]]:
    """The spans of repetitions behind a first one, which is due at `began`."""
    first = next(later)
    yield began, first[0]
    yield first
    yield from later


def _repeats(state: SubjectState, since: datetime, every: int) -> Iterator[tuple[datetime, datetime]]:
    """Each repetition so far and the next one, as two instants (UTC): when it and when its successor is due.

    The first is due `every` working days after `since`, at the protocol's hour for notices.
    """
    site = state.subject.site

    def following(day: date) -> date:
        for _ in range(every):
            day = site.workdays.next(day)
        return day

    day = following(site.date_of(since))
    due = site.at(day, state.protocol.notices_at)
    while True:
        day = following(day)
        after = site.at(day, state.protocol.notices_at)
        yield due, after
        if due > state.now:
            return
        due = after


def _endings(state: SubjectState) -> Iterator[WantedNotice]:
    # A stop after which nobody is left to follow up is the exit itself: only the exit is told.
    if state.effective_stop and not (state.exit and state.exit.origin == state.effective_stop.origin):
        yield from _ending(state, "treatment-stopped", state.effective_stop)
    if state.exit:
        yield from _ending(state, "exit", state.exit)


def _ending(state: SubjectState, name: AlertName, end: Ending) -> Iterator[WantedNotice]:
    for audience in state.protocol.alerts[name].audiences:
        key = event_key(state.subject.code, name, audience, end.origin)
        yield WantedNotice(key, "alert", name, audience, end.at, event=end.origin, fact=end.event, alert=name)


def _stand_down(state: SubjectState) -> Iterator[WantedNotice]:
    by_code = {planned.code: planned for planned in state.visits}
    handed = {stable(outbox_key) for outbox_key in state.subject.handed}
    for key, issue in state.subject.decision_log.issues.items():
        planned = by_code.get(issue.notice.visit or "")
        if planned is None or planned.on or key not in handed or "dose" not in said_by(issue.notice):
            continue
        day = issue.day
        if day is None:  # an order of cells always counts from a date
            continue
        for audience in state.protocol.alerts["stand-down"].audiences:
            wanted = visit_key(state.subject.code, planned.code, "stand-down", audience, day)
            before = state.subject.decision_log.issues.get(wanted)
            if _overtaken(state, planned, day) or _told_and_past(state, issue, before):
                due = before.notice.due if before and not _contradicted(before, issue) else state.now
                yield WantedNotice(
                    wanted,
                    "alert",
                    "stand-down",
                    audience,
                    due,
                    planned=planned,
                    day=day,
                    alert="stand-down",
                )


def _contradicted(before: Issue, order: Issue) -> bool:
    """Whether the cells were ordered once more after the stand-down; it must then be told anew."""
    return before.status == "closed" and order.at > before.at


def _told_and_past(state: SubjectState, order: Issue, before: Issue | None) -> bool:
    """Whether the stand-down was told and its date has passed since: a later miss does not repeat it."""
    over = order.notice.until is not None and order.notice.until <= state.now
    return over and before is not None and before.status == "issued"


def _overtaken(state: SubjectState, planned: PlannedVisit, day: date) -> bool:
    """Whether cells are not needed any more on the date for which they were ordered."""
    held = state.on_hold and planned.outcome is None
    return bool(planned.outcome or state.exit or held or not planned.firm) or day != planned.day


_ALERTS: tuple[Callable[[SubjectState], Iterator[WantedNotice]], ...] = (
    _safety,
    _visits,
    _cannot_come,
    _enrolment,
    _flags,
    _endings,
    _stand_down,
)
