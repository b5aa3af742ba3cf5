"""Statements that must always hold, over generated histories.

The simulation's oracle states what must hold at each step; these tests ask it of generated histories.

CI looks at the same few hundred histories each time; `HYPOTHESIS_PROFILE=thorough` explores thousands. What
it finds becomes an example among the tests of the rule that it broke.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from deployments.simulation.engine import Step
from deployments.simulation.invariants import statements
from deployments.simulation.invariants.reference import Truth
from deployments.simulation.rules import SERVICE
from itp_events.decisions import Decision, decide
from itp_events.events import (
    Enrolled,
    Event,
    Exited,
    Flagged,
    Missed,
    NoticeIssued,
    TreatmentStopped,
    Voided,
)
from itp_events.intake.batch import judge
from itp_events.protocol.file import load_protocol
from itp_events.rules.decision_log import Issue
from itp_events.rules.dose import weighings
from itp_events.rules.state import SubjectState, subject_state
from itp_events.rules.subject import Subject, fold, not_voided
from tests.itp_events.histories import History, histories
from tests.itp_events.journey import Journey
from tests.support.study import INFUSIONS

pytestmark = pytest.mark.requirement("LOG-03")

DAY = timedelta(days=1)
# A history costs as much as a hundred small examples.
looked_at = settings(max_examples=max(24, settings().max_examples // 4))
Check = Callable[["Service", Decision], None]
HANDING = st.sampled_from(["at once", "never", "now and then"])


class Service(Journey):
    """The service over one history: it wakes when it asked to, and at other instants too."""

    def __init__(self, handing: str = "at once", check: Check | None = None) -> None:
        super().__init__()
        self.hands_over = handing == "at once"
        self.handing = handing
        self.check = check
        self.wakes = 0
        self.looked_at = 0
        self.before: frozenset[str] = frozenset()
        self._folded: tuple[tuple[int, int], Subject] | None = None

    def folded(self) -> Subject:
        """The subject as the service folds it: a log that has not grown gives what it gave before."""
        grown = len(self.log), len(self.handed)
        if self._folded is None or self._folded[0] != grown:
            self._folded = grown, super().folded()
        return self._folded[1]

    def decide(self, at: object) -> Decision:
        """Decide, hand over as this service does, and check what must hold."""
        self.wakes += 1
        if self.handing == "now and then" and self.wakes % 3 == 0:
            self.handed |= {issue.key for issue in self.unsent()}
        self.before = frozenset(self.handed)
        decision = super().decide(at)
        if self.check:
            self.check(self, decision)
        self.looked_at = len(self.log)
        return decision

    def step(self, decision: Decision) -> Step:
        """The step just taken, as the simulation's oracle looks at it."""
        accepted = tuple(event for event in self.log[self.looked_at :] if not event.own)
        now = decision.subject_state.now
        return Step(now, accepted, self.log, self.folded(), self.before, decision)

    def truth(self) -> Truth:
        """What the log plainly says."""
        return Truth.of(self.protocol, self.log)

    def unsent(self) -> list[Issue]:
        """The notices that stand and are not handed over."""
        issues = self.folded().decision_log.issues.values() if self.log else ()
        return [issue for issue in issues if issue.status == "issued" and issue.key not in self.handed]

    def live(self, history: History, extra: Sequence[datetime] = (), *, timely: bool = True) -> "Service":
        """The history as it came in; `extra` wakes besides, and unless `timely` no others."""
        note(repr(history))
        self.awake = timely
        told = [(now, batch) for now, batch in history.told] + [(instant, ()) for instant in extra]
        for now, batch in sorted(told, key=lambda pair: pair[0]):
            self._live(now)
            self.log.extend(batch)
            self.decide(now)
        return self


def instants(history: History, hours: Sequence[int], after: timedelta = 40 * DAY) -> list[datetime]:
    """Instants of a history and some time after it."""
    span = history.end + after - history.begin
    return [history.begin + timedelta(hours=hour) % span for hour in hours]


