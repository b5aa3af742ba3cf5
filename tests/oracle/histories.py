"""Random histories of one subject: plausible and implausible, late, corrected, repeated, after the end.

The same seed gives the same history. People act by what the second implementation says of the subject, so
that a history reaches the last visit about as often as it ends early.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle import said as kinds
from tests.oracle.course import Course, course
from tests.oracle.history import History
from tests.oracle.intake import continued
from tests.oracle.rules import rule_broken
from tests.oracle.said import read
from tests.oracle.trial import trial
from tests.oracle.visits import Visit

Json = dict[str, Any]
DRUGS = ["danazol", "prednisone", "IVIG", "eltrombopag"]


@dataclass(frozen=True)
class Case:
    """A history, and the instant at which its plan is asked for."""

    events: list[Json]
    as_of: datetime


def case(seed: int) -> Case:
    """The history of a seed."""
    return _Story(Random(seed)).told()


@dataclass
class _Story:
    random: Random
    events: list[Json] = field(default_factory=list)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    count: int = 0
    history: History = field(default_factory=History)
    zone: ZoneInfo = field(default_factory=lambda: trial().calendar.zone)

    def told(self) -> Case:
        self._enrol()
        quiet = self.random.random() < 0.5
        for _ in range(self.random.choice([3, 6, 10, 16, 24, 34])):
            self._step(quiet)
        if self.random.random() < 0.15:
            self._shuffle()
        return Case(self.events, self._as_of())

    def _shuffle(self) -> None:
        first, second = (self.random.randrange(len(self.events)) for _ in range(2))
        self.events[first], self.events[second] = self.events[second], self.events[first]

    # What a person does

    def _step(self, quiet: bool) -> None:
        found = self._course()
        if found is None:
            self._pass(days=1)
            return
        mishap = 0.12 if quiet else 0.5
        if self.random.random() < mishap:
            self._pass(days=self.random.choice([0, 0, 0, 1, 2, 5]))
            self._one_of(_MISHAPS, found)
        elif found.open_flags(self.now) and self.random.random() < 0.6:
            self._pass(days=self.random.choice([0, 1, 3, 9]))
            self._decide(found)
        else:
            self._next_visit(found)

    def _one_of(self, choices: list[tuple[float, Callable[[_Story, Course], None]]], found: Course) -> None:
        weights = [weight for weight, _ in choices]
        action = self.random.choices([each for _, each in choices], weights)[0]
        action(self, found)

    def _next_visit(self, found: Course) -> None:
        waiting = [visit for visit in found.visits if visit.waits]
        if found.exit or not waiting:
            self._pass(days=self.random.choice([1, 20]))
            self._one_of(_AT_THE_END, found)
            return
        visit = waiting[0]
        if self.random.random() < 0.15:
            self._book(found)
        on = self._day_for(visit)
        if self.random.random() < 0.12:
            self._move_to(
                max(on, visit.closes) + timedelta(days=self.random.choice([1, 2, 4, 7, 15, 21, 30]))
            )
            self._one_of(_OVERDUE, found)
            return
        self._move_to(on)
        if self.random.random() < 0.2:
            self._pass(days=self.random.choice([1, 3, 10, 25]))
        self._say(kinds.COMPLETED, self._results(visit, on))

    def _day_for(self, visit: Visit) -> date:
        draw = self.random.random()
        span = (visit.closes - visit.opens).days
        if draw < 0.5:
            return visit.booked.on if visit.booked else visit.target
        if draw < 0.85:
            return visit.opens + timedelta(days=self.random.randint(0, span))
        return visit.target + timedelta(days=self.random.randint(-span - 3, span + 12))

    def _results(self, visit: Visit, on: date) -> Json:
        data: Json = {"visit": visit.code, "on": min(on, self._today()).isoformat()}
        chance = self.random.random
        if chance() < 0.4:
            data["weight_kg"] = self.random.choice([45.0, 60.0, 61.0, 66.1, 70.0])
        if chance() < 0.5:
            data["platelets"] = self.random.choice([5, 18, 29, 30, 41, 62, 99, 100, 140])
        if chance() < 0.5:
            data["bleeding"] = self.random.choice([True, False, False, False, 0, 1, 2, 4])
        if visit.treatment and chance() < 0.4:
            data["cells_given"] = self.random.choice([6.0e9, 5.4e9, 6.6e9, 6.7e9, 4.5e9, 6.1e9, 7.0e9])
        if chance() < 0.1:
            data["confirmed"] = True
        return data

    def _book(self, found: Course) -> None:
        waiting = [visit for visit in found.visits if visit.waits] or found.visits
        visit = self.random.choice(waiting[:2] if self.random.random() < 0.8 else found.visits)
        on = self._day_for(visit) + timedelta(days=self.random.choice([0, 0, 0, 1, -1]))
        self._say(kinds.BOOKED, {"visit": visit.code, "on": on.isoformat()})

    def _miss(self, found: Course) -> None:
        waiting = [visit for visit in found.visits if visit.waits] or found.visits
        self._say(kinds.MISSED, {"visit": waiting[0].code, "reason": "ill"})

    def _acknowledge(self, found: Course) -> None:
        late = [visit for visit in found.visits if visit.waits and visit.closes < self._today()]
        visit = (late or found.visits)[0]
        data: Json = {"visit": visit.code}
        if self.random.random() < 0.7:
            data["until"] = (
                self._today() + timedelta(days=self.random.choice([0, 1, 2, 5, 10, 14, 15]))
            ).isoformat()
        self._say(kinds.ACKNOWLEDGED, data)

    def _attempts(self, found: Course) -> None:
        for _ in range(self.random.choice([1, 3, 3, 4])):
            on = self._today() - timedelta(days=self.random.choice([0, 0, 0, 0, 1, 4]))
            reached = self.random.random() < 0.1
            self._say(kinds.CONTACT, {"on": on.isoformat(), "reached": reached})
            self._pass(days=self.random.choice([0, 1, 1, 2, 6]))

    def _adverse_event(self, found: Course) -> None:
        grade = self.random.choice([1, 2, 3, 3, 4, 4, 5])
        data: Json = {
            "ae": f"AE{self.random.randint(1, 4)}",
            "term": self.random.choice(["fever", "pneumonia", "haemorrhage"]),
            "grade": grade,
            "serious": self.random.random() < 0.6 or (grade == 5 and self.random.random() < 0.8),
            "related": self.random.random() < 0.4,
            "on": self._recently(),
        }
        if self.random.random() < 0.25:
            data["outcome"] = self.random.choice(["recovered", "recovering", "fatal", "unknown"])
        self._aware(data)
        self._say(kinds.ADVERSE_EVENT, data)

    def _worse(self, found: Course) -> None:
        before = [each for each in self.events if each["type"] == kinds.ADVERSE_EVENT]
        if not before:
            self._adverse_event(found)
            return
        data = deepcopy(self.random.choice(before)["data"])
        data.pop("aware_at", None)
        change = self.random.choice(["grade", "grade", "serious", "related", "fatal", "term", "less"])
        if change == "grade":
            data["grade"] = min(5, data["grade"] + 1)
        elif change == "less":
            data["grade"] = max(1, data["grade"] - 1)
        elif change == "fatal":
            data["outcome"], data["serious"] = "fatal", True
        elif change == "term":
            data["term"] = "sepsis"
        else:
            data[change] = True
        if data["grade"] == 5:
            data["serious"] = True
        self._aware(data)
        self._say(kinds.ADVERSE_EVENT, data)

    def _aware(self, data: Json) -> None:
        if self.random.random() < 0.25:
            hours = self.random.choice([1, 5, 20, 24, 30, 72])
            data["aware_at"] = self._stamp(self.now - timedelta(hours=hours))

    def _submit(self, found: Course) -> None:
        names = [each["data"]["ae"] for each in self.events if each["type"] == kinds.ADVERSE_EVENT]
        names += [each["id"] for each in self.events if each["type"] in (kinds.PREGNANCY, kinds.DIED)]
        ae = self.random.choice(names or ["AE9"])
        self._say(kinds.SUBMITTED, {"ae": ae, "on": self._today().isoformat()})

    def _medicine(self, found: Course) -> None:
        kind = self.random.choice(["rescue", "prohibited", "maintenance"])
        data = {"drug": self.random.choice(DRUGS), "kind": kind, "on": self._recently(), "detail": "once"}
        self._say(kinds.MEDICATION, data)

    def _pregnancy(self, found: Course) -> None:
        data: Json = {"on": self._recently()}
        if self.random.random() < 0.4:
            data["partner"] = self.random.random() < 0.8
        self._aware(data)
        self._say(kinds.PREGNANCY, data)

    def _withdraw_consent(self, found: Course) -> None:
        data: Json = {
            "on": self._recently(),
            "scope": self.random.choice(["study", "treatment", "treatment"]),
        }
        if self.random.random() < 0.3:
            data["guardian"] = True
        self._say(kinds.CONSENT_WITHDRAWN, data)

    def _die(self, found: Course) -> None:
        data: Json = {"on": self._recently()}
        names = [each["data"]["ae"] for each in self.events if each["type"] == kinds.ADVERSE_EVENT]
        if names and self.random.random() < 0.4:
            data["ae"] = self.random.choice([*names, "AE8"])
        self._aware(data)
        self._say(kinds.DIED, data)

    def _decide(self, found: Course) -> None:
        decision = self.random.choice(
            ["continue", "continue", "continue", "continue", "stop-treatment", "withdraw", "complete"]
        )
        data: Json = {"decision": decision, "reason": "judged", "on": self._recently()}
        flags = found.open_flags(self.now)
        if flags and self.random.random() < 0.5:
            data["criterion"] = self.random.choice(flags).criterion
        elif self.random.random() < 0.1:
            data["criterion"] = self.random.choice(
                ["rescue-medication", "lost-to-follow-up", "investigator-decision"]
            )
        if decision != "continue" and self.random.random() < 0.2:
            data["decode"] = self.random.choice(["ADVERSE EVENT", "PHYSICIAN DECISION", "COMPLETED"])
        self._say(kinds.DECIDED, data)

    def _unscheduled(self, found: Course) -> None:
        self._say(kinds.UNSCHEDULED, {"on": self._recently(), "reason": "bleeding"})

    def _consent_given(self, found: Course) -> None:
        kind = self.random.choice(["consent", "assent", "majority"])
        self._say(
            kinds.CONSENT_GIVEN,
            {
                "kind": kind,
                "version": self.random.choice(["2", "2", "3", "1"]),
                "on": self._today().isoformat(),
            },
        )

    def _amend(self, found: Course) -> None:
        version = self.random.choice(["2", "2", "2", "2", "3", "1", "9"])
        self._say(kinds.ASSIGNED, {"version": version, "reason": "amendment"})

    def _any_visit(self, found: Course) -> None:
        visit = self.random.choice(found.visits)
        on = self._today() - timedelta(days=self.random.choice([0, 1, 3, 8]))
        self._say(kinds.COMPLETED, self._results(visit, on))

    # Corrections and repetitions

    def _correct(self, found: Course) -> None:
        event = self._some_event()
        name = {"source": event["source"], "id": event["id"]}
        self._say(kinds.VOID, {"event": name, "reason": "typing error"})
        draw = self.random.random()
        if draw < 0.15:
            return
        if draw < 0.35:
            self._pass(days=self.random.choice([0, 1, 6]))
        elif draw < 0.5:
            self.now += timedelta(seconds=self.random.choice([60, 299, 300, 301]))
        data = deepcopy(event["data"])
        if self.random.random() < 0.65:
            self._change(event["type"], data)
        self._say(event["type"], data)

    def _some_event(self) -> Json:
        recent = self.events[-6:] if self.random.random() < 0.6 else self.events
        return self.random.choice(recent)

    def _change(self, kind: str, data: Json) -> None:
        names = [name for name in data if name in _CHANGES]
        if not names:
            data["by"] = "crc-02"
            return
        name = self.random.choice(names)
        data[name] = _CHANGES[name](self, data[name])

    def _other_day(self, value: str) -> str:
        return (
            date.fromisoformat(value) + timedelta(days=self.random.choice([-2, -1, -1, 1, 1, 3]))
        ).isoformat()

    def _again(self, found: Course) -> None:
        self.events.append(deepcopy(self._some_event()))

    def _reuse(self, found: Course) -> None:
        event = deepcopy(self._some_event())
        self._change(event["type"], event["data"])
        event["time"] = self._stamp(self.now)
        self.events.append(event)

    # The enrolment

    def _enrol(self) -> None:
        on = date(2026, 1, 1) + timedelta(days=self.random.randint(0, 300))
        self._move_to(on)
        if self.random.random() < 0.1:
            self._pass(days=self.random.choice([1, 4, 9]))
        self._say(kinds.ENROLLED, self._enrolment(on))
        if self.random.random() < 0.05:
            self._say(kinds.ENROLLED, self._enrolment(on))

    def _enrolment(self, on: date) -> Json:
        chance = self.random.random
        age = self.random.choice([4, 6, 7, 8, 12, 15, 16, 17, 18, 34, 34, 34, 34, 60, 75])
        data: Json = {
            "on": on.isoformat(),
            "site": "01",
            "consent_on": (on - timedelta(days=self.random.choice([0, 3, 16]))).isoformat(),
            "weight_kg": 60.0,
            "screening": self._screening(age),
        }
        if chance() < 0.6:
            data["first_infusion_on"] = (on + timedelta(days=self.random.choice([0, 0, 1, 3, 7]))).isoformat()
        if chance() < 0.5:
            data["baseline_platelets"] = self.random.choice([8, 15, 20, 40])
        if age < 18:
            data["consent_by"] = "guardian"
            data["assent_on"] = data["consent_on"]
        return data

    def _screening(self, age: int) -> Json:
        female = self.random.random() < 0.5
        screening: Json = {
            "age_years": age,
            "sex": "female" if female else "male",
            "itp_months": 14,
            "failed": {"first_line": True, "second_line": True, "rituximab": True, "splenectomy": False},
            "alt_x_uln": 0.8,
            "ast_x_uln": 0.9,
            "bilirubin_x_uln": 0.7,
            "creatinine_x_uln": 0.9,
            "childbearing": False,
        }
        draw = self.random.random()
        if draw < 0.2:
            screening["maintenance"] = {"drug": "danazol", "stable_weeks": 6}
        elif draw < 0.4:
            weeks = self.random.choice([4, 4, 8, 3])
            screening["maintenance"] = [
                {"drug": "danazol", "stable_weeks": 6},
                {"drug": "prednisone", "stable_weeks": weeks},
            ]
        return screening

    # Time, and saying

    def _today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def _recently(self) -> str:
        return (self._today() - timedelta(days=self.random.choice([0, 0, 0, 0, 1, 2, 9]))).isoformat()

    def _move_to(self, day: date) -> None:
        at = datetime.combine(day, self._clock(), self.zone).astimezone(UTC)
        self.now = max(at, self.now + timedelta(minutes=1))

    def _pass(self, days: int) -> None:
        self._move_to(self._today() + timedelta(days=days))

    def _clock(self) -> time:
        if self.random.random() < 0.1:
            return self.random.choice([time(9), time(9, 0, 1), time(8, 59, 59), time(0), time(23, 59)])
        return time(self.random.randint(8, 18), self.random.choice([0, 15, 30, 45]))

    def _stamp(self, at: datetime) -> str:
        return at.astimezone(self.zone).isoformat()

    def _say(self, kind: str, data: Json) -> None:
        self.count += 1
        event = {
            "specversion": "1.0",
            "id": f"e{self.count}",
            "source": "site",
            "type": kind,
            "subject": "ITP-001",
            "time": self._stamp(self.now),
            "data": {"by": "crc-01", **data},
        }
        self.events.append(event)
        self._hear(event)
        self.now += timedelta(minutes=self.random.choice([0, 0, 1, 2, 7]))

    def _course(self) -> Course | None:
        return course(trial(), self.history, self.now) if self.history.standing(kinds.ENROLLED) else None

    def _hear(self, event: Json) -> None:
        """Take the event in as a door would: one by one."""
        said = read(self.count, event, self.zone)
        before = continued(self.history, said)
        if not rule_broken(trial(), self.history, said, before, said.time):
            self.history = self.history.plus(said, corrects={said: before} if before else None)

    # The instant of the question

    def _as_of(self) -> datetime:
        last = max(datetime.fromisoformat(event["time"]) for event in self.events)
        draw = self.random.random()
        if draw < 0.15:
            return self._nudged(datetime.fromisoformat(self.random.choice(self.events)["time"]))
        if draw < 0.5:
            return last + timedelta(minutes=self.random.choice([0, 1, 5, 240, 1440, 1441]))
        day = last.astimezone(self.zone).date() + timedelta(
            days=self.random.choice([0, 1, 2, 3, 5, 8, 21, 40, 120])
        )
        at = datetime.combine(day, self.random.choice([time(9), time(0), time(12)]), self.zone)
        found = self._course()
        if found and self.random.random() < 0.4:
            visit = self.random.choice(found.visits)
            edge = self.random.choice([visit.opens, visit.closes + timedelta(days=1), visit.target])
            at = datetime.combine(edge, self.random.choice([time(0), time(9)]), self.zone)
        return self._nudged(at)

    def _nudged(self, at: datetime) -> datetime:
        return at + timedelta(seconds=self.random.choice([-1, 0, 0, 1]))


_CHANGES: dict[str, Callable[[_Story, Any], Any]] = {
    "on": _Story._other_day,
    "grade": lambda story, value: story.random.choice([1, 2, 3, 4, 5]),
    "serious": lambda story, value: not value,
    "related": lambda story, value: not value,
    "term": lambda story, value: "fevers",
    "platelets": lambda story, value: value + 1,
    "weight_kg": lambda story, value: value + 4.5,
    "kind": lambda story, value: (
        story.random.choice(["rescue", "prohibited", "maintenance"])
        if value in ("rescue", "prohibited", "maintenance")
        else value
    ),
    "detail": lambda story, value: "twice",
    "reached": lambda story, value: not value,
    "decision": lambda story, value: story.random.choice(["continue", "stop-treatment", "withdraw"]),
    "visit": lambda story, value: story.random.choice(["INF2", "INF3", "FU-D14", value]),
    "ae": lambda story, value: story.random.choice(["AE1", "AE2", value]),
    "until": _Story._other_day,
    "partner": lambda story, value: not value,
    "screening": lambda story, value: {**value, "age_years": story.random.choice([6, 16, 34, 80])},
    "version": lambda story, value: story.random.choice(["1", "2", "3"]),
    "reason": lambda story, value: "as said before",
}

_MISHAPS: list[tuple[float, Callable[[_Story, Course], None]]] = [
    (6, _Story._correct),
    (4, _Story._adverse_event),
    (3, _Story._worse),
    (2, _Story._submit),
    (2, _Story._medicine),
    (2, _Story._attempts),
    (1, _Story._pregnancy),
    (0.7, _Story._withdraw_consent),
    (0.6, _Story._die),
    (2, _Story._decide),
    (2, _Story._book),
    (1, _Story._miss),
    (1, _Story._acknowledge),
    (1, _Story._unscheduled),
    (1.5, _Story._consent_given),
    (2, _Story._amend),
    (1, _Story._any_visit),
    (0.7, _Story._again),
    (0.7, _Story._reuse),
]

_OVERDUE: list[tuple[float, Callable[[_Story, Course], None]]] = [
    (2, _Story._acknowledge),
    (2, _Story._miss),
    (2, _Story._attempts),
    (1, _Story._book),
    (1, lambda story, found: None),
]

_AT_THE_END: list[tuple[float, Callable[[_Story, Course], None]]] = [
    (3, _Story._decide),
    (2, _Story._correct),
    (1, _Story._adverse_event),
    (1, _Story._worse),
    (1, _Story._submit),
    (1, _Story._die),
    (1, _Story._pregnancy),
    (1, _Story._any_visit),
    (1, _Story._consent_given),
]
