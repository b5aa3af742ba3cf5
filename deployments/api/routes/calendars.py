"""GET calendars (iCalendar): each visit's window, its target date, and its booked or actual date.

They hold subject codes and nothing else of a subject. An entry keeps its UID, and its SEQUENCE only grows, so
that calendar programs update their entries. A visit that no longer takes place is sent as cancelled, so that
calendar programs remove it. Infusions are tentative while the subject is on hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from icalendar import Calendar
from icalendar import Event as Entry

from deployments.api.http.auth import Reader
from deployments.api.http.dependencies import ApiContext, Code, Dependencies
from deployments.api.http.examples import Json
from deployments.api.http.schemas import ABSENT, ASKING
from deployments.api.routes.subjects import enrolled
from itp_events.events import Booked, Event
from itp_events.marks import with_legend
from itp_events.rules.explain import reason
from itp_events.rules.state import subject_state
from itp_events.rules.subject import as_data
from itp_events.rules.windows import PlannedVisit
from tasks.database.stated import Stated, stated_lately, stated_of
from tasks.database.unreadable import passing_over

MEDIA_TYPE = "text/calendar"
PAST = timedelta(days=30)
_CONTENT: dict[int | str, Json] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": "An iCalendar file."}
}

router = APIRouter(
    tags=["calendars"],
)


Status = Literal["CONFIRMED", "TENTATIVE", "CANCELLED"]


@dataclass(frozen=True, slots=True)
class DayRange:
    """One calendar entry: whole local days of the site, both ends included.

    `part` tells the entries of one visit apart. `why` explains the visit's dates in one sentence.
    """

    part: str
    first: date
    last: date
    title: str
    status: Status
    why: str

    def touches(self, first: date, last: date) -> bool:
        """Whether it shares a day with the days from `first` to `last`, both included."""
        return self.first <= last and self.last >= first


@router.get(
    "/subjects/{code}/calendar.ics",
    summary="One subject's visits as a calendar",
    response_class=Response,
    responses=ASKING | ABSENT | _CONTENT,
)
def subject_calendar(code: Code, api: Dependencies, caller: Reader) -> Response:
    """The window, target and date of every visit in the plan."""
    enrolled(api, code, caller)
    now = api.study.clock.now()
    stated = stated_of(api.study.store, code)
    return _calendar(code, (_entry(one, *each) for one in stated for each in _planned(api, one, now)))


@router.get(
    "/agenda.ics",
    summary="All subjects' visits as a calendar",
    response_class=Response,
    responses=ASKING | _CONTENT,
)
def agenda(
    api: Dependencies,
    caller: Reader,
    days: Annotated[int, Query(ge=1, le=500, description="how many days ahead")] = 90,
) -> Response:
    """The entries of the past 30 days and of the given days ahead.

    A subject who has ended stays in it for 30 days, so that calendar programs remove the cancelled visits.
    """
    now = api.study.clock.now()
    first, last = (now - PAST).date(), (now + timedelta(days=days)).date()
    entries: list[Entry] = []
    unreadable: dict[str, str] = {}
    for one in stated_lately(api.study.store, now - PAST):
        if not caller.sees(one.site):
            continue
        with passing_over(one.code, unreadable):
            entries += [
                _entry(one, planned, span)
                for planned, span in _planned(api, one, now)
                # The span is asked first: making an entry costs more.
                if span.touches(first, last)
            ]
    return _calendar("Visits", entries, unreadable)


def _calendar(name: str, entries: Iterable[Entry], unreadable: Mapping[str, str] | None = None) -> Response:
    calendar = Calendar()
    calendar.add("prodid", "-//itp-visits//NCT06813157//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", f"NCT06813157 {name}")
    if unreadable:
        missing = (f"{code} cannot be read: {why}" for code, why in unreadable.items())
        calendar.add("x-wr-caldesc", "; ".join(missing))
    for entry in entries:
        calendar.add_component(entry)
    return Response(calendar.to_ical(), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-cache"})


def _planned(api: ApiContext, one: Stated, now: datetime) -> Iterator[tuple[PlannedVisit, DayRange]]:
    subject = one.folded(api.study.protocol)
    state = subject_state(subject, now)
    for planned in state.visits:
        held = state.on_hold and planned.visit.epoch == "treatment" and planned.outcome is None
        why = with_legend(f"{planned.visit.label}: {reason(planned, state.visits)}")
        for span in _spans(planned, _once_booked(one.facts, planned), why, held=held):
            yield planned, span


def _spans(planned: PlannedVisit, once: date | None, why: str, *, held: bool) -> Iterator[DayRange]:
    code, outcome = planned.code, planned.outcome
    said = ", on hold" if held else f", {outcome}" if outcome else ""

    def span(part: str, first: date, last: date, word: str, gone: bool) -> DayRange:
        status: Status = "CANCELLED" if gone else "TENTATIVE" if held else "CONFIRMED"
        return DayRange(part, first, last, f"{code} {word}", status, why)

    yield span("window", planned.opens, planned.closes, f"window{said}", outcome == "cancelled")
    yield span("target", planned.target, planned.target, "target", outcome is not None)
    day = planned.on or planned.booked or once
    if day:
        word = "done" if planned.on else "booked"
        gone = not planned.on and (outcome is not None or not planned.booked)
        yield span("visit", day, day, word, gone)


def _once_booked(facts: Iterable[Event], planned: PlannedVisit) -> date | None:
    """The date of the visit's last booking, also of a voided one: a calendar may still show it."""
    bookings = (as_data(event, Booked) for event in facts if isinstance(event.data, Booked))
    return next((data.on for data in reversed(list(bookings)) if data.visit == planned.code), None)


def _entry(one: Stated, planned: PlannedVisit, span: DayRange) -> Entry:
    entry = Entry()
    entry.add("uid", f"{one.code}-{planned.code}-{span.part}@nct06813157")
    entry.add("dtstamp", one.advanced_at)
    entry.add("sequence", one.seq)
    entry.add("summary", f"{one.code} {span.title}")
    entry.add("description", span.why)
    entry.add("dtstart", span.first)
    entry.add("dtend", span.last + timedelta(days=1))
    entry.add("status", span.status)
    entry.add("transp", "TRANSPARENT")
    return entry
