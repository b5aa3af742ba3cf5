"""The rules that an event must keep to be let in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from tests.oracle import said as kinds
from tests.oracle.course import Course, course
from tests.oracle.days import later, length
from tests.oracle.eligibility import not_met
from tests.oracle.history import History
from tests.oracle.illness import DEADLY
from tests.oracle.periods import Period, held
from tests.oracle.said import Said
from tests.oracle.trial import Trial
from tests.oracle.visits import Visit, enrolment

AFTER_EXIT = frozenset(
    {
        kinds.ADVERSE_EVENT,
        kinds.SUBMITTED,
        kinds.PREGNANCY,
        kinds.DIED,
        kinds.VOID,
        kinds.ASSESSED,
        kinds.CONSENT_GIVEN,
        kinds.CONTACT_AGREED,
    }
)


_OF_DAYS_TO_COME = (kinds.BOOKED, kinds.ACKNOWLEDGED, kinds.ANSWERED)


@dataclass
class _Case:
    trial: Trial
    history: History
    said: Said
    before: Said | None
    restated: bool
    now: datetime

    @cached_property
    def course(self) -> Course:
        """What holds when the event is recorded."""
        return course(self.trial, self.history, self.now)

    @cached_property
    def course_then(self) -> Course:
        """What held when the event was reported, whatever silence brought since."""
        if self.said.time == self.now:
            return self.course
        return course(self.trial, self.history, self.said.time)

    @property
    def visit_known(self) -> bool:
        """Whether the subject's protocol has the visit, now or when the event happened."""
        return any(visit.code == self.said.visit for visit in self.course_of_visit.visits)

    @cached_property
    def course_of_visit(self) -> Course:
        """The course by the version that has the visit: what came before an assignment is judged as then."""
        if any(visit.code == self.said.visit for visit in self.course.visits):
            return self.course
        said = self.said
        later = [
            each
            for each in self.history.standing(kinds.ASSIGNED)
            if not Period(self.trial, self.history.known(each)).reaches(said.happened, said.time)
            or self.history.known(each) > said.time
        ]
        before = History([each for each in self.history.accepted if each not in later], self.history.corrects)
        return course(self.trial, before, self.now) if later else self.course

    def visit(self) -> Visit:
        return self.course_of_visit.visit(self.said.visit)


def rule_broken(
    trial: Trial, history: History, said: Said, before: Said | None, now: datetime, restated: bool = False
) -> str | None:
    """The rule that the event breaks, given what was let in so far; None when it may come in.

    `before` is what the event corrects; `restated` says that a restatement comes along with the void.
    """
    case = _Case(trial, history, said, before, restated, now)
    return next(_broken(case), None)


def _broken(case: _Case) -> Iterator[str]:
    yield from _dates(case)
    if case.said.type == kinds.ENROLLED:
        yield from _enrolled(case)
        return
    if not case.history.standing(kinds.ENROLLED):
        yield "not-enrolled"
        return
    if "on" in case.said.data and case.said.on < date.fromisoformat(
        enrolment(case.history).data["consent_on"]
    ):
        yield "before-consent"
    if case.said.type == kinds.VOID:
        yield from _void(case)
        return
    if case.said.type not in AFTER_EXIT and _after_exit(case):
        yield "after-exit"
        return
    if case.said.visit and not case.visit_known:
        yield "unknown-visit"
        return
    yield from _OF_TYPE.get(case.said.type, _nothing)(case)


def _assigned(case: _Case) -> Iterator[str]:
    version = case.trial.versions.get(case.said.data["version"])
    early = version is None or case.said.day.isoformat() < version.effective_on
    if early or held(case.trial, case.history, case.said.day, case.said.time) is version:
        yield "protocol-version"


def _after_exit(case: _Case) -> bool:
    """Whether the study had ended; a booking or an answer is held against what was known when it was made."""
    ending, said = case.course_then.exit, case.said
    if ending is None:
        return False
    if said.type in _OF_DAYS_TO_COME:
        return ending.known <= said.time
    if case.before and ending.by:
        return ending.by.order < said.order
    return not (case.before and said.on <= ending.on)


def _nothing(case: _Case) -> Iterator[str]:
    return iter(())


def _dates(case: _Case) -> Iterator[str]:
    said = case.said
    if said.type not in _OF_DAYS_TO_COME and said.on > said.day:
        yield "date-ahead"
    if said.aware_at and said.aware_at > said.time:
        yield "aware-ahead"


def _enrolled(case: _Case) -> Iterator[str]:
    said = case.said
    if case.history.standing(kinds.ENROLLED):
        yield "second-enrolment"
        return
    if "assent_on" in said.data and date.fromisoformat(said.data["assent_on"]) > said.day:
        yield "date-ahead"
    first = case.trial.visits[0]
    agreed = date.fromisoformat(said.data.get("first_infusion_on", said.data["on"]))
    if not said.on <= agreed <= later(said.on, first["target"]) + length(first["after"]):
        yield "first-infusion"
    if not case.before and not_met(case.trial, said):
        yield "eligibility"
    if case.before:
        yield from _enrolled_anew(case)


def _enrolled_anew(case: _Case) -> Iterator[str]:
    infusions = set(case.trial.infusions)
    given = [each for each in case.history.standing(kinds.COMPLETED) if each.visit in infusions]
    if any(each.on < case.said.on for each in given):
        yield "before-enrolment"


def _void(case: _Case) -> Iterator[str]:
    name = (case.said.data["event"]["source"], case.said.data["event"]["id"])
    gone = next((each for each in case.history.accepted if each.name == name), None)
    if gone is None:
        yield "void-unknown"
    elif name in case.history.voided:
        yield "void-twice"
    elif gone.type == kinds.VOID:
        yield "void-of-void"
    elif gone.type == kinds.ENROLLED and not case.restated:
        yield "void-enrolment"


