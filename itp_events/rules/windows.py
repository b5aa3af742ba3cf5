"""Visit windows from anchors: the schedule of activities applied to one subject.

This module does not decide which holds, stops and exits there are: they are its arguments. A window is whole
site-local days, both ends included. Infusion 2 is counted from infusion 1, each later infusion from the one
before it, follow-up from the end of treatment (synopsis). An anchor is `actual` (done), `planned` (missed:
its target counts) or `projected` (still open).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal, NamedTuple

from itp_events.events import Acknowledged, Booked, Completed, Event, EventKey
from itp_events.protocol.model import END_OF_TREATMENT, ENROLMENT, Protocol, Visit
from itp_events.rules.ladder import Acknowledgement, Climb, Hold, climb
from itp_events.rules.subject import Subject, VersionPeriod, as_data

Outcome = Literal["completed", "missed", "cancelled"]
Status = Literal["upcoming", "open", "overdue", "completed", "missed", "cancelled"]


class Anchor(NamedTuple):
    """The date `on` (site-local) from which a visit's target is counted, and its visit or event `code`.

    `known_at` is the instant (UTC) at which the anchor was resolved; None while it is projected.
    """

    code: str
    on: date
    basis: Literal["actual", "planned", "projected"]
    known_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ending:
    """A stop of treatment or an exit, on the site-local date `on`, known since the instant `at` (UTC).

    `decode` and `term` are its disposition (SDTM). `event` states it today; `origin` identifies the report
    with which it began.
    """

    on: date
    at: datetime
    decode: str
    term: str
    criterion: str | None
    event: Event
    origin: EventKey

    @property
    def order(self) -> tuple[date, datetime, EventKey]:
        """The place of the ending among others: the earliest of a subject counts."""
        return self.on, self.at, self.origin


class PlannedVisit(NamedTuple):
    """One visit of a subject's plan; dates are local to the site, `known_at` is in UTC.

    `on` is the date on which it was done. `event` states its outcome; it is None when the service found that
    outcome. `known_at` is the instant since which the outcome is known. `by_exit`: it was missed because the
    subject's participation ended after its window. `version` is the protocol version that judges it: the one
    that held when it was done, missed or cancelled, else the one that the subject follows.
    """

    visit: Visit
    anchor: Anchor
    target: date
    opens: date
    closes: date
    booked: date | None
    climb: Climb | None
    outcome: Outcome | None = None
    on: date | None = None
    event: Event | None = None
    known_at: datetime | None = None
    by_exit: bool = False
    version: str = ""

    @property
    def code(self) -> str:
        """The visit's code."""
        return self.visit.code

    @property
    def firm(self) -> bool:
        """Whether the anchor is known; only then reminders and ladders run."""
        return self.anchor.basis != "projected"

    @property
    def day(self) -> date:
        """T: the booked date, else the target."""
        return self.booked or self.target

    @property
    def agreed(self) -> bool:
        """Whether the target was agreed at enrolment and does not follow from the anchor."""
        return self.target != self.visit.target.after(self.anchor.on)

    @property
    def missed_by_service(self) -> bool:
        """Whether the service, and not a person, counts the visit as missed."""
        return self.outcome == "missed" and self.event is None

    @property
    def deviation_days(self) -> int | None:
        """Days outside the window: negative when early, positive when late, None when not done."""
        return None if self.on is None else self.outside(self.on)

    def settled(self, at: datetime) -> bool:
        """Whether the visit's outcome was known at an instant."""
        return self.known_at is not None and self.known_at <= at

    def outside(self, day: date) -> int:
        """The days by which `day` lies outside the window; 0 inside it."""
        return min((day - self.opens).days, 0) + max((day - self.closes).days, 0)

    def status(self, today: date) -> Status:
        """The visit's status on the site-local date `today`; overdue is derived and never stored."""
        if self.outcome:
            return self.outcome
        if not self.firm or today < self.opens:
            return "upcoming"
        return "open" if today <= self.closes else "overdue"


@dataclass(frozen=True)
class _Circumstances:
    """The inputs of a schedule besides the visits of the protocol.

    `holds` pause the ladders of infusions. `fatal` are those holds that come from a fatal event: they pause
    every ladder. `dropped` holds the codes of visits that an earlier version had, that the version followed
    now does not have, and of which nothing had become before. `since` is the instant at
    which `protocol` was assigned.
    """

    protocol: Protocol
    subject: Subject
    holds: tuple[Hold, ...]
    fatal: tuple[Hold, ...]
    stop: Ending | None
    exit: Ending | None
    now: datetime
    dropped: set[str]
    since: datetime | None = None