HOURS = st.lists(st.integers(0, 20_000), max_size=12)


# 1. Any number of extra wakes, at any times, changes nothing.


@looked_at
@given(histories(), HOURS)
def test_extra_wakes_change_nothing(history: History, hours: list[int]) -> None:
    """A service that wakes when it asked to records the same log, whatever else wakes it."""
    end = [history.end + 40 * DAY]
    extra = instants(history, hours)
    assert Service().live(history, [*extra, *extra, *end]).log == Service().live(history, end).log


@looked_at
@given(histories())
def test_nothing_changes_before_the_next_wake(history: History) -> None:
    """Woken a second before it asked to be, it decides nothing: it asked to be woken in time."""
    Prober().live(history, [history.end + 40 * DAY])


class Prober(Service):
    """A service that is also woken a second before each of its wakes."""

    def decide(self, at: object) -> Decision:
        """Decide as every service does; a second before, there was nothing to decide."""
        before = self.instant(at) - timedelta(seconds=1)
        if self.last and before > self.last.subject_state.now and self.instant(at) == self.wake:
            assert decide(self.folded(), before).events == ()
        return super().decide(at)


@looked_at
@given(histories(), HOURS)
def test_waking_late_catches_up(history: History, hours: list[int]) -> None:
    """Down for most of the time, it records the same misses, flags, stops and exits in the end."""
    end = [history.end + 40 * DAY]
    late = Service().live(history, [*instants(history, hours), *end], timely=False)
    assert held(late) == held(Service().live(history, end))


def held(service: Service) -> list[tuple[str, str]]:
    """The decisions that stand, other than notices, without the count of their repetitions."""
    found = service.folded().decision_log.decisions.items()
    return sorted((key, repr(entry.event.data)) for key, entry in found if entry.stands)


# 2. Any order of arrival in which the same events are accepted gives the same plan.


@pytest.mark.requirement("INT-03")
@looked_at
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(history: History, random: Random) -> None:
    protocol, now = load_protocol(), history.end
    waiting = history.facts
    random.shuffle(waiting)
    log = arrived(waiting, now)
    assume(len(log) == len(history.facts))
    for at in (now, now + 30 * DAY):
        assert shown(subject_state(fold(protocol, log), at)) == shown(
            subject_state(fold(protocol, history.facts), at)
        )


def arrived(waiting: list[Event], now: datetime) -> list[Event]:
    """Events that come in one by one, each sent again after a refusal, as far as they are accepted."""
    log: list[Event] = []
    refused: list[Event] | None = None
    while refused is None or len(refused) < len(waiting):
        waiting, refused = waiting if refused is None else refused, []
        for event in waiting:
            accepted = judge(load_protocol(), log, [event], now).accepted
            log.extend(accepted)
            refused.extend([] if accepted else [event])
    return log


@pytest.mark.requirement("INT-04")
@looked_at
@given(histories(), st.data())
def test_any_event_twice_counts_once(history: History, data: st.DataObject) -> None:
    again = data.draw(st.sampled_from(history.facts))
    judgement = judge(load_protocol(), history.facts, [again, again], history.end)
    assert [verdict.status for verdict in judgement.verdicts] == ["known", "known"]
    assert judgement.accepted == ()


def shown(state: SubjectState) -> object:
    """What a plan shows of a view."""
    told = (state.phase, state.status, state.dispositions, weighings(state.subject))
    return state.visits, state.flags, state.stop, state.exit, told


# 3. No notice key is ever queued twice; none is queued or waits after what makes it pointless.


@pytest.mark.requirement("DLV-01")
@looked_at
@given(histories(), HOURS, HANDING)
def test_no_key_is_ever_queued_twice(history: History, hours: list[int], handing: str) -> None:
    service = Service(handing, no_key_again)
    service.live(history, [*instants(history, hours), history.end + 40 * DAY])
    own = [event.id for event in service.log if event.own]
    assert len(own) == len(set(own))