def _booked(case: _Case) -> Iterator[str]:
    yield from _still_open(case, "booking")


def _answered(case: _Case) -> Iterator[str]:
    yield from _still_open(case, "answer")


def _still_open(case: _Case, rule: str) -> Iterator[str]:
    visit = case.course_then.visit(case.said.visit)
    if _stated_by(case, visit):
        yield "recorded-once"
    elif visit.cancelled_by(case.said.time) or visit.missed_by == "service":
        yield rule


def _stated_by(case: _Case, visit: Visit) -> bool:
    """Whether what became of the visit had been stated when this event was reported."""
    at = case.history.known(visit.done) if visit.done else visit.missed
    return _stated(case, visit) and at is not None and at <= case.said.time


def _stated(case: _Case, visit: Visit) -> bool:
    return bool(visit.done) or visit.missed_by == "stated"


def _completed(case: _Case) -> Iterator[str]:
    visit = case.visit()
    if _stated(case, visit):
        yield "recorded-once"
    if not _anchored(case, visit):
        yield "anchor-first"
    if visit.treatment:
        yield from _infusion(case, visit)
    yield from _plausible(case, visit)


def _anchored(case: _Case, visit: Visit) -> bool:
    return visit.resolved is not None


def _infusion(case: _Case, visit: Visit) -> Iterator[str]:
    on, code = case.said.on, visit.code
    if on < enrolment(case.history).on:
        yield "before-enrolment"
    codes = case.trial.infusions
    for other in case.course.infusions:
        if other.done and other.code != code:
            earlier = codes.index(other.code) < codes.index(code)
            if (earlier and other.done.on >= on) or (not earlier and other.done.on <= on):
                yield "infusions-in-order"


def _plausible(case: _Case, visit: Visit) -> Iterator[str]:
    if case.said.data.get("confirmed"):
        return
    visits = case.course_of_visit.visits
    earlier = visits[: visits.index(visit)]
    before = next((each for each in reversed(earlier) if not each.cancelled), None)
    if before and case.said.on < before.opens:
        yield "before-the-visit-before"


def _missed(case: _Case) -> Iterator[str]:
    visit = case.visit()
    if _stated(case, visit):
        yield "recorded-once"
    elif visit.cancelled_by(case.said.time):
        yield "cancelled"
    elif not _anchored(case, visit):
        yield "anchor-first"


def _adverse_event(case: _Case) -> Iterator[str]:
    data = case.said.data
    if (data["grade"] == DEADLY or data.get("outcome") == "fatal") and not data["serious"]:
        yield "death-is-serious"


def _submitted(case: _Case) -> Iterator[str]:
    known = {each.data["ae"] for each in case.history.standing(kinds.ADVERSE_EVENT)}
    known |= {
        version.id
        for each in case.history.standing(kinds.PREGNANCY, kinds.DIED)
        for version in case.history.versions(each)
    }
    if case.said.data["ae"] not in known:
        yield "submission"


def _decided(case: _Case) -> Iterator[str]:
    data = case.said.data
    decision, criterion = data["decision"], data.get("criterion")
    if (data.get("decode") == "COMPLETED") != (decision == "complete") and ("decode" in data):
        yield "decision"
    last = case.course_then.visits[-1]
    if decision == "complete" and not (last.missed or last.cancelled):
        yield "decision"
    flags = case.course_then.open_flags(case.said.time)
    if (
        criterion
        and criterion != "investigator-decision"
        and criterion not in {each.criterion for each in flags}
    ):
        yield "decision"
    if decision == "continue" and not flags:
        yield "decision"
    if decision == "continue" and criterion == "investigator-decision":
        yield "decision"
    if decision == "stop-treatment" and all(_over_by_then(case, each) for each in case.course_then.infusions):
        yield "decision"


def _over_by_then(case: _Case, visit: Visit) -> bool:
    """Whether it was known, when an event was reported, what had become of a visit."""
    at = case.history.known(visit.done) if visit.done else visit.missed
    return visit.cancelled_by(case.said.time) or (at is not None and at <= case.said.time)


def _acknowledged(case: _Case) -> Iterator[str]:
    visit, said = case.visit(), case.said
    if _stated_by(case, visit):
        yield "recorded-once"
    then = case.course_then.visit(said.visit)
    over = visit.cancelled_by(said.time) or then.missed_by == "service"
    if over or not (visit.resolved and said.day > visit.closes):
        yield "acknowledgement"
    most = timedelta(days=case.trial.rules["ladder"]["acknowledged_at_most_days"])
    if "until" in said.data and not said.day <= date.fromisoformat(said.data["until"]) <= said.day + most:
        yield "acknowledgement"


def _pregnant(case: _Case) -> Iterator[str]:
    man = enrolment(case.history).data["screening"]["sex"] == "male"
    if man and not case.said.data.get("partner"):
        yield "pregnancy"


_OF_TYPE: dict[str, Callable[[_Case], Iterator[str]]] = {
    kinds.BOOKED: _booked,
    kinds.ANSWERED: _answered,
    kinds.COMPLETED: _completed,
    kinds.MISSED: _missed,
    kinds.ADVERSE_EVENT: _adverse_event,
    kinds.SUBMITTED: _submitted,
    kinds.PREGNANCY: _pregnant,
    kinds.DECIDED: _decided,
    kinds.ACKNOWLEDGED: _acknowledged,
    kinds.ASSIGNED: _assigned,
}