def schedule(
    subject: Subject,
    now: datetime,
    holds: Sequence[Hold] = (),
    stop: Ending | None = None,
    exit: Ending | None = None,
    fatal: Sequence[Hold] = (),
) -> tuple[PlannedVisit, ...]:
    """All visits of a subject with their windows and outcomes, as known at `now` (aware), in protocol order.

    A visit keeps the version that held when it was done, missed or cancelled; every other visit has the dates
    of the version that the subject follows now.

    `holds` pause the ladders of infusions, `fatal` pauses every ladder; `stop` and `exit` cancel visits.
    """
    dropped: set[str] = set()
    given = _Circumstances(subject.protocol, subject, tuple(holds), tuple(fatal), stop, exit, now, dropped)
    planned: dict[str, PlannedVisit] = {}
    if len(subject.periods) == 1:
        for visit in subject.protocol.visits:
            planned[visit.code] = _plan(visit, planned, given)
        return tuple(planned.values())
    of_periods = [replace(given, protocol=period.protocol, since=period.since) for period in subject.periods]
    for code in _codes(subject):
        planned[code] = _by_its_version(code, planned, of_periods)
    return tuple(_standing(planned, given))


def _codes(subject: Subject) -> list[str]:
    """The codes of the visits of every version followed; an older visit stands behind its predecessor."""
    codes = list(subject.protocol.by_code)
    for period in reversed(subject.periods[:-1]):
        place = 0
        for code in period.protocol.by_code:
            if code not in codes:
                codes.insert(place, code)
            place = codes.index(code) + 1
    return codes


def _by_its_version(
    code: str, before: dict[str, PlannedVisit], of_periods: Sequence[_Circumstances]
) -> PlannedVisit:
    """The plan of a visit by the first version under which it was settled, else by the newest that has it."""
    planned: PlannedVisit | None = None
    for given, period in zip(of_periods, [*of_periods[0].subject.periods[1:], None], strict=True):
        visit = given.protocol.by_code.get(code)
        if visit is None:
            continue
        planned = _plan(visit, before, given)
        if period and _settled_before(planned, period, given.subject):
            return planned
    assert planned is not None
    if code not in of_periods[-1].protocol.by_code:
        of_periods[-1].dropped.add(code)
    return planned


def _settled_before(planned: PlannedVisit, period: VersionPeriod, subject: Subject) -> bool:
    """Whether a visit was done, missed or cancelled before a period began, in the study's order."""
    if planned.known_at is None:
        return False
    on = planned.on or subject.site.date_of(planned.known_at)
    return subject.precedes(on, planned.known_at, period)


def _standing(planned: dict[str, PlannedVisit], given: _Circumstances) -> list[PlannedVisit]:
    return [each for each in planned.values() if each.code not in given.dropped]


def _plan(visit: Visit, before: dict[str, PlannedVisit], given: _Circumstances) -> PlannedVisit:
    subject = given.subject
    anchor = _anchor(visit, before, given)
    nominal = visit.target.after(anchor.on)
    first_on = subject.enrolled.first_infusion_on if visit.code == given.protocol.visits[0].code else None
    booking = subject.booked.get(visit.code)
    planned = PlannedVisit(
        visit,
        anchor,
        target=first_on or nominal,
        opens=visit.opens(nominal),
        closes=visit.closes(nominal),
        booked=as_data(booking, Booked).on if booking else None,
        climb=None,
        version=given.protocol.version,
    )
    return _with_outcome(planned, before, given)


def _anchor(visit: Visit, before: dict[str, PlannedVisit], given: _Circumstances) -> Anchor:
    if visit.anchor == ENROLMENT:
        enrolment = given.subject.enrolment
        known_at = given.subject.known_since(enrolment)
        return Anchor(ENROLMENT, given.subject.enrolled.on, "actual", known_at)
    if visit.anchor == END_OF_TREATMENT:
        return _end_of_treatment(before, given)
    return _hanging_on(before[visit.anchor])


def _end_of_treatment(before: dict[str, PlannedVisit], given: _Circumstances) -> Anchor:
    infusions = [each for each in _standing(before, given) if each.visit.epoch == "treatment"]
    done = [planned for planned in infusions if planned.on is not None]
    if given.stop and done and any(planned.outcome == "cancelled" for planned in infusions):
        last = max(done, key=lambda planned: planned.on or planned.target)
        known_at = max(given.stop.at, last.known_at or given.stop.at)
        return Anchor(last.code, last.on or last.target, "actual", known_at)
    return _hanging_on(infusions[-1])


def _hanging_on(planned: PlannedVisit) -> Anchor:
    if planned.on is not None:
        return Anchor(planned.code, planned.on, "actual", planned.known_at)
    if planned.outcome == "missed":
        return Anchor(planned.code, planned.target, "planned", planned.known_at)
    return Anchor(planned.code, planned.target, "projected", None)


