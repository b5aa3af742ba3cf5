"""One subject's history told in sentences, so that a test of a rule reads like the rule.

Dates are dates of the site. An event is reported at 11:00 site time of the day it happened on, unless
`at` says otherwise: `2026-01-20`, `2026-01-20 15:00` (both site time) or an aware datetime. Who looks
(`plan`, `decide`, `live_until`) does so at 00:00 of a date given alone. A sentence that the study's rules
refuse raises the refusal.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time
from typing import Any

import yaml

from deployments.example_subject import ELIGIBLE
from itp_events.decisions import Decision, decide
from itp_events.events import Event, NoticeIssued, parse_event
from itp_events.intake.batch import Judgement, judge
from itp_events.outputs.plan import plan
from itp_events.outputs.plan_json import document
from itp_events.protocol.file import BUILT_IN, load_protocol
from itp_events.protocol.model import Protocol
from itp_events.rules.state import subject_state
from itp_events.rules.subject import Subject, fold

Json = dict[str, Any]

INFUSIONS = ("INF1", "INF2", "INF3", "INF4", "INF5")
FOLLOW_UP = ("FU-D14", "FU-M1", "FU-M2", "FU-M3", "FU-M6", "FU-M9", "FU-M12")


def altered(change: Callable[[Json], object]) -> Protocol:
    """The built-in protocol with some of its data changed."""
    data = yaml.load(BUILT_IN.read_text(encoding="utf-8"), yaml.CSafeLoader)
    change(data)
    return Protocol.model_validate(data)


def protocol_in(time_zone: str, calendar: str = "CN", language: str = "en") -> Protocol:
    """The built-in protocol with all sites in another time zone and working calendar."""
    site = {"time_zone": time_zone, "calendar": calendar, "language": language}
    return altered(lambda data: data["sites"]["default"].update(site))


class PlanDocument(dict[str, Any]):
    """A plan as `itp plan --json` prints it, with short ways to what tests ask for."""

    def visit(self, code: str) -> Json:
        """The row of one visit."""
        rows: list[Json] = self["visits"]
        return next(row for row in rows if row["code"] == code)

    def of(self, field: str) -> dict[str, Any]:
        """One field of every visit, by code."""
        return {row["code"]: row[field] for row in self["visits"]}

    def window(self, code: str) -> tuple[str, str, str]:
        """When a visit's window opens, its target, and when it closes."""
        row = self.visit(code)
        return row["opens"], row["target"], row["closes"]

    def steps(self, part: str, visit: str | None = None) -> list[tuple[str, str, str]]:
        """Visit-less or of one visit: (step, audience, due) of the `notices` or the `forecast`."""
        return [
            (row["step"], row["audience"], row["due"])
            for row in self[part]
            if visit is None or row["visit"] == visit
        ]


