"""The safety reports that are owed, with their beginnings and submissions, read from the log alone.

A clock begins with the first serious report of an adverse event, with a pregnancy, and with a death that no
fatal event explains. A report that makes an event worse after its submission begins a new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from deployments.simulation.invariants.lineage import Lineage, nothing, resting_on
from itp_events.events import AdverseEvent, Died, Event, EventKey, Pregnancy, SaeSubmitted
from itp_events.protocol.model import Site


@dataclass(frozen=True)
class Owed:
    """A report that is owed: by which statement it began, since when the site knows, and its submission."""

    began: Event
    since: datetime
    submitted: Event | None
    known: datetime | None = None


@dataclass(frozen=True)
class Reports:
    """The safety reports of one subject; `standing` are the events nobody voided."""

    site: Site
    standing: Sequence[Event]
    lineage: Lineage

    @cached_property
    def all(self) -> list[Owed]:
        """Every report that is or was owed."""
        found = [owed for ae in self._numbers() for owed in self._of_event(ae)]
        others = [event for event in self.standing if isinstance(event.data, Pregnancy)]
        deaths = [event for event in self.standing if isinstance(event.data, Died)]
        found += [self._by_id(event) for event in [*others, *([] if self.explained else deaths)]]
        return found

    @cached_property
    def explained(self) -> bool:
        """Whether an adverse event stands that led to death."""
        return any(self.newest(ae).fatal for ae in self._numbers())

    def certain(self, began: Event) -> bool:
        """Whether the log alone says what is owed for an adverse event.

        Where a report was followed by others before its severity was corrected, or before it was taken back,
        it depends on what each of them is held against.
        """
        if not isinstance(began.data, AdverseEvent):
            return True
        reports = self.lineage.reports(began.data.ae)
        first = [each for each in reports if each.key not in self.lineage.corrects]
        return not any(self._changed(each) and each is not first[-1] for each in first)

    def _changed(self, report: Event) -> bool:
        """Whether a report was taken back, or corrected in how severe the event was."""
        versions = list(self._corrections(report))
        said = {resting_on(version.data) for version in versions}
        return versions[-1].key not in self._keys or len(said) > 1

    def newest(self, ae: str) -> AdverseEvent:
        """The latest report of an adverse event that is not voided."""
        data = [event.data for event in self._standing(ae)][-1]
        assert isinstance(data, AdverseEvent)
        return data

    def _numbers(self) -> list[str]:
        found = [event.data.ae for event in self.standing if isinstance(event.data, AdverseEvent)]
        return list(dict.fromkeys(found))

    def _standing(self, ae: str) -> list[Event]:
        found = [event for event in self.lineage.reports(ae) if event.key in self._keys]
        return sorted(found, key=self._place)

    def _place(self, report: Event) -> datetime:
        """The instant that gives a report its place: a correction stays where its report was stated first."""
        while (wrong := self.lineage.corrects.get(report.key)) is not None:
            if report.restates != wrong.key and resting_on(report.data) != resting_on(wrong.data):
                break
            report = wrong
        return report.time

    @cached_property
    def _keys(self) -> set[EventKey]:
        return {event.key for event in self.standing}

    def _of_event(self, ae: str) -> Iterator[Owed]:
        running: Owed | None = None
        for report in self.lineage.reports(ae):
            data = report.data
            assert isinstance(data, AdverseEvent)
            now = self._now(report)
            if not data.serious or now is None or not now.serious:
                continue
            if running is None:
                running = self._owed(report, [ae], follow_up=False)
            elif running.submitted and not self._tells(running.submitted, report) and self._worse(report):
                yield running
                running = self._owed(report, [ae], follow_up=True)
        if running:
            yield running

    def _now(self, report: Event) -> AdverseEvent | None:
        """A report's content after its corrections; of a voided one, the next one's content, if any."""
        *_, report = self._corrections(report)
        assert isinstance(report.data, AdverseEvent)
        ahead = [event for event in self._standing(report.data.ae) if event.time >= report.time]
        now = report if report.key in self._keys else next(iter(ahead), None)
        return now.data if now and isinstance(now.data, AdverseEvent) else None

    def _corrections(self, report: Event) -> Iterator[Event]:
        """A report and what it was corrected to, one after the other."""
        yield report
        while report.key in self.lineage.corrected:
            report = self.lineage.corrected[report.key]
            yield report

    def _aware(self, report: Event) -> datetime | None:
        """The instant at which the site knew, as corrected without a change of the event's report."""
        found: datetime | None = None
        for version in self._corrections(report):
            if resting_on(version.data) != resting_on(report.data):
                break
            found = getattr(version.data, "aware_at", None)
        return found

    def _owed(self, report: Event, names: list[str], *, follow_up: bool) -> Owed:
        before, aware = self.lineage.before(report), self._aware(report)
        if follow_up and before is not None and aware == getattr(before.data, "aware_at", None):
            aware = None
        since = aware or self._heard(report)
        return self._submitted(report, since, names, follow_up=follow_up)

    def _heard(self, report: Event) -> datetime:
        """The instant of a report; of a fatal event, at the latest that of the site knowing the death."""
        fatal = isinstance(report.data, AdverseEvent) and report.data.fatal
        deaths = [
            event.data.aware_at or self.lineage.known(event, nothing)
            for event in self.standing
            if isinstance(event.data, Died) and fatal
        ]
        return min([report.time, *deaths])

    def _by_id(self, event: Event) -> Owed:
        looks = nothing if isinstance(event.data, Died) else _whose
        first = self.lineage.origin(event, looks)
        since = getattr(event.data, "aware_at", None) or first.time
        names = [version.id for version in self.lineage.versions(event)]
        return self._submitted(first, since, names, follow_up=False, whenever=True)

    def _submitted(
        self, began: Event, since: datetime, names: list[str], *, follow_up: bool, whenever: bool = False
    ) -> Owed:
        found = [
            (self.lineage.known(event), event)
            for event in self.standing
            if isinstance(event.data, SaeSubmitted) and event.data.ae in names
        ]
        if not whenever:
            found = [each for each in found if each[0] >= began.time]
        if follow_up:
            found = [each for each in found if self._tells(each[1], began)]
        at, event = min(found, key=lambda each: (each[0], each[1].key), default=(None, None))
        return Owed(began, since, event, at)

    def _tells(self, submission: Event, report: Event) -> bool:
        on: date = getattr(submission.data, "on", date.min)
        return self.lineage.known(submission) >= report.time and on >= self.site.date_of(report.time)

    def _worse(self, report: Event) -> bool:
        before = self.lineage.before(report)
        if before is None or not isinstance(before.data, AdverseEvent):
            return False
        now, then = report.data, before.data
        assert isinstance(now, AdverseEvent)
        more = [getattr(now, name) and not getattr(then, name) for name in ("serious", "related", "fatal")]
        return now.grade > then.grade or any(more)


def _whose(data: object) -> object:
    return getattr(data, "partner", None)
