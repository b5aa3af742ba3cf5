"""Checks reminders to the subjects themselves, read from the log without the service's rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TypeVar, cast

from itp_events.events import Answered, Booked, ContactAgreed, Data, Event, NoticeIssued, Voided
from itp_events.protocol.model import PARTICIPANT, Site

Kind = TypeVar("Kind", bound=Data)
# The hours of a day at which a person may be disturbed.
_FROM, _UNTIL = time(10), time(20)


@dataclass(frozen=True, slots=True)
class Told:
    """A reminder that left: its visit, its step, and the day that it told."""

    visit: str | None
    step: str
    day: str


def in_vain(notice: NoticeIssued, log: Sequence[Event], site: Site, now: datetime) -> Iterator[str]:
    """The reasons why a reminder must not reach the subject at an instant."""
    day = date.fromisoformat(notice.facts["t"])
    local = now.astimezone(site.zone)
    if not _FROM <= local.time() < _UNTIL or local.date() >= day:
        yield f"{notice.notice}: the subject is told of {day} at {local:%Y-%m-%d %H:%M}"
    agreed = _last(log, ContactAgreed)
    if agreed is None or not agreed.agreed:
        yield f"{notice.notice}: the subject does not agree to reminders"
    booked = _last(log, Booked, notice.visit)
    if booked is not None and booked.on != day:
        yield f"{notice.notice}: {notice.visit} is booked for {booked.on}"
    answers = [each for each in _all(log, Answered) if (each.visit, each.on) == (notice.visit, day)]
    if answers and answers[-1].answer == "not-coming":
        yield f"{notice.notice}: the subject cannot come on {day}"


def repeated(notice: NoticeIssued, told: Sequence[Told]) -> Iterator[str]:
    """A reminder that the subject has had, unless another day of the visit was told since."""
    this = Told(notice.visit, notice.step, notice.facts["t"])
    of_visit = [each for each in told if each.visit == notice.visit]
    if this in of_visit and all(each.day == this.day for each in of_visit[of_visit.index(this) :]):
        yield f"{notice.notice}: the subject was told this already"


def is_own(notice: NoticeIssued) -> bool:
    """Whether a notice is a reminder to the subject."""
    return notice.audience == PARTICIPANT


def _last(log: Sequence[Event], kind: type[Kind], visit: str | None = None) -> Kind | None:
    found = [each for each in _all(log, kind) if visit is None or getattr(each, "visit", None) == visit]
    return found[-1] if found else None


def _all(log: Sequence[Event], kind: type[Kind]) -> list[Kind]:
    gone = {(event.data.event.source, event.data.event.id) for event in log if isinstance(event.data, Voided)}
    stated = [event for event in log if isinstance(event.data, kind) and event.key not in gone]
    return [cast("Kind", event.data) for event in sorted(stated, key=lambda event: event.time)]