def no_key_again(service: Service, decision: Decision) -> None:
    before = service.log[: len(service.log) - len(decision.events)]
    issued = {event.id for event in before if isinstance(event.data, NoticeIssued)}
    assert list(statements.keys(service.step(decision), issued)) == []


@pytest.mark.requirement("DLV-03")
@looked_at
@given(histories(), HOURS, HANDING, st.booleans())
def test_no_pointless_notice_waits_to_be_sent(
    history: History, hours: list[int], handing: str, timely: bool
) -> None:
    service = Service(handing, no_pointless_notice)
    service.live(history, [*instants(history, hours), history.end + 40 * DAY], timely=timely)


def no_pointless_notice(service: Service, decision: Decision) -> None:
    truth, now = service.truth(), decision.subject_state.now
    for issue in service.unsent():
        assert list(truth.pointless(issue.notice, issue.key, now)) == []
        assert not held_back(issue.notice, decision.subject_state), issue.key


def held_back(notice: NoticeIssued, state: SubjectState) -> bool:
    """Whether a reminder is about an infusion that the service itself shows as on hold or stopped."""
    infusion = notice.kind == "reminder" and notice.visit in INFUSIONS
    return infusion and bool(state.open_flags or state.stop)


# 4. wake_at > now, or None after exit once no clock runs; every journey ends, or waits for a named person.


@looked_at
@given(histories(), HOURS)
def test_the_next_wake_lies_ahead_or_nothing_is_left_to_do(history: History, hours: list[int]) -> None:
    Service("at once", wake_ahead).live(history, [*instants(history, hours), history.end + 40 * DAY])


def wake_ahead(service: Service, decision: Decision) -> None:
    assert list(statements.ahead(service.step(decision), service.truth())) == []


@looked_at
@given(histories())
def test_silence_ends_the_journey_or_waits_for_the_reminded_investigator(history: History) -> None:
    """If nothing were ever recorded again: an exit, or an open question that is asked again and again."""
    service = Service().live(history)
    for _ in range(400):
        if service.last and (
            service.last.subject_state.on_hold or service.last.subject_state.awaiting_disposition
        ):
            break
        if service.wake is None:
            assert service.last
            assert service.last.exited
            return
        service.decide(service.wake)
    assert service.last
    asked_at = service.last.subject_state.now
    service.until(asked_at + 25 * DAY)  # the longest holidays are nine days without work
    asked = [
        notice
        for event, notice in service.notices()
        if event.time > asked_at and notice.step.startswith(("decision-", "disposition"))
    ]
    assert any(notice.audience == "investigator" for notice in asked)


# 6. An infusion is never proposed while on hold or after stop.


@pytest.mark.requirement("REM-06")
@looked_at
@given(histories(), HOURS, st.booleans())
def test_an_infusion_is_never_proposed_on_hold_or_after_a_stop(
    history: History, hours: list[int], timely: bool
) -> None:
    """Neither suggested, nor reminded of, nor escalated further, nor are its cells ordered."""
    Service("at once", no_infusion_on_hold).live(history, instants(history, hours), timely=timely)


def no_infusion_on_hold(service: Service, decision: Decision) -> None:
    assert list(statements.no_infusion(service.step(decision), service.truth())) == []


# What the service recorded itself follows from the facts.


@pytest.mark.requirement("COR-03")
@looked_at
@given(histories(), HOURS, st.booleans())
def test_every_decision_that_stands_follows_from_the_facts(
    history: History, hours: list[int], timely: bool
) -> None:
    """A log without the service's own events gives the misses, flags, stop and exit that stand in it."""
    Service("at once", derivable).live(history, instants(history, hours), timely=timely)


