"""Generated histories: events that people state of a subject, in an order that the study accepts.

A history is walked: each move looks at the plan so far, lets time pass and states something, often late,
out of its window, or wrongly and then corrected. What the study's rules refuse is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st

from itp_events.events import AdverseEvent, Completed, Event, Voided
from itp_events.rules.state import SubjectState, subject_state
from itp_events.rules.subject import not_voided
from itp_events.rules.windows import PlannedVisit
from tests.support.study import Study

Move = tuple[str, dict[str, Any]]
Told = tuple[datetime, tuple[Event, ...]]


@dataclass(frozen=True)
class History:
    """What was told of a subject: batches of accepted events, each with the instant it came in."""

    told: tuple[Told, ...]

    @property
    def facts(self) -> list[Event]:
        """The accepted events in the order in which they came in."""
        return [event for _, batch in self.told for event in batch]

    @property
    def begin(self) -> datetime:
        """When the enrolment came in."""
        return self.told[0][0]

    @property
    def end(self) -> datetime:
        """When the last event came in."""
        return self.told[-1][0]

    def __repr__(self) -> str:
        """The history as a test can state it: instants and events."""
        rows = [
            f"  {now:%Y-%m-%d %H:%M}Z  {event.time:%m-%d %H:%M}  {event.id}  {event.type}  {_said(event)}"
            for now, batch in self.told
            for event in batch
        ]
        return "\n".join(["History:", *rows])


def _said(event: Event) -> str:
    data = event.data.model_dump(mode="json", exclude_none=True, exclude={"by", "screening", "reason"})
    return " ".join(f"{name}={value}" for name, value in data.items())


class Walk(Study):
    """A history in the making."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.instant("2026-01-05 08:00")
        self.told: list[Told] = []

    @property
    def subject_state(self) -> SubjectState:
        """What holds now."""
        return subject_state(self.folded(), self.now)

    @property
    def today(self) -> date:
        """The site-local date."""
        return self.site.date_of(self.now)

    def tell(self, *events: Event) -> None:
        """Judge a batch; what is accepted becomes part of the history."""
        accepted = self.judge(*events, now=self.now).accepted
        if accepted:
            self.told.append((self.now, accepted))

    def move(self, kind: str, given: dict[str, Any]) -> None:
        """Let time pass, then do what the move says."""
        given = dict(given)
        self.now += timedelta(hours=given.pop("gap", 0))
        reported = max(self.now - timedelta(hours=given.pop("delay", 0)), self.instant("2026-01-05 08:00"))
        _MOVES[kind](self, reported, given)

    def say(self, kind: str, on: date | None, at: datetime, /, **data: Any) -> None:
        """State one event."""
        self.tell(self.event(kind, str(on) if on else None, at, **data))

    def pick(self, number: int, *, firm: bool = True) -> PlannedVisit | None:
        """One of the visits that nobody has recorded, mostly the next."""
        found = [each for each in self.subject_state.visits if each.event is None and (each.firm or not firm)]
        return found[number % len(found)] if found else None