def _with_outcome(
    planned: PlannedVisit, before: dict[str, PlannedVisit], given: _Circumstances
) -> PlannedVisit:
    subject = given.subject
    done = subject.completed.get(planned.code)
    if done:
        on = as_data(done, Completed).on
        return _ended(planned, "completed", subject.known_since(done), event=done, on=on)
    declared = subject.declared_missed.get(planned.code)
    if declared and not _cancelled_before(planned, subject.known_since(declared), given.stop):
        return _ended(planned, "missed", subject.known_since(declared), event=declared)
    if planned.firm:
        planned = _ended(planned, None, None, climb=_ladder(planned, given))
    missed_at = planned.climb.missed_at if planned.climb else None
    ends = _cancelled_or_missed(planned, missed_at, before, given)
    if ends:
        return ends
    if missed_at and missed_at <= given.now:
        return _ended(planned, "missed", missed_at)
    return planned


def _cancelled_before(planned: PlannedVisit, declared: datetime, stop: Ending | None) -> bool:
    """Whether an infusion was cancelled already when somebody declared it missed."""
    return stop is not None and planned.visit.epoch == "treatment" and declared > stop.at


def _cancelled_or_missed(
    planned: PlannedVisit,
    missed_at: datetime | None,
    before: dict[str, PlannedVisit],
    given: _Circumstances,
) -> PlannedVisit | None:
    if given.stop is None and given.exit is None:
        return None
    site = given.subject.site
    for ending in (given.stop, given.exit):
        # A miss on the day of the ending counts only when it came before the ending was known.
        if ending is None or (missed_at and missed_at <= ending.at and site.date_of(missed_at) <= ending.on):
            continue
        closed = planned.firm and planned.closes < ending.on
        if ending is given.stop and (
            planned.visit.epoch == "treatment" or (closed and _is_cut_short(before, given))
        ):
            return _ended(planned, "cancelled", ending.at)
        if ending is given.exit:
            outcome: Outcome = "missed" if closed else "cancelled"
            return _ended(planned, outcome, ending.at, by_exit=closed)
    return None


def _is_cut_short(before: dict[str, PlannedVisit], given: _Circumstances) -> bool:
    """Whether treatment was cut short: a stop after the last infusion cuts short neither it nor follow-up."""
    return any(each.outcome == "cancelled" for each in _standing(before, given))


def _ended(
    planned: PlannedVisit,
    outcome: Outcome | None,
    known_at: datetime | None,
    *,
    event: Event | None = None,
    on: date | None = None,
    climb: Climb | None = None,
    by_exit: bool = False,
) -> PlannedVisit:
    # Written out, since `_replace` is several times slower and this runs for every visit at every wake.
    return PlannedVisit(
        planned.visit,
        planned.anchor,
        planned.target,
        planned.opens,
        planned.closes,
        planned.booked,
        climb or planned.climb,
        outcome,
        on,
        event,
        known_at,
        by_exit,
        planned.version,
    )


def _ladder(planned: PlannedVisit, given: _Circumstances) -> Climb:
    site = given.subject.site
    known_on = site.date_of(planned.anchor.known_at) if planned.anchor.known_at else planned.closes
    base = max(planned.closes, known_on)
    holds = given.holds if planned.visit.epoch == "treatment" else given.fatal
    found = climb(given.protocol, site, base, acknowledged(planned, given.subject), holds)
    if given.since is None or found.missed_at is None or found.missed_at >= given.since:
        return found
    # By another version the visit may have been missed long ago: it counts as missed from the assignment.
    return found._replace(missed_at=given.since)


def acknowledged(planned: PlannedVisit, subject: Subject) -> list[Acknowledgement]:
    """The acknowledgements of a visit that count: given after its window, and with its anchor known.

    A correction of the anchor may move the window, or start another ladder, after somebody acknowledged.
    """
    known_at, site = planned.anchor.known_at, subject.site
    given = []
    for event in subject.of(Acknowledged):
        data, at = as_data(event, Acknowledged), subject.known_since(event)
        overdue = known_at is not None and known_at <= at and planned.closes < site.date_of(at)
        if data.visit == planned.code and overdue:
            given.append(Acknowledgement(at, _reaches(data.until, at, subject)))
    return given


def _reaches(until: date | None, at: datetime, subject: Subject) -> date:
    """The day until which an acknowledgement reaches: its date, else the next working day.

    A date whose notices were due before the acknowledgement counts as none: no rung can be sent on it.
    """
    site = subject.site
    if until and site.at(until, subject.protocol.notices_at) > at:
        return until
    return site.workdays.next(site.date_of(at))