class Study:
    """One subject: `log` is its whole log, the service's decisions of `decide` included."""

    def __init__(self, site: str = "01", *, protocol: Protocol | None = None, code: str = "ITP-001") -> None:
        self.protocol = protocol or load_protocol()
        self.code = code
        self.site_code = site
        self.site = self.protocol.site(site)
        self.log: list[Event] = []
        self.handed: set[str] = set()
        self.hands_over = True
        self.last_id = 0

    # What people state

    def enrol(self, on: str = "2026-01-05", **data: Any) -> Event:
        """Enrol an eligible subject, as `enrolment` describes it."""
        return self.record(self.enrolment(on, **data))[0]

    def enrolment(
        self, on: str = "2026-01-05", *, at: object = None, screening: Json | None = None, **data: Any
    ) -> Event:
        """An enrolment, not recorded; `screening` holds what differs from `ELIGIBLE` (None: absent)."""
        given: Json = {"site": self.site_code, "consent_on": "2025-12-20", "weight_kg": 61.5}
        found = {**ELIGIBLE, **(screening or {})}
        return self.event("itp.subject.enrolled", on, at, **{**given, "screening": found, **data})

    def done(self, visit: str, on: str, *, at: object = None, **results: Any) -> Event:
        """A visit took place."""
        return self.state("itp.visit.completed", on, at, visit=visit, **results)

    def on_target(self, *visits: str) -> None:
        """Visits took place one after the other, each on its target."""
        for code in visits:
            seen = subject_state(self.folded(), max(event.time for event in self.log))
            target = next(planned.target for planned in seen.visits if planned.code == code)
            self.done(code, target.isoformat())

    def missed(self, visit: str, at: object, reason: str = "travelling") -> Event:
        """Somebody declares a visit missed."""
        return self.state("itp.visit.missed", None, at, visit=visit, reason=reason)

    def booked(self, visit: str, on: str, *, at: object) -> Event:
        """A date is agreed for a visit."""
        return self.state("itp.visit.booked", on, at, visit=visit)

    def unscheduled(self, on: str, *, at: object = None, reason: str = "bleeding") -> Event:
        """A visit outside the schedule took place."""
        return self.state("itp.visit.unscheduled", on, at, reason=reason)

    def voided(self, event: Event, at: object, reason: str = "entered in error") -> Event:
        """An earlier event was wrong."""
        return self.record(self.void(event, at, reason))[0]

    def adverse_event(
        self,
        on: str,
        *,
        at: object = None,
        ae: str = "AE-1",
        grade: int = 3,
        serious: bool = False,
        related: bool = False,
        term: str = "Fever",
        **more: Any,
    ) -> Event:
        """An adverse event is reported."""
        data = {"ae": ae, "grade": grade, "serious": serious, "related": related, "term": term, **more}
        return self.state("itp.adverse-event.reported", on, at, **data)

    def submitted(self, ae: str, on: str, *, at: object = None) -> Event:
        """The report of a serious adverse event was submitted."""
        return self.state("itp.sae.submitted", on, at, ae=ae)

    def pregnant(self, on: str, *, at: object = None, partner: bool = False) -> Event:
        """The subject, or the partner, is pregnant."""
        return self.state("itp.pregnancy.reported", on, at, partner=partner)

    def medication(self, kind: str, on: str, *, at: object = None, drug: str = "prednisone") -> Event:
        """A medicine changed: maintenance, prohibited or rescue."""
        return self.state("itp.medication.changed", on, at, kind=kind, drug=drug, detail="30 mg daily")

    def contact(self, on: str, *, reached: bool, at: object = None) -> Event:
        """Somebody tried to reach the subject."""
        return self.state("itp.contact.attempted", on, at, reached=reached)

    def withdrew(self, on: str, *, scope: str = "study", at: object = None, **data: Any) -> Event:
        """Consent is withdrawn, for the study or for treatment."""
        return self.state("itp.consent.withdrawn", on, at, scope=scope, **data)

    def decided(self, decision: str, on: str, *, at: object = None, **data: Any) -> Event:
        """The investigator decides."""
        given = {"reason": "judged by the investigator", **data}
        return self.state("itp.withdrawal.decided", on, at, decision=decision, **given)

    def died(self, on: str, *, at: object = None, **data: Any) -> Event:
        """The subject died."""
        return self.state("itp.subject.died", on, at, **data)

    def corrected(self, event: Event, at: object, **changed: Any) -> Event:
        """An event is voided and stated anew in one batch, with some of its content changed."""
        again = self.again(event, at, **changed)
        self.record(self.void(event, at), again)
        return again

    def again(self, event: Event, at: object, **changed: Any) -> Event:
        """The same content under a new id, some of it changed; not recorded."""
        data = {**event.to_json()["data"], "by": "crc-02", **changed}
        return self.event(event.type, data.pop("on", None), at, **data)

    def assessed(self, deviation: str, *, at: object, important: bool = False, **data: Any) -> Event:
        """The investigator assesses a deviation."""
        stated = {"by": "inv-01", "deviation": deviation, "important": important, **data}
        return self.state("itp.deviation.assessed", None, at, **stated)

    def acknowledged(self, visit: str, at: object, until: str | None = None) -> Event:
        """Somebody takes care of an overdue visit."""
        return self.state("itp.escalation.acknowledged", None, at, visit=visit, until=until)

    # How statements become events

    def state(self, kind: str, on: str | None, at: object = None, /, **data: Any) -> Event:
        """Make one event and record it; raises what refuses it."""
        return self.record(self.event(kind, on, at, **data))[0]

    def event(
        self,
        kind: str,
        on: str | None,
        at: object = None,
        /,
        *,
        event_id: str | None = None,
        source: str = "site",
        **data: Any,
    ) -> Event:
        """One event, checked against the catalogue and not recorded."""
        return parse_event(self.raw(kind, on, at, event_id=event_id, source=source, **data))

    def void(self, event: Event, at: object, reason: str = "entered in error", **data: Any) -> Event:
        """The void of an event, not recorded."""
        reference = {"source": event.source, "id": event.id}
        return self.event("itp.event.voided", None, at, event=reference, reason=reason, **data)

    def raw(
        self,
        kind: str,
        on: str | None,
        at: object = None,
        /,
        *,
        event_id: str | None = None,
        source: str = "site",
        **data: Any,
    ) -> Json:
        """One CloudEvent as JSON types."""
        self.last_id += 1
        stated = {"by": "crc-01", **({"on": on} if on else {}), **data}
        return {
            "specversion": "1.0",
            "id": event_id or f"e-{self.last_id}",
            "source": source,
            "type": kind,
            "subject": self.code,
            "time": self.instant(at or on, time(11)).astimezone(self.site.zone).isoformat(),
            "data": {name: value for name, value in stated.items() if value is not None},
        }

    def record(self, *events: Event, now: object = None) -> tuple[Event, ...]:
        """Record a batch as a door would; raises the first refusal."""
        for verdict in self.judge(*events, now=now).verdicts:
            if verdict.error:
                raise verdict.error
        return events

    def judge(self, *events: Event, now: object = None) -> Judgement:
        """Judge a batch and append what is accepted; by default as soon as the last was reported."""
        known = max(event.time for event in [*self.log, *events])
        judgement = judge(self.protocol, self.log, events, self.instant(now, time(11)) if now else known)
        self.log.extend(judgement.accepted)
        return judgement

    # What follows

    def plan(self, as_of: object) -> PlanDocument:
        """The plan that the log gives at an instant, through JSON as a user reads it."""
        found = document(plan(self.protocol, self.log, self.instant(as_of)))
        return PlanDocument(json.loads(json.dumps(found)))

    def folded(self) -> Subject:
        """The subject as the service folds it."""
        return fold(self.protocol, self.log, self.handed)

    def decide(self, at: object) -> Decision:
        """Decide as the service does: the decisions are logged, notices handed over if `hands_over`."""
        decision = decide(self.folded(), self.instant(at))
        self.log.extend(decision.events)
        if self.hands_over:
            self.handed.update(issued(decision))
        return decision

    def live_until(self, until: object, since: object = None) -> list[Decision]:
        """Decide at `since` (by default the last entry of the log) and at every wake until `until`."""
        end = self.instant(until)
        wake: datetime | None = self.instant(since) if since else max(event.time for event in self.log)
        found: list[Decision] = []
        while wake and wake <= end:
            found.append(self.decide(wake))
            wake = found[-1].wake_at
        return found

    def instant(self, value: object, clock: time = time.min) -> datetime:
        """The instant (UTC) that a date, a local time of the site or a datetime means."""
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        day, _, hour = str(value).partition(" ")
        return self.site.at(date.fromisoformat(day), time.fromisoformat(hour) if hour else clock)


def issued(decisions: Decision | Iterable[Decision]) -> list[str]:
    """The keys of the notices that decisions issued, in order."""
    found = [decisions] if isinstance(decisions, Decision) else decisions
    return [event.id for each in found for event in each.events if isinstance(event.data, NoticeIssued)]
