"""Serious adverse events, pregnancies and deaths: their reporting clocks, and fatal events without a death.

This module raises no alert. A clock runs from the instant at which the site became aware of an event until
the submission of its report is recorded (ICH E6(R3); the limit is protocol data). An event that grows worse
after its submission has a new clock, for the follow-up report. Grade 5 by CTCAE, or the outcome `fatal`, is a
death that must be recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from itp_events.events import AdverseEvent, Data, Died, Event, EventKey, Pregnancy, SaeSubmitted
from itp_events.rules.corrections import Basis, same_death, severity, whose
from itp_events.rules.ladder import Hold
from itp_events.rules.subject import Subject, as_data


class Clock(NamedTuple):
    """The time within which one safety report must be submitted; instants in UTC.

    `event` identifies the report with which it began; `fact` is the event that states it today. `submitted`
    is the first submission that covers it. `follow_up`: the event became worse after a submission. `death`:
    the clock asks for the adverse event that led to the death.
    """

    event: EventKey
    fact: Event
    aware_at: datetime
    hours: tuple[int, ...]
    submitted: Event | None
    follow_up: bool = False
    death: bool = False

    @property
    def dues(self) -> tuple[datetime, ...]:
        """The instants (UTC) at which the reminders of the clock are due, the limit last."""
        return tuple(self.aware_at + timedelta(hours=hours) for hours in self.hours)

    @property
    def limit(self) -> datetime:
        """The instant (UTC) by which the report must be submitted."""
        return self.dues[-1]


class Course(NamedTuple):
    """One adverse event, as its reports that nobody voided, the oldest first."""

    reports: tuple[Event, ...]

    @property
    def now(self) -> AdverseEvent:
        """The data of its newest report."""
        return as_data(self.reports[-1], AdverseEvent)


def courses(subject: Subject) -> tuple[Course, ...]:
    """The adverse events of a subject, each with its reports that nobody voided, in the order of reporting.

    The reports under one number are one event, even when a correction gave one of them that number.
    """
    reports: dict[str, list[Event]] = {}
    for event in sorted(subject.of(AdverseEvent), key=partial(_reported, subject)):
        reports.setdefault(as_data(event, AdverseEvent).ae, []).append(event)
    return tuple(Course(tuple(of_one)) for of_one in reports.values())


def _reported(subject: Subject, event: Event) -> tuple[datetime, datetime, EventKey]:
    """The place of a report among those of its event: a corrected report keeps its first place."""
    return subject.chain.first_stated(event, severity).time, event.time, event.key


def clocks(subject: Subject) -> tuple[Clock, ...]:
    """Every clock that ever began, with its submission when one is recorded.

    Its hours are those of the version that held when it began.
    """
    begun = [clock for course in courses(subject) for clock in _of_course(subject, course)]
    begun += [_simple(subject, event, whose) for event in subject.of(Pregnancy)]
    if not any(course.now.fatal for course in courses(subject)):
        begun += [_simple(subject, event, same_death) for event in subject.of(Died)]
    return tuple(begun)


def _hours(subject: Subject, origin: Event) -> tuple[int, ...]:
    return subject.protocol_known(origin.time).alerts["sae"].clock_hours


def _of_course(subject: Subject, course: Course) -> Iterator[Clock]:
    submissions = _submissions(subject, course)
    before: Clock | None = None
    for start in _starts(subject, course):
        if before is None:
            covering = [each for each in submissions if subject.known_since(each) >= start.origin.time]
        elif before.submitted is None or _tells(subject, before.submitted, start.origin):
            continue  # the report that was due already covers this too
        else:
            covering = [each for each in submissions if _tells(subject, each, start.origin)]
        submitted = covering[0] if covering else None
        hours = _hours(subject, start.origin)
        before = Clock(start.origin.key, start.fact, start.aware_at, hours, submitted, before is not None)
        yield before


class _Start(NamedTuple):
    origin: Event
    fact: Event
    aware_at: datetime


def _starts(subject: Subject, course: Course) -> Iterator[_Start]:
    """The starts of an event's clocks: its first report as serious, and each later one that worsens it."""
    serious = [report for report in course.reports if as_data(report, AdverseEvent).serious]
    first = min((_serious_since(subject, report) for report in serious), key=_time, default=None)
    if first is None:
        return
    yield _start(subject, course, first)
    made = (_made_worse(subject, subject.origin(report, severity)) for report in serious)
    changes = {each[0].key: each for each in made if each is not None}
    for worse, earlier in sorted(changes.values(), key=lambda each: _time(each[0])):
        if worse.key != first.key:
            yield _start(subject, course, worse, earlier)


def _made_worse(subject: Subject, report: Event) -> tuple[Event, Event] | None:
    """The report that made an event worse, with the one that it made worse; None when this one did not.

    A report that was corrected to something less severe may be worse than the report before it all the same:
    then the clock that it began goes on.
    """
    link = subject.chain.before.get(report.key)
    if link is None:
        return None
    if _worse(report, link.event):
        return report, link.event
    if not link.restates:
        return None
    made = _made_worse(subject, subject.origin(link.event, severity))
    return made if made and _worse(report, made[1]) else None


def _serious_since(subject: Subject, report: Event) -> Event:
    """The first of the reports that a serious one continues.

    One that was corrected to be harmless, or to be about another event, is left out, and all before it.
    """
    first, number = report, as_data(report, AdverseEvent).ae
    for version in subject.chain.versions(report):
        today = as_data(subject.chain.today(version), AdverseEvent)
        if not (as_data(version, AdverseEvent).serious and today.serious and today.ae == number):
            break
        first = version
    return first