def derivable(service: Service, decision: Decision) -> None:
    facts = [event for event in service.log if not event.own]
    state = subject_state(fold(service.protocol, facts), decision.subject_state.now)
    assert shown(state) == shown(decision.subject_state)
    recorded = [
        entry.event.data for entry in service.folded().decision_log.decisions.values() if entry.stands
    ]
    stops = [data.because for data in recorded if isinstance(data, TreatmentStopped)]
    exits = [data.because for data in recorded if isinstance(data, Exited)]
    misses = {data.visit for data in recorded if isinstance(data, Missed)}
    assert misses == {each.code for each in state.visits if each.missed_by_service}
    assert sum(isinstance(data, Flagged) for data in recorded) == len(state.flags)
    assert stops == ([state.effective_stop.event.reference] if state.effective_stop else [])
    assert exits == ([state.exit.event.reference] if state.exit else [])


@looked_at
@given(histories(), HOURS)
def test_deciding_twice_at_one_instant_decides_nothing_more(history: History, hours: list[int]) -> None:
    Service("now and then", decided_once).live(history, instants(history, hours))


def decided_once(service: Service, decision: Decision) -> None:
    step = service.step(decision)
    for handed in (step.handed, frozenset(service.handed)):
        assert list(statements.unsent(SERVICE, service.protocol, replace(step, handed=handed))) == []
    assert list(statements.uncommitted(SERVICE, service.protocol, step)) == []


@looked_at
@given(histories(), HOURS)
def test_the_state_at_an_instant_is_the_same_when_more_time_has_passed(
    history: History, hours: list[int]
) -> None:
    """Nothing rests on what follows from it: silence adds flags, misses and an end, and takes none back."""
    protocol = load_protocol()
    subject = fold(protocol, history.facts)
    earlier = subject_state(subject, history.end)
    for now in sorted(history.end + timedelta(hours=hour) for hour in hours):
        later = subject_state(subject, now)
        assert [flag for flag in later.flags if flag.at <= earlier.now] == list(earlier.flags)
        assert earlier.exit in (None, later.exit)
        assert later.exit is None or earlier.exit or later.exit.at > earlier.now
        for before, after in zip(earlier.visits, later.visits, strict=True):
            assert before.outcome in (None, after.outcome)
        earlier = later


@looked_at
@given(histories(), HOURS)
def test_an_end_that_the_service_finds_rests_on_misses_that_stood_without_it(
    history: History, hours: list[int]
) -> None:
    """`continue` ends nothing by itself: no infusion is missed because of the end that it would bring."""
    protocol = load_protocol()
    for now in [history.end, *instants(history, hours)]:
        facts = [event for event in history.facts if event.time <= now]
        end = subject_state(fold(protocol, facts), now).exit
        if end is None or getattr(end.event.data, "decision", "") != "continue":
            continue
        without = fold(protocol, [event for event in facts if event.key != end.event.key])
        visits = [each for each in subject_state(without, end.at).visits if each.code in INFUSIONS]
        assert {each.outcome for each in visits} == {"missed"}


def test_a_void_is_never_of_the_service_about_a_persons_statement() -> None:
    """The service voids its own decisions only."""
    service = Journey().treated("2026-01-05")
    service.until("2026-02-22 09:00")
    service.done("INF3", "2026-01-27", at="2026-02-23")
    assert {void.event.source for void in service.own(Voided)} == {"itp"}


@looked_at
@given(histories())
def test_a_subject_that_grows_with_each_fact_is_the_one_folded_from_its_log(history: History) -> None:
    """What a door and a plan carry on from fact to fact is what the whole log gives."""
    protocol, facts = load_protocol(), history.facts
    subject = fold(protocol, facts[:1])
    for count in range(2, len(facts) + 1):
        log = facts[:count]
        if not any(isinstance(event.data, Enrolled) for event in not_voided(log)):
            continue
        folded = fold(protocol, log)
        grown = subject.stating(log) if subject.enrolment in not_voided(log) else None
        if grown is not None:
            assert grown == folded
            assert {kind: grown.of(kind) for kind in map(type, (e.data for e in facts))} == {
                kind: folded.of(kind) for kind in map(type, (e.data for e in facts))
            }
        subject = folded
