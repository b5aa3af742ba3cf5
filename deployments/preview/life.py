"""Leads one subject through the study in virtual time, by the service's own rules."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from deployments.example_subject import ELIGIBLE_MAN
from itp_events.decisions import Decision, decide
from itp_events.errors import ItpError
from itp_events.events import Event, NoticeIssued, parse_event
from itp_events.intake.batch import judge
from itp_events.protocol.model import Protocol
from itp_events.rules.subject import fold
from itp_events.rules.windows import PlannedVisit

# The local time at which people at a site state events.
REPORTED_AT = time(11)
# Any working day would do; this one lies far from the long holidays.
FIRST_DAY = date(2026, 3, 2)


class Life:
    """A subject at the protocol's first site; every notice counts as handed over at once.

    `told` has every notice that was issued, in order. What refuses a statement is raised: in a typical life
    it is a fault of the life.
    """

    def __init__(self, protocol: Protocol, code: str = "ITP-007") -> None:
        self.protocol, self.code = protocol, code
        self.site_code = next((each for each in protocol.sites if each != "default"), "01")
        self.site = protocol.site(self.site_code)
        self.log: list[Event] = []
        self.told: list[NoticeIssued] = []
        self.now = self.site.at(FIRST_DAY, REPORTED_AT)
        self.decision: Decision | None = None
        self._handed: set[str] = set()

    @property
    def today(self) -> date:
        """The site's date."""
        return self.site.date_of(self.now)

    @property
    def next(self) -> PlannedVisit:
        """The first visit that is neither done nor missed nor cancelled."""
        current = self.decided.subject_state.current
        if current is None:
            raise ItpError(f"no visit is left for {self.code}")
        return current

    @property
    def decided(self) -> Decision:
        """The last decision.

        Raises:
            ItpError: the subject is not enrolled yet.
        """
        if self.decision is None:
            raise ItpError(f"{self.code} is not enrolled yet")
        return self.decision

    def visit(self, code: str) -> PlannedVisit:
        """The visit of the plan with this code."""
        return next(each for each in self.decided.subject_state.visits if each.code == code)

    def enrol(self, screening: dict[str, Any] | None = None, **data: Any) -> Event:
        """Enrol the subject on the present day."""
        given = {"site": self.site_code, "consent_on": self.today - timedelta(days=10), "weight_kg": 61.5}
        found = {**ELIGIBLE_MAN, **(screening or {})}
        return self.state("subject.enrolled", on=self.today, **{**given, "screening": found, **data})

    def attend(self, off: int = 0, **results: Any) -> Event:
        """Wait for the next visit's target, plus some days, and attend it then."""
        planned = self.next
        self.until(planned.target + timedelta(days=off))
        return self.state("visit.completed", visit=planned.code, on=self.today, **results)

    def attend_all(self, before: str) -> None:
        """Attend every visit on its target, up to the one of a code, which stays open."""
        while self.next.code != before:
            self.attend()

    def treated(self) -> None:
        """Attend every infusion on its target."""
        while self.next.visit.epoch == "treatment":
            self.attend()

    def book(self, on: date) -> Event:
        """Agree a date for the next visit."""
        return self.state("visit.booked", visit=self.next.code, on=on)

    def until(self, day: date, clock: time = REPORTED_AT) -> None:
        """Let time pass until a local time of a day at the site; the service wakes whenever it asked to."""
        self._live(self.site.at(day, clock))

    def wait(self, days: int) -> None:
        """Let so many days pass."""
        self.until(self.today + timedelta(days=days))

    def silent_for(self, days: int) -> None:
        """Let so many days pass after the last day of the next visit's window, with nothing stated."""
        self.until(self.next.closes + timedelta(days=days))

    def state(self, kind: str, /, **data: Any) -> Event:
        """State one event at the present instant, as a door would take it."""
        return self.state_together((kind, data))[0]

    def state_together(self, *stated: tuple[str, dict[str, Any]]) -> list[Event]:
        """State several events at once, judged together."""
        self.now += timedelta(minutes=1)
        events = [self._event(number, kind, data) for number, (kind, data) in enumerate(stated)]
        judgement = judge(self.protocol, self.log, events, self.now)
        for verdict in judgement.verdicts:
            if verdict.error:
                raise verdict.error
        self.log += judgement.accepted
        self._decide(self.now)
        return events

    def _event(self, number: int, kind: str, data: dict[str, Any]) -> Event:
        stated = {"by": "crc-01"} | {
            name: value.isoformat() if isinstance(value, date) else value for name, value in data.items()
        }
        return parse_event(
            {
                "specversion": "1.0",
                "id": f"{len(self.log)}-{number}",
                "source": "preview",
                "type": f"itp.{kind}",
                "subject": self.code,
                "time": self.now.astimezone(UTC).isoformat(),
                "data": stated,
            }
        )

    def _live(self, end: datetime) -> None:
        while self.decision and self.decision.wake_at and self.decision.wake_at <= end:
            self._decide(self.decision.wake_at)
        self.now = max(self.now, end)
        if self.decision:
            self._decide(self.now)

    def _decide(self, now: datetime) -> None:
        self.decision = decide(fold(self.protocol, self.log, self._handed), now)
        self.log += self.decision.events
        issued = [event for event in self.decision.events if isinstance(event.data, NoticeIssued)]
        self._handed |= {event.id for event in issued}
        self.told += [event.data for event in issued if isinstance(event.data, NoticeIssued)]