def _time(report: Event) -> tuple[datetime, EventKey]:
    return report.time, report.key


def _start(subject: Subject, course: Course, origin: Event, earlier: Event | None = None) -> _Start:
    aware_at = as_data(_as_corrected(subject, course, origin), AdverseEvent).aware_at
    if earlier is not None and aware_at == as_data(earlier, AdverseEvent).aware_at:
        aware_at = None  # it belongs to the event as it was before
    return _Start(origin, course.reports[-1], aware_at or _heard_of(subject, origin))


def _heard_of(subject: Subject, report: Event) -> datetime:
    """The instant of a report; for a fatal event, at the latest that at which the site knew of the death."""
    deaths = _deaths_known(subject) if as_data(report, AdverseEvent).fatal else []
    return min([report.time, *deaths])


def _deaths_known(subject: Subject) -> list[datetime]:
    return [
        as_data(event, Died).aware_at or subject.known_since(event, same_death) for event in subject.of(Died)
    ]


def _as_corrected(subject: Subject, course: Course, origin: Event) -> Event:
    """A report as corrected, without the corrections that changed its severity."""
    for report in course.reports:
        versions = list(subject.chain.versions(report))
        keys = [version.key for version in versions]
        if origin.key not in keys:
            continue
        found = origin
        for version in versions[: keys.index(origin.key)][::-1]:
            restates = subject.chain.before[version.key].restates
            if not restates or severity(version.data) != severity(origin.data):
                break
            found = version
        return found
    return origin


def _worse(later: Event, earlier: Event) -> bool:
    now, then = as_data(later, AdverseEvent), as_data(earlier, AdverseEvent)
    pairs = ((now.serious, then.serious), (now.related, then.related), (now.fatal, then.fatal))
    return now.grade > then.grade or any(one and not other for one, other in pairs)


def _submissions(subject: Subject, course: Course) -> list[Event]:
    numbers = {
        as_data(version, AdverseEvent).ae
        for report in course.reports
        for version in subject.chain.versions(report)
    }
    found = [each for each in subject.of(SaeSubmitted) if as_data(each, SaeSubmitted).ae in numbers]
    return sorted(found, key=lambda each: (subject.known_since(each), each.key))


def _tells(subject: Subject, submission: Event, report: Event) -> bool:
    """Whether a submission covers a report: it was made, and recorded, after that report."""
    at, on = subject.known_since(submission), as_data(submission, SaeSubmitted).on
    return at >= report.time and on >= subject.site.date_of(report.time)


def _simple(subject: Subject, event: Event, basis: Basis) -> Clock:
    origin = subject.origin(event, basis)
    versions = list(subject.chain.versions(event))
    names, reported = {version.id for version in versions}, min(version.time for version in versions)
    sent = [each for each in subject.of(SaeSubmitted) if as_data(each, SaeSubmitted).ae in names]
    covering = [each for each in sent if subject.known_since(each) >= reported]
    first = min(covering, key=lambda each: (subject.known_since(each), each.key), default=None)
    aware = getattr(event.data, "aware_at", None) or origin.time
    return Clock(origin.key, event, aware, _hours(subject, origin), first, death=isinstance(event.data, Died))


class Fatal(NamedTuple):
    """A fatal adverse event without a recorded death.

    `event` identifies the report with which it became fatal, at the instant `since` (UTC); `fact` is the
    event that states it today.
    """

    event: EventKey
    fact: Event
    since: datetime


def unrecorded_death(subject: Subject) -> Fatal | None:
    """The first fatal adverse event while no death is recorded; None when there is none."""
    if subject.of(Died):
        return None
    found = [
        Fatal(began.key, course.reports[-1], began.time)
        for course in courses(subject)
        for began, until in _fatal_spells(subject, course)
        if until is None
    ]
    return min(found, key=lambda each: (each.since, each.event), default=None)


def fatal_holds(subject: Subject) -> list[Hold]:
    """The times during which an adverse event was fatal and no death was recorded."""
    deaths = [subject.known_since(event, same_death) for event in subject.of(Died)]
    recorded = min(deaths, default=None)
    found = [
        Hold(began.time, until)
        for course in courses(subject)
        for began, until in _fatal_spells(subject, course)
    ]
    return [
        hold if recorded is None else Hold(hold.at, min(hold.until or recorded, recorded))
        for hold in sorted(found, key=lambda each: each.at)
        if recorded is None or hold.at < recorded
    ]


def _fatal_spells(subject: Subject, course: Course) -> Iterator[tuple[Event, datetime | None]]:
    """Each time during which an event was fatal: its first report, and its end (UTC; None: it still is)."""
    began: Event | None = None
    for report in course.reports:
        fatal = as_data(report, AdverseEvent).fatal
        if fatal and began is None:
            began = subject.origin(report, _fatal)
        elif not fatal and began is not None:
            until = _no_longer_fatal(subject, report, began)
            if until and began.time < until:
                yield began, until
            began = None
    if began is not None:
        yield began, None


def _no_longer_fatal(subject: Subject, report: Event, began: Event) -> datetime | None:
    """The instant at which a report took back what began to be fatal; None when it said so before that.

    The report that it continues may be older than that: a correction of the number can put a fatal report
    between two.
    """
    origin = subject.origin(report, _fatal).key
    said = []
    for version in subject.chain.versions(report):
        said.append(version.time)
        if version.key == origin:
            break
    return min((at for at in said if at > began.time), default=None)


def _fatal(data: Data) -> object:
    assert isinstance(data, AdverseEvent)
    return data.fatal
