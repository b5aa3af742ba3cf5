"""The alerts: what must be known at once, and what is repeated until somebody acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

from itp_events.dose import deviates
from itp_events.duties import Duty, event_key, visit_key
from itp_events.eligibility import unmet
from itp_events.events import AdverseEvent, Died, Event, EventKey, Pregnancy, SaeSubmitted
from itp_events.ledger import Issue, bounded, stable
from itp_events.protocol import AlertName
from itp_events.subject import as_data
from itp_events.view import View
from itp_events.windows import PlannedVisit
from itp_events.withdrawal import Flag


def alerts(seen: View) -> Iterator[Duty]:
    """Every alert whose reason stands, whatever its instant; of what repeats the present and the next."""
    for of_kind in _ALERTS:
        yield from of_kind(seen)
    yield from repeats(seen, seen.now)


def repeats(seen: View, since: datetime | None = None) -> Iterator[Duty]:
    """What is repeated until somebody decides: from the one at `since`, or the first, to the next."""
    for flag in seen.open_flags:
        yield from _undecided(seen, flag, since)
    yield from _disposition(seen, since)


def _about(
    seen: View, name: AlertName, event: EventKey, due: datetime, planned: PlannedVisit | None = None
) -> Iterator[Duty]:
    for audience in seen.protocol.alerts[name].audiences:
        visit = planned.code if planned else None
        key = event_key(seen.subject.code, name, audience, event, visit)
        yield Duty(key, "alert", name, audience, due, planned=planned, event=event)


def _safety(seen: View) -> Iterator[Duty]:
    clocked: set[str] = set()
    # In the order of the reports: of two about the same event the first one starts the clock.
    for event in sorted(seen.subject.of(AdverseEvent), key=lambda each: (each.time, each.key)):
        ae = as_data(event, AdverseEvent)
        if ae.serious:
            yield from _about(seen, "sae", event.key, event.time)
            if ae.ae not in clocked:
                yield from _clock(seen, event, ae.ae)
            clocked.add(ae.ae)
    for event in seen.subject.of(Pregnancy):
        yield from _about(seen, "sae", event.key, event.time)
        yield from _clock(seen, event, event.id)
    if not clocked:
        for event in seen.subject.of(Died):
            yield from _about(seen, "sae", event.key, event.time)


def _clock(seen: View, event: Event, reported_as: str) -> Iterator[Duty]:
    submitted = (as_data(each, SaeSubmitted).ae for each in seen.subject.of(SaeSubmitted))
    if reported_as in submitted:
        return
    rule = seen.protocol.alerts["sae"]
    dues = [event.time + timedelta(hours=hours) for hours in rule.clock_hours]
    for hours, due, until in zip(rule.clock_hours, dues, [*dues[1:], None], strict=True):
        for audience in rule.audiences:
            step = f"sae-{hours}h"
            key = event_key(seen.subject.code, step, audience, event.key)
            yield Duty(key, "alert", step, audience, due, until, event=event.key, number=hours)


def _visits(seen: View) -> Iterator[Duty]:
    for planned in seen.visits:
        if planned.event and planned.deviation_days:
            yield from _about(seen, "out-of-window", planned.event.key, planned.event.time, planned)
        if planned.event and _unwanted(seen, planned):
            yield from _about(seen, "infusion-on-hold", planned.event.key, planned.event.time, planned)
        if planned.event and deviates(seen, planned):
            yield from _about(seen, "dose-deviation", planned.event.key, planned.event.time, planned)
        booking = seen.subject.booked.get(planned.code)
        if booking and planned.outcome is None and planned.firm and planned.outside(planned.day):
            # Before the anchor was known there was no window to lie outside of.
            due = max(booking.time, planned.anchor.known_at or booking.time)
            yield from _about(seen, "booking-out-of-window", booking.key, due, planned)


def _unwanted(seen: View, planned: PlannedVisit) -> bool:
    if planned.event is None or planned.on is None or planned.visit.epoch != "treatment":
        return False
    at = planned.event.time
    held = any(flag.at < at and (flag.decision is None or at < flag.decision.time) for flag in seen.flags)
    return held or (seen.stop is not None and seen.stop.at < at)


def _enrolment(seen: View) -> Iterator[Duty]:
    enrolment, data = seen.subject.enrolment, seen.subject.enrolled
    # Who met the criteria of the day of enrolment stays eligible when an amendment sets others.
    if seen.subject.corrected and unmet(seen.protocol, data):
        yield from _about(seen, "eligibility", enrolment.key, enrolment.time)
    rules = seen.protocol.eligibility
    age = data.screening.age_years
    if rules.majority_notice_years.holds(age) and not rules.consent_of_age.holds(age):
        yield from _about(seen, "majority", enrolment.key, enrolment.time)


def _flags(seen: View) -> Iterator[Duty]:
    for flag in seen.flags:
        yield from _about(seen, "flag", flag.event, flag.at)


def _undecided(seen: View, flag: Flag, since: datetime | None) -> Iterator[Duty]:
    rule = seen.protocol.alerts["decision"]
    for number, (due, until) in enumerate(_repeats(seen, flag.at, rule.every_working_days or 1), 1):
        if since and until <= since:
            continue
        step = f"decision-{number}"
        audiences = [*rule.audiences, *(who for who, first in rule.later.items() if number >= first)]
        for audience in audiences:
            key = event_key(seen.subject.code, step, audience, flag.event)
            yield Duty(key, "alert", step, audience, due, until, event=flag.event, number=number)


def _disposition(seen: View, since: datetime | None) -> Iterator[Duty]:
    last = seen.visits[-1]
    if not seen.awaiting_disposition or last.known_at is None:
        return
    rule = seen.protocol.alerts["disposition"]
    later = list(_repeats(seen, last.known_at, rule.every_working_days or 1))
    spans = [(last.known_at, later[0][0]), *later]
    for number, (due, until) in enumerate(spans, 1):
        if since and until <= since:
            continue
        for audience in rule.audiences:
            day = seen.subject.site.date_of(due)
            key = visit_key(seen.subject.code, last.code, "disposition", audience, day)
            yield Duty(key, "alert", "disposition", audience, due, until, last, number=number)


def _repeats(seen: View, since: datetime, every: int) -> Iterator[tuple[datetime, datetime]]:
    """Each repetition so far and the next one: when it is due, and when the one after it is."""
    site = seen.subject.site

    def following(day: date) -> date:
        for _ in range(every):
            day = site.workdays.next(day)
        return day

    day = following(site.date_of(since))
    due = site.at(day, seen.protocol.notices_at)
    while True:
        day = following(day)
        after = site.at(day, seen.protocol.notices_at)
        yield due, after
        if due > seen.now:
            return
        due = after


def _endings(seen: View) -> Iterator[Duty]:
    # A stop that leaves nobody to follow up is the exit: what is told is the exit alone.
    if seen.stopped and not (seen.exit and seen.exit.event.key == seen.stopped.event.key):
        yield from _about(seen, "treatment-stopped", seen.stopped.event.key, seen.stopped.at)
    if seen.exit:
        yield from _about(seen, "exit", seen.exit.event.key, seen.exit.at)


def _stand_down(seen: View) -> Iterator[Duty]:
    by_code = {planned.code: planned for planned in seen.visits}
    handed = {stable(row) for row in seen.subject.handed}
    for key, issue in seen.subject.ledger.issues.items():
        planned = by_code.get(issue.notice.visit or "")
        if planned is None or planned.on or key not in handed or not issue.notice.facts.get("dose"):
            continue
        for audience in seen.protocol.alerts["stand-down"].audiences:
            duty = bounded(
                f"{seen.subject.code}/{planned.code}/stand-down/{audience}/{key.rsplit('/', 1)[1]}"
            )
            before = seen.subject.ledger.issues.get(duty)
            if _overtaken(seen, planned, key) or _told_and_past(seen, issue, before):
                due = before.notice.due if before else seen.now
                yield Duty(duty, "alert", "stand-down", audience, due, planned=planned)


def _told_and_past(seen: View, order: Issue, before: Issue | None) -> bool:
    """Whether they stood down for a date that is past since: a later miss does not say so once more."""
    over = order.notice.until is not None and order.notice.until <= seen.now
    return over and before is not None and before.status == "issued"


def _overtaken(seen: View, planned: PlannedVisit, key: str) -> bool:
    """Whether the date for which cells were ordered no longer holds."""
    held = seen.on_hold and planned.outcome is None
    return bool(planned.outcome or seen.exit or held or not planned.firm) or not key.endswith(
        f"/{planned.day}"
    )


_ALERTS: tuple[Callable[[View], Iterator[Duty]], ...] = (
    _safety,
    _visits,
    _enrolment,
    _flags,
    _endings,
    _stand_down,
)