def _visit(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    planned = walk.pick(given["pick"])
    if planned is None:
        return
    on = planned.target + timedelta(days=given["offset"])
    walk.now = max(walk.now, walk.site.at(on, time(11)) + timedelta(days=given["late"]))
    results = {name: given[name] for name in ("weight_kg", "cells_given") if name in given}
    walk.say("itp.visit.completed", on, walk.now, visit=planned.code, **results)


def _missed(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    if planned := walk.pick(given["pick"]):
        walk.say("itp.visit.missed", None, at, visit=planned.code, reason="away")


def _booked(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    if planned := walk.pick(given["pick"], firm=False):
        on = planned.target + timedelta(days=given["offset"])
        walk.say("itp.visit.booked", on, at, visit=planned.code)


def _acknowledged(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    overdue = [each for each in walk.subject_state.visits if each.status(walk.today) == "overdue"]
    if overdue:
        until = walk.site.date_of(at) + timedelta(days=given["until"]) if given["until"] else None
        code = overdue[given["pick"] % len(overdue)].code
        walk.say("itp.escalation.acknowledged", None, at, visit=code, until=str(until) if until else None)


def _dated(kind: str) -> Callable[[Walk, datetime, dict[str, Any]], None]:
    def state(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
        walk.say(kind, walk.site.date_of(at) - timedelta(days=given.pop("ago", 0)), at, **given)

    return state


def _decided(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    flags = walk.subject_state.open_flags
    named = given.pop("named")
    criterion = flags[0].criterion if flags and named else None
    walk.say(
        "itp.withdrawal.decided", walk.site.date_of(at), at, criterion=criterion, reason="judged", **given
    )


def _submitted(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    reported = [e for e in not_voided(walk.log) if "adverse" in e.type or "pregnancy" in e.type]
    if reported:
        event = reported[given["pick"] % len(reported)]
        walk.say("itp.sae.submitted", walk.site.date_of(at), at, ae=getattr(event.data, "ae", event.id))


def _worse(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    """A further report of the adverse event reported last, or its correction, with something changed."""
    reported = [event for event in not_voided(walk.log) if isinstance(event.data, AdverseEvent)]
    if not reported:
        return
    last = reported[-1]
    data = {**last.to_json()["data"], **given["changed"]}
    data.pop("aware_at", None)
    at = max(at, last.time)
    again = walk.event(last.type, data.pop("on"), at, **{**data, "by": "pi-01"})
    walk.tell(*([walk.void(last, at)] if given["corrects"] else []), again)


def _death(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    aware_at = (at - timedelta(hours=given["aware"])).isoformat()
    walk.say("itp.subject.died", walk.site.date_of(at), at, aware_at=aware_at, ae=given["ae"])


def _later_restated(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    """A visit is voided, and stated again days later."""
    done = [event for event in not_voided(walk.log) if isinstance(event.data, Completed)]
    if not done:
        return
    event = done[-1 - given["back"] % len(done)]
    at = max(at, event.time)
    walk.tell(walk.void(event, at))
    walk.now = max(walk.now, at + timedelta(days=given["days"]))
    data = event.to_json()["data"]
    walk.tell(walk.event(event.type, data.pop("on"), walk.now, **{**data, "by": "crc-02"}))


def _void(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    facts = [event for event in not_voided(walk.log) if not isinstance(event.data, Voided)]
    event = facts[-1 - given["back"] % len(facts)]
    at = max(at, event.time)
    batch = [walk.void(event, at)]
    if given["restated"] is not None:
        data = event.to_json()["data"]
        if "on" in data and event is not walk.log[0]:
            data["on"] = str(min(date.fromisoformat(data["on"]) + timedelta(given["restated"]), walk.today))
        on = data.pop("on", None)
        batch.append(walk.event(event.type, on, at, **{**data, "by": "crc-02"}))
    walk.tell(*batch)


def _wait(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    walk.now += timedelta(days=given["days"])


def _approach(walk: Walk, at: datetime, given: dict[str, Any]) -> None:
    if planned := walk.pick(given["pick"]):
        walk.now = max(walk.now, walk.site.at(planned.day - timedelta(days=given["days"]), time(12)))


_MOVES: dict[str, Callable[[Walk, datetime, dict[str, Any]], None]] = {
    "visit": _visit,
    "missed": _missed,
    "booked": _booked,
    "acknowledged": _acknowledged,
    "unscheduled": _dated("itp.visit.unscheduled"),
    "adverse event": _dated("itp.adverse-event.reported"),
    "submitted": _submitted,
    "pregnancy": _dated("itp.pregnancy.reported"),
    "medication": _dated("itp.medication.changed"),
    "contact": _dated("itp.contact.attempted"),
    "consent": _dated("itp.consent.withdrawn"),
    "death": _death,
    "worse": _worse,
    "later restated": _later_restated,
    "decided": _decided,
    "void": _void,
    "wait": _wait,
    "approach": _approach,
}

_PICK = st.sampled_from([0, 0, 0, 0, 1, 2, 5])
_GAP = st.sampled_from([0, 1, 7, 24, 30, 75, 200])
_DELAY = st.sampled_from([0, 0, 0, 0, 3, 30, 100])


def _moves(kind: str, /, **given: Any) -> st.SearchStrategy[Move]:
    fields = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for name, value in given.items()
    }
    return st.tuples(st.just(kind), st.fixed_dictionaries({"gap": _GAP, "delay": _DELAY, **fields}))


def _visits(**given: Any) -> st.SearchStrategy[Move]:
    late = st.sampled_from([0, 0, 0, 1, 3, 25, 60])
    return _moves("visit", pick=_PICK, late=late, **{"offset": st.integers(-9, 25), **given})


def _scene(*moves: st.SearchStrategy[Move]) -> st.SearchStrategy[list[Move]]:
    return st.tuples(*moves).map(list)


_VISIT = _visits()
_DOSED = _visits(cells_given=st.sampled_from([6.15e9, 7.0e9]), weight_kg=st.sampled_from([61.5, 75.0]))
_ON_TIME = _moves("visit", pick=0, late=0, offset=st.integers(-1, 1))
_MISSED = _moves("missed", pick=_PICK)
_BOOKED = _moves("booked", pick=_PICK, offset=st.integers(-10, 25))
_ACKNOWLEDGED = _moves("acknowledged", pick=_PICK, until=st.sampled_from([0, 0, 1, 5, 14]))
_UNSCHEDULED = _moves("unscheduled", reason="bleeding", ago=st.integers(0, 4))
_ADVERSE_EVENT = _moves(
    "adverse event",
    ae=st.sampled_from(["AE-1", "AE-2"]),
    term="Fever",
    grade=st.integers(3, 5),
    serious=st.booleans(),
    related=st.booleans(),
    ago=st.integers(0, 4),
)
_SUBMITTED = _moves("submitted", pick=_PICK)
_PREGNANCY = _moves("pregnancy", partner=st.booleans())
_MEDICATION = _moves(
    "medication",
    kind=st.sampled_from(["rescue", "prohibited", "maintenance"]),
    drug="x",
    detail="once",
    ago=st.integers(0, 9),
)
_UNREACHED = _moves("contact", reached=False, ago=st.integers(0, 2))
_DAILY = st.tuples(st.just("contact"), st.fixed_dictionaries({"gap": st.just(24), "reached": st.just(False)}))
_REACHED = _moves("contact", reached=True)
_CONSENT = _moves("consent", scope=st.sampled_from(["treatment", "treatment", "study"]))
_DEATH = _moves("death", aware=st.sampled_from([0, 0, 10, 30]), ae=st.sampled_from([None, "AE-1"]))
_WORSE = _moves(
    "worse",
    corrects=st.booleans(),
    changed=st.sampled_from(
        [
            {"term": "Fewer"},
            {"serious": True},
            {"serious": True, "grade": 4},
            {"related": True},
            {"grade": 3},
            {"serious": True, "grade": 5},
            {"serious": True, "outcome": "fatal"},
            {"outcome": "recovered"},
        ]
    ),
)
_LATER = _moves("later restated", back=st.integers(0, 2), days=st.sampled_from([1, 3, 12]))
_CONTINUED = _moves("decided", decision="continue", named=st.booleans())
_DECIDED = _moves(
    "decided",
    decision=st.sampled_from(["continue", "continue", "stop-treatment", "withdraw", "complete"]),
    named=st.booleans(),
)
_VOID = _moves("void", back=st.integers(0, 6), restated=st.sampled_from([None, None, 0, -2, 3]))
_BEFORE = _moves("approach", pick=0, days=st.integers(0, 8))
_AFTER = _moves("approach", pick=0, days=st.integers(-30, -3))
_WAIT = _moves("wait", days=st.sampled_from([2, 10, 21, 40]))
_SEASON = _moves("wait", days=st.sampled_from([65, 90]))
_A_YEAR = _moves("wait", days=400)
_STOPPED = _moves("decided", decision="stop-treatment", named=st.booleans())
_SCENES = st.one_of(
    _scene(_VISIT),
    _scene(_DOSED),
    _scene(_ON_TIME, _ON_TIME),
    _scene(_MISSED),
    _scene(_MISSED, _MISSED, _DECIDED),
    _scene(_MISSED, _MISSED, _SEASON, _CONTINUED),
    _scene(_BOOKED),
    _scene(_BOOKED, _WAIT, _VISIT),
    _scene(_AFTER, _ACKNOWLEDGED, _WAIT),
    _scene(_AFTER, _DAILY, _DAILY, _DAILY, _WAIT, _DECIDED),
    _scene(_AFTER, _MEDICATION, _CONTINUED, _WAIT),
    _scene(_BEFORE, _MEDICATION, _CONTINUED),
    _scene(_BEFORE, _MEDICATION, _VOID, _WAIT),
    _scene(_BEFORE, _BOOKED, _BOOKED, _WAIT),
    _scene(_BEFORE, _CONSENT, _VOID),
    _scene(_UNREACHED),
    _scene(_REACHED),
    _scene(_UNSCHEDULED),
    _scene(_ADVERSE_EVENT, _SUBMITTED),
    _scene(_ADVERSE_EVENT, _DECIDED),
    _scene(_MEDICATION, _CONTINUED),
    _scene(_MEDICATION, _WAIT, _DECIDED),
    _scene(_MEDICATION, _ACKNOWLEDGED, _MEDICATION, _CONTINUED),
    _scene(_ADVERSE_EVENT, _SUBMITTED, _WORSE),
    _scene(_ADVERSE_EVENT, _WORSE, _SUBMITTED, _WORSE),
    _scene(_ADVERSE_EVENT, _CONTINUED, _WORSE),
    _scene(_ADVERSE_EVENT, _WORSE, _WAIT, _DEATH),
    _scene(_BEFORE, _ADVERSE_EVENT, _WORSE, _WAIT, _WORSE),
    _scene(_LATER),
    _scene(_PREGNANCY),
    _scene(_CONSENT, _VOID),
    _scene(_DEATH, _VOID),
    _scene(_VOID),
    _scene(_WAIT),
)
_LAST: st.SearchStrategy[list[Move]] = st.one_of(
    *[st.just([])] * 4,
    *[_scene(_DEATH), _scene(_CONSENT), _scene(_ADVERSE_EVENT)] * 2,
    _scene(_MEDICATION, _A_YEAR, _STOPPED),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A subject enrolled on 5 Jan 2026, some visits as planned, and then whatever happens."""
    walk = Walk()
    walk.tell(walk.event("itp.subject.enrolled", "2026-01-05", walk.now, **_enrolment()))
    for _ in range(draw(st.sampled_from([0, 1, 2, 5, 10]))):
        walk.move("visit", {"pick": 0, "offset": 0, "late": 0})
    for scene in [*draw(st.lists(_SCENES, min_size=1, max_size=7)), draw(_LAST)]:
        for kind, given in scene:
            walk.move(kind, given)
    return History(tuple(walk.told))


def _enrolment() -> dict[str, Any]:
    study = Study()
    data: dict[str, Any] = study.enrol("2026-01-05").to_json()["data"]
    del data["on"], data["by"]
    return data
