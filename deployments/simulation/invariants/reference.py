"""What a log plainly says, read without decide() and what it stands on: the oracle's own yardstick.

It knows less than the service does: a criterion that follows from several facts counts as open only while
nobody has decided on it at all. What it does say is certain, so that whoever contradicts it is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from urllib.parse import quote

from deployments.simulation.record import Notice
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
    Missed,
    NoticeIssued,
    Pregnancy,
    SaeSubmitted,
    Voided,
    WithdrawalDecided,
)
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import Criterion, Protocol

_MEDICINES = {
    "rescue": "rescue-medication",
    "prohibited": "prohibited-medication",
    "maintenance": "maintenance-changed",
}


@dataclass(frozen=True)
class Truth:
    """The standing events of a log, people's and the service's, without any derivation."""

    protocol: Protocol
    voided: frozenset[EventKey]
    events: tuple[Event, ...]

    @classmethod
    def of(cls, protocol: Protocol, log: Sequence[Event]) -> Truth:
        """What the log plainly says."""
        voids = [event.data.event for event in log if isinstance(event.data, Voided)]
        voided = frozenset((each.source, each.id) for each in voids)
        return cls(protocol, voided, tuple(event for event in log if event.key not in voided))

    def _of(self, *kinds: type[Data]) -> Iterator[Event]:
        return (event for event in self.events if isinstance(event.data, kinds))

    @cached_property
    def settled(self) -> set[str]:
        """The visits that were recorded as done or missed, by whomever."""
        return {getattr(event.data, "visit", "") for event in self._of(Completed, Missed)}

    @cached_property
    def ended(self) -> bool:
        """Whether somebody stated what ends the journey."""
        last = self.protocol.visits[-1].code
        return any(_ends(event.data, last) for event in self.events)

    @cached_property
    def stopped(self) -> bool:
        """Whether somebody stated what ends treatment."""
        return any(_stops(event.data) for event in self.events)

    @cached_property
    def held(self) -> set[str]:
        """The criteria that wait for the investigator."""
        facts = {name for name, at in self._flagging() if not self._decided(name, at)}
        recorded = {getattr(event.data, "criterion", "") for event in self._of(Flagged)}
        return facts | {name for name in recorded if not self._decided(name, None)}

    def running(self, now: datetime) -> bool:
        """Whether the time in which something serious must be submitted is not over yet."""
        longest = timedelta(hours=max(self.protocol.alerts["sae"].clock_hours, default=0))
        clocked = [event for event in self._of(AdverseEvent) if getattr(event.data, "serious", False)]
        clocked += self._of(Pregnancy)
        return any(event.time + longest > now and not self._submitted(event) for event in clocked)

    @cached_property
    def _void_names(self) -> set[str]:
        return {_named(key) for key in self.voided}

    def pointless(self, notice: Notice | NoticeIssued | WantedNotice, row: str) -> Iterator[str]:
        """Why a notice must not leave, or a duty not be asked for."""
        if notice.kind == "alert":
            yield from self._unfounded(notice.step, row)
            return
        infusion = notice.visit in {visit.code for visit in self.protocol.infusions}
        if self.ended:
            yield f"{row}: the journey has ended"
        if notice.visit in self.settled:
            yield f"{row}: {notice.visit} is recorded"
        if infusion and self.stopped:
            yield f"{row}: treatment has ended"
        if infusion and notice.kind == "reminder" and self.held:
            yield f"{row}: on hold, {', '.join(sorted(self.held))}"

    def _unfounded(self, step: str, row: str) -> Iterator[str]:
        about = row.rpartition("/")[2].partition("#")[0]
        if about in self._void_names:
            yield f"{row}: the event it tells of is voided"
        if step.startswith("sae-"):
            event = next((each for each in self.events if _named(each.key) == about), None)
            if event and self._submitted(event):
                yield f"{row}: it is submitted"

    def _submitted(self, event: Event) -> bool:
        name = getattr(event.data, "ae", event.id)
        return any(getattr(each.data, "ae", None) == name for each in self._of(SaeSubmitted))

    def _flagging(self) -> Iterator[tuple[str, datetime]]:
        rules = {name: rule for name, rule in self.protocol.criteria.items() if rule.effect == "flag"}
        for event in self._of(AdverseEvent, MedicationChanged):
            name = _criterion(event.data, rules)
            if name in rules:
                yield name, event.time

    def _decided(self, criterion: str, since: datetime | None) -> bool:
        decisions = [(event.time, event.data) for event in self._of(WithdrawalDecided)]
        return any(
            getattr(data, "criterion", None) in (None, criterion) and (since is None or time >= since)
            for time, data in decisions
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


def _named(key: EventKey) -> str:
    return ":".join(quote(part, safe="") for part in key)
