"""A subject under the service's watch: it decides at every recorded event and at every wake it asked for.

What was sent is told in site time, as `2026-02-09 09:00`.
"""

from collections import Counter
from datetime import datetime, time
from typing import Any

from itp_events.decisions import Decision
from itp_events.events import (
    Data,
    Enrolled,
    Event,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeSuperseded,
    NoticeWithdrawn,
)
from itp_events.intake.batch import Judgement
from itp_events.protocol.model import Protocol
from tests.support.study import FOLLOW_UP, INFUSIONS, Study

Told = tuple[str, str, str]
FAMILIES = ("rung", "decision")


class Journey(Study):
    """One subject and the service's wakes; while not `awake`, events are kept and nobody decides."""

    def __init__(self, *, protocol: Protocol | None = None, code: str = "ITP-001") -> None:
        super().__init__(protocol=protocol, code=code)
        self.awake = True
        self.wake: datetime | None = None
        self.last: Decision | None = None

    def judge(self, *events: Event, now: object = None) -> Judgement:
        """Live until the batch comes in, judge it, and decide."""
        at = self.instant(now, time(11)) if now else max(event.time for event in events)
        self._live(at)
        judgement = super().judge(*events, now=at)
        if self.awake and any(isinstance(event.data, Enrolled) for event in self.log):
            self.decide(at)
        return judgement

    def decide(self, at: object) -> Decision:
        """Decide as the service does, and wait for the wake that it asks for."""
        self.last = super().decide(at)
        self.wake = self.last.wake_at
        return self.last

    def until(self, at: object) -> Decision:
        """Live until an instant and look at it; a service that was down is awake from then on."""
        end = self.instant(at)
        self._live(end)
        self.awake = True
        return self.decide(end)

    def _live(self, end: datetime) -> None:
        while self.awake and self.wake and self.wake <= end:
            self.decide(self.wake)

    # What the service did

    def local(self, instant: datetime) -> str:
        """An instant in site time, as `2026-02-09 09:00`."""
        return f"{instant.astimezone(self.site.zone):%Y-%m-%d %H:%M}"

    def notices(self, step: str = "", visit: str | None = None) -> list[tuple[Event, NoticeIssued]]:
        """The notices issued, in order; `step` also names a family: `rung` or `decision`."""
        return [
            (event, event.data)
            for event in self.log
            if isinstance(event.data, NoticeIssued)
            and (step in ("", event.data.step) or (step in FAMILIES and event.data.step.startswith(step)))
            and visit in (None, event.data.visit)
        ]

    def sent(self, step: str = "", visit: str | None = None) -> list[Told]:
        """When each notice left, its step and its audience."""
        return [
            (self.local(event.time), data.step, data.audience) for event, data in self.notices(step, visit)
        ]

    def audiences(self, step: str, visit: str | None = None) -> dict[str, int]:
        """How many notices of a step each audience was sent."""
        return dict(Counter(data.audience for _, data in self.notices(step, visit)))

    def days(self, step: str, visit: str | None = None, audience: str | None = None) -> list[str]:
        """On which dates a step left."""
        found = self.notices(step, visit)
        return [self.local(event.time)[:10] for event, data in found if audience in (None, data.audience)]

    def own(self, kind: type[Data]) -> list[Any]:
        """What the service recorded itself, of one type, in order."""
        return [event.data for event in self.log if event.own and isinstance(event.data, kind)]

    def superseded(self, visit: str) -> list[str]:
        """The steps of a visit that were recorded as superseded."""
        found: list[NoticeSuperseded] = self.own(NoticeSuperseded)
        return [data.step for data in found if f"/{visit}/" in data.notice]

    def fate(self, key: str) -> list[str]:
        """What the log says of one notice, in order: issued, withdrawn, reopened, closed."""
        words: dict[type[Data], str] = {
            NoticeIssued: "issued",
            NoticeWithdrawn: "withdrawn",
            NoticeReopened: "reopened",
            NoticeClosed: "closed",
        }
        return [words[type(e.data)] for e in self.log if e.own and getattr(e.data, "notice", None) == key]

    def key(self, step: str, audience: str, visit: str | None = None) -> str:
        """The key of the notice issued last for a step, an audience and a visit."""
        found = [data for _, data in self.notices(step, visit) if data.audience == audience]
        return found[-1].notice

    # Histories that many rules need

    def treated(self, *dates: str, enrolled: str = "2026-01-05") -> "Journey":
        """Enrolled, and the infusions of these dates given."""
        self.enrol(enrolled, at=f"{enrolled} 08:00")
        for visit, on in zip(INFUSIONS, dates, strict=False):
            self.done(visit, on)
        return self

    def in_follow_up(self) -> "Journey":
        """Treatment completed with infusion 5 on 23 Feb 2026."""
        return self.treated("2026-01-05", "2026-01-12", "2026-01-26", "2026-02-09", "2026-02-23")

    def at_last_visit(self) -> "Journey":
        """Every visit but FU-M12 done on its target; FU-M12 hangs on 23 Feb 2026: 16 Feb to 2 Mar 2027."""
        self.in_follow_up()
        dates = ("2026-03-09", "2026-03-23", "2026-04-23", "2026-05-23", "2026-08-23", "2026-11-23")
        for visit, on in zip(FOLLOW_UP, dates, strict=False):
            self.done(visit, on)
        return self
