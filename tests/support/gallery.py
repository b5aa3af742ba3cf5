"""Thirty subjects in every phase of the study, as they would be found on a day: for screenshots and tests."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from itp_events.events import parse_event
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Protocol
from tasks.advance import advance, record
from tasks.board.story import story
from tasks.database.queries import subject
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tests.support.hand_over import hand_over
from tests.support.service import enrolment, event

# How many days ago each was enrolled, how far from its target each visit was done, and what is special.
SUBJECTS: tuple[tuple[int, int, str], ...] = (
    (438, 0, ""), (431, 1, ""), (410, -1, ""), (396, 0, ""), (330, 1, ""), (310, 0, "died"),
    (287, 2, "late"), (260, 0, "consent"), (231, 0, ""), (200, 1, ""), (188, 0, ""), (170, -1, ""),
    (151, 0, "overdue"), (140, 1, ""), (121, 0, "stopped"), (104, 0, ""), (97, 1, "late"), (88, 0, ""),
    (76, 0, "flagged"), (66, 1, ""), (57, 0, "overdue"), (49, 0, "booked"), (41, 0, "rescue"),
    (34, 1, "booked"), (27, 0, "late"), (21, 0, "overdue"), (7, 0, "due"), (8, 0, "booked"),
    (3, 0, "sae"), (0, 0, "new"),
)  # fmt: skip
PLATELETS = (9, 14, 22, 35, 48, 61, 84, 96, 112, 105, 131, 118)


@dataclass
class Gallery:
    """A study lived through up to `now`, in its own time; notices count as delivered and go nowhere."""

    store: Store
    now: datetime
    protocol: Protocol = field(default_factory=load_protocol)
    channels: Channels = field(default_factory=lambda: Channels(out=io.StringIO()))

    @property
    def today(self) -> date:
        """The site's date."""
        return self.protocol.site("01").date_of(self.now)

    def fill(self, tell: Callable[[str], object] = lambda _: None) -> None:
        """Let every subject live until now."""
        for number, (ago, off, special) in enumerate(SUBJECTS, 1):
            code = f"ITP-{number:03}"
            self.live(code, ago, off, special)
            tell(code)

    def live(self, code: str, ago: int, off: int, special: str) -> None:
        """One subject: enrolled some days ago, visits done off target by some, then something special."""
        on = self.today - timedelta(days=ago)
        self.state(enrolment(code, self._at(on), on, baseline_platelets=11))
        while (visit := self._next(code)) is not None and visit[1] <= self.today:
            if special == "overdue" and self._is_last(visit[1], visit[2]):
                break
            if special in ("booked", "due") and visit[1] == self.today:
                break
            days = off + (9 if special == "late" and visit[0] in ("INF3", "FU-M1") else 0)
            done = visit[1] + timedelta(days=max(days, (on - visit[1]).days) if visit[0] != "INF1" else 0)
            if done > self.today:
                break
            self._attend(code, visit[0], done)
        self._special(code, special)
        self._until(code, self.now)

    def _is_last(self, target: date, closes: date) -> bool:
        return target <= self.today <= closes + timedelta(days=19) and closes < self.today

    def _attend(self, code: str, visit: str, on: date) -> None:
        number = [each.code for each in self.protocol.visits].index(visit)
        results = {"platelets": PLATELETS[number] + int(code[-2:]) % 7, "bleeding": number < 2}
        self.report("visit.completed", code, on, visit=visit, on=on.isoformat(), **results)

    def _special(self, code: str, special: str) -> None:
        yesterday, today = self.today - timedelta(days=1), self.today
        if special == "died":
            self.report("subject.died", code, yesterday, on=yesterday.isoformat())
        elif special == "consent":
            self.report("consent.withdrawn", code, yesterday, on=yesterday.isoformat(), scope="study")
        elif special == "stopped":
            self.report("pregnancy.reported", code, yesterday, on=yesterday.isoformat(), partner=True)
        elif special in ("flagged", "sae"):
            ago = today - timedelta(days=4 if special == "flagged" else 0)
            about = {"ae": "AE-1", "term": "anaphylaxis", "grade": 3, "serious": True, "related": True}
            self.report("adverse-event.reported", code, ago, on=ago.isoformat(), **about)
            if special == "flagged":
                self.report("sae.submitted", code, ago, ae="AE-1", on=ago.isoformat())
        elif special == "rescue":
            about = {"drug": "prednisone", "kind": "rescue", "detail": "1 mg/kg for 5 days"}
            self.report("medication.changed", code, yesterday, on=yesterday.isoformat(), **about)
        elif special == "booked" and (visit := self._next(code)):
            self.report("visit.booked", code, yesterday, visit=visit[0], on=max(visit[1], today).isoformat())

    def report(self, kind: str, code: str, day: date, /, **data: Any) -> None:
        """Somebody reports something at 11:00 of a day, or now."""
        self.state(event(kind, code, min(self._at(day, 11), self.now), data))

    def state(self, stated: dict[str, Any]) -> None:
        """Record an event at the instant at which it is reported; a refusal ends the tale."""
        parsed = parse_event(stated)
        self._until(parsed.subject, parsed.time)
        (answer,) = record(self.store, self.protocol, [parsed], parsed.time)
        if answer.error:
            raise answer.error
        self._send(parsed.subject, parsed.time)

    def _until(self, code: str, end: datetime) -> None:
        while (row := subject(self.store, code)) and row.wake_at and row.wake_at <= end:
            if advance(self.store, self.protocol, code, row.wake_at).due_notices:
                self._send(code, row.wake_at)

    def _send(self, code: str, at: datetime) -> None:
        hand_over(self.store, self.protocol, self.channels, at, subject=code, wall=at)

    def _next(self, code: str) -> tuple[str, date, date] | None:
        row = subject(self.store, code)
        assert row is not None
        state = story(self.store, self.protocol, code, row.advanced_at).subject_state
        planned = state.current if state.exit is None else None
        return (planned.code, planned.target, planned.closes) if planned else None

    def _at(self, day: date, hour: int = 9) -> datetime:
        return min(self.protocol.site("01").midnight(day) + timedelta(hours=hour), self.now)


def gallery(directory: Path, now: datetime) -> Gallery:
    """An empty study in a directory, to be filled."""
    return Gallery(Store.open(f"sqlite:///{directory / 'study.db'}"), now)
