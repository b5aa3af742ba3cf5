"""A log's plain reading, made without decide() and its rules: the oracle's own yardstick.

It knows less than the service does: a criterion that follows from several facts counts as open only while
nobody has decided on it at all. What it does say is certain: where the service contradicts it, the service is
wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from deployments.simulation.invariants.lineage import Lineage, lineage, nothing, weight
from deployments.simulation.invariants.safety_reports import Reports
from deployments.simulation.invariants.visits import Visited, Visits
from itp_events.events import (
    AdverseEvent,
    Completed,
    ConsentWithdrawn,
    Data,
    Died,
    Event,
    EventKey,
    Flagged,
    MedicationChanged,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeSuperseded,
    NoticeWithdrawn,
    Pregnancy,
    Voided,
    WithdrawalDecided,
)
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import PARTICIPANT, Criterion, Protocol, Site
from itp_events.rules.keys import about, day_of, named, stable

_MEDICINES = {
    "rescue": "rescue-medication",
    "prohibited": "prohibited-medication",
    "maintenance": "maintenance-changed",
}
NOTICES = (NoticeIssued, NoticeReopened, NoticeWithdrawn, NoticeClosed, NoticeSuperseded)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Hold:
    """A time during which the investigator had to decide, or a death to be recorded; UTC."""

    since: datetime
    until: datetime | None

    def during(self, at: datetime) -> bool:
        """Whether it lasts at an instant."""
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True)
class Truth:
    """The standing events of a log, people's and the service's, and what follows from them alone."""

    protocol: Protocol
    log: tuple[Event, ...]
    voided: frozenset[EventKey]
    events: tuple[Event, ...]

    @classmethod
    def of(cls, protocol: Protocol, log: Sequence[Event]) -> Truth:
        """The plain reading of a log, its notices left out."""
        log = [event for event in log if not isinstance(event.data, NOTICES)]
        voids = [event.data.event for event in log if isinstance(event.data, Voided)]
        voided = frozenset((each.source, each.id) for each in voids)
        return cls(protocol, tuple(log), voided, tuple(event for event in log if event.key not in voided))

    def stated(self, *kinds: type[Data]) -> Iterator[Event]:
        """The standing events of some types."""
        return (event for event in self.events if isinstance(event.data, kinds))

    @cached_property
    def lineage(self) -> Lineage:
        """The statements, each with the one that it continues."""
        return lineage(self.log)

    @cached_property
    def visits(self) -> Visits:
        """The visits with their windows and outcomes."""
        return Visits(self.protocol, self.events, self.lineage)

    @cached_property
    def site(self) -> Site:
        """The site at which the subject is seen."""
        enrolled = self.visits.enrolled
        return self.protocol.site(enrolled[1].site if enrolled else "default")

    @cached_property
    def reports(self) -> Reports:
        """The safety reports that are owed."""
        return Reports(self.site, self.events, self.lineage)

    @cached_property
    def settled(self) -> set[str]:
        """The visits that were recorded as done or missed, by whomever."""
        return {each.code for each in self.visits.all if each.done or each.missed}

    @cached_property
    def ended(self) -> bool:
        """Whether somebody stated what ends the journey."""
        last = self.protocol.visits[-1].code
        return any(_ends(event.data, last) for event in self.events)

    @property
    def over(self) -> bool:
        """Whether the journey has ended: somebody stated it, or the service recorded that nothing is left."""
        return self.ended or self.visits.exit_on is not None

    @cached_property
    def stopped(self) -> bool:
        """Whether somebody stated what ends treatment."""
        return any(_stops(event.data) for event in self.events)

    @cached_property
    def held(self) -> set[str]:
        """The criteria that wait for the investigator."""
        facts = {name for name, at in self.flagging() if self._decided(name, at) is None}
        recorded = {getattr(event.data, "criterion", "") for event in self.stated(Flagged)}
        return facts | {name for name in recorded if self._decided(name, None) is None}

    @cached_property
    def lies_dead(self) -> bool:
        """Whether a fatal adverse event stands, and neither a death nor another end."""
        return self.reports.explained and not self.ended

    @cached_property
    def holds(self) -> list[Hold]:
        """Every time during which nothing could be proposed."""
        facts = [Hold(at, self._decided(name, at)) for name, at in self.flagging()]
        counted = [
            Hold(event.time, self._decided(event.data.criterion, event.time))
            for event in self.stated(Flagged)
            if isinstance(event.data, Flagged) and event.data.because.source == "itp"
        ]
        return [*facts, *counted, *self.deadly]

    @cached_property
    def deadly(self) -> list[Hold]:
        """Every time during which a fatal event stood without the death."""
        return list(self._deadly())

    def _deadly(self) -> Iterator[Hold]:
        deaths = [self.lineage.known(event, nothing) for event in self.stated(Died)]
        keys = {event.key for event in self.events}
        for ae in {
            event.data.ae for event in self.stated(AdverseEvent) if isinstance(event.data, AdverseEvent)
        }:
            since: datetime | None = None
            for report in [each for each in self.lineage.reports(ae) if each.key in keys]:
                if getattr(report.data, "fatal", False):
                    since = since or self.lineage.known(report, _fatal)
                elif since is not None:
                    yield Hold(since, min([report.time, *deaths]))
                    since = None
            if since is not None and not any(at <= since for at in deaths):
                yield Hold(since, min(deaths, default=None))

    def stops(self, event: Event) -> bool:
        """Whether an event states what ends treatment."""
        return _stops(event.data)

    def running(self, now: datetime) -> bool:
        """Whether the time in which something serious must be submitted is not over yet."""
        longest = timedelta(hours=max(self.protocol.alerts["sae"].clock_hours, default=0))
        open_reports = (owed for owed in self.reports.all if owed.submitted is None)
        return any(owed.since + longest > now and self.reports.certain(owed.began) for owed in open_reports)

    @cached_property
    def _void_names(self) -> set[str]:
        return {named(key) for key in self.voided}

    @cached_property
    def _submitted_names(self) -> set[str]:
        return {named(owed.began.key) for owed in self.reports.all if owed.submitted}

    @cached_property
    def _standing_names(self) -> set[str]:
        """The names of every statement that stands, and of what those continue."""
        found: set[str] = set()
        for event in self.events:
            at: Event | None = event
            while at is not None and named(at.key) not in found:
                found.add(named(at.key))
                at = self.lineage.before(at) if not at.own else None
        return found

    def pointless(
        self, notice: NoticeIssued | WantedNotice, row: str, now: datetime | None = None
    ) -> Iterator[str]:
        """The reasons why a notice must not leave at `now`, or why a wanted one must never be asked for."""
        if notice.kind == "alert":
            yield from self._unfounded(notice, row)
            return
        visit = self.visits.of(str(notice.visit))
        if self.over:
            yield f"{row}: the journey has ended"
        if notice.visit in self.settled:
            yield f"{row}: {notice.visit} is recorded"
        if visit.treatment and self.stopped:
            yield f"{row}: treatment has ended"
        if self.lies_dead:
            yield f"{row}: a fatal event stands"
        if day_of(stable(row)) != self._counted_from(notice, visit):
            yield f"{row}: the date of {notice.visit} changed to {self._counted_from(notice, visit)}"
        if notice.kind == "reminder":
            yield from self._no_reminder(notice, visit, row, now)

    def _no_reminder(
        self, notice: NoticeIssued | WantedNotice, visit: Visited, row: str, now: datetime | None
    ) -> Iterator[str]:
        if visit.treatment and self.held:
            yield f"{row}: on hold, {', '.join(sorted(self.held))}"
        if now and notice.step != "no-show" and self.site.date_of(now) > self._last_day(notice, visit):
            yield f"{row}: it was of use until {self._last_day(notice, visit)}"

    def _counted_from(self, notice: NoticeIssued | WantedNotice, visit: Visited) -> date:
        rules = self.protocol.reminders[visit.rule.epoch]
        rule = next((each for each in rules if each.step == notice.step), None)
        if notice.audience == PARTICIPANT:
            return visit.when
        return visit.target if rule is None or rule.from_ == "closes" else visit.when

    def _last_day(self, notice: NoticeIssued | WantedNotice, visit: Visited) -> date:
        """The last date on which a reminder is of use."""
        if notice.audience == PARTICIPANT:
            return visit.when - _DAY
        rules = self.protocol.reminders[visit.rule.epoch]
        rule = next(each for each in rules if each.step == notice.step)
        if rule.prepares_cells:
            return visit.when if visit.code == self.protocol.visits[0].code else visit.when - _DAY
        return visit.closes if rule.from_ == "closes" else max(visit.closes, visit.when)

    def _unfounded(self, notice: NoticeIssued | WantedNotice, row: str) -> Iterator[str]:
        name = about(row)
        if name in self._void_names and name not in self._standing_names:
            yield f"{row}: the event it tells of is voided"
        if notice.step == "death-unrecorded" and not self.lies_dead:
            yield f"{row}: no fatal event stands without a death"
        if notice.step.startswith("sae-") and name in self._submitted_names:
            yield f"{row}: it is submitted"
        if notice.step.startswith(("decision-", "disposition")) and self.ended:
            yield f"{row}: the journey has ended"

    def flagging(self) -> Iterator[tuple[str, datetime]]:
        """Each criterion that one standing fact meets by itself, and since when that is known."""
        rules = {name: rule for name, rule in self.protocol.criteria.items() if rule.effect == "flag"}
        for event in self.stated(AdverseEvent, MedicationChanged):
            name = _criterion(event.data, rules)
            if name in rules:
                looks = {"looks": weight} if isinstance(event.data, AdverseEvent) else {}
                yield name, self.lineage.known(event, **looks)

    def _decided(self, criterion: str, since: datetime | None) -> datetime | None:
        """The instant of the first decision on a criterion that was met at an earlier instant."""
        decisions = [
            (self.lineage.known(event), event.data)
            for event in self.stated(WithdrawalDecided)
            if isinstance(event.data, WithdrawalDecided)
        ]
        return min(
            (
                at
                for at, data in decisions
                if data.criterion in (None, criterion) and (since is None or at >= since)
            ),
            default=None,
        )


def _criterion(data: Data, rules: Mapping[str, Criterion]) -> str:
    """The criterion that one fact meets by itself."""
    if isinstance(data, MedicationChanged):
        return _MEDICINES[data.kind]
    rule = rules.get("adverse-event")
    ae = isinstance(data, AdverseEvent) and data.related and data
    return "adverse-event" if ae and rule and (ae.serious or ae.grade >= (rule.grade or 0)) else ""


def _ends(data: Data, last: str) -> bool:
    if isinstance(data, WithdrawalDecided):
        return data.decision in ("withdraw", "complete")
    if isinstance(data, ConsentWithdrawn):
        return data.scope == "study"
    return isinstance(data, Died) or (isinstance(data, Completed) and data.visit == last)


def _stops(data: Data) -> bool:
    if isinstance(data, WithdrawalDecided):
        return data.decision == "stop-treatment"
    if isinstance(data, ConsentWithdrawn):
        return data.scope == "treatment"
    return isinstance(data, Pregnancy) and not data.partner


def _fatal(data: Data) -> object:
    return getattr(data, "fatal", None)
