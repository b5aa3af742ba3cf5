"""The oracle sees nothing wrong over a few seeds, and sees each fault that is put into the rules."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from deployments.simulation.engine import follow
from deployments.simulation.invariants.oracle import Checked, Oracle, Violation, check
from deployments.simulation.invariants.reference import NOTICES
from deployments.simulation.people.behaviour_file import NAMES
from deployments.simulation.rules import SERVICE, Rules
from itp_events.decisions import Decision, decide, wake_at
from itp_events.events import (
    AdverseEvent,
    Booked,
    Completed,
    ConsentWithdrawn,
    ContactAttempted,
    Data,
    Died,
    Event,
    MedicationChanged,
    NoticeClosed,
    NoticeWithdrawn,
    Pregnancy,
    SaeSubmitted,
    Voided,
    WithdrawalDecided,
)
from itp_events.intake.batch import Judgement, Verdict, judge
from itp_events.notices.reconcile import reconcile_notices
from itp_events.notices.reminders import visit_reminders
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import Protocol
from itp_events.rules.corrections import Chain
from itp_events.rules.decision_log import DecisionLog
from itp_events.rules.keys import next_key
from itp_events.rules.safety import clocks
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import Subject, fold, not_voided
from itp_events.rules.windows import PlannedVisit
from tests.deployments.simulation.runs import study

pytestmark = pytest.mark.requirement("LOG-05", "SIM-01")


@pytest.mark.parametrize("scenario", NAMES)
def test_what_must_always_hold_does(scenario: str) -> None:
    found = check([study(scenario, seed) for seed in (11, 12, 13)], subjects=1)
    assert [str(violation) for violation in found.violations] == []
    assert found.checks > found.steps > 100


@pytest.mark.parametrize("seed", [1034, 1163])
def test_an_ending_stated_on_the_morning_of_an_automatic_miss_is_not_followed_by_it(seed: int) -> None:
    found = check([study("unreliable", seed)], subjects=1)
    assert [str(violation) for violation in found.violations] == []


class Seen(Exception):
    """Raised at the first violation, to stop there."""


class FirstOnly(list[Violation]):
    """Violations that stop the course at the first one."""

    def append(self, violation: Violation) -> None:
        super().append(violation)
        raise Seen


def first_violation(scenario: str, seed: int, rules: Rules) -> Violation | None:
    """What the oracle sees first in the course of a study's first subject, by some rules."""
    found = Checked(violations=FirstOnly())
    ruled = replace(study(scenario, seed), rules=rules)
    oracle = Oracle(ruled, 0, found)
    try:
        oracle.course(follow(ruled, 0, oracle))
    except Seen:
        return found.violations[0]
    return None


# Faults in what is decided


def deciding(changed: Callable[[Decision, Subject, datetime], Decision]) -> Rules:
    """Rules whose decisions are changed."""

    def decided(known: Subject, now: datetime) -> Decision:
        return changed(decide(known, now), known, now)

    return replace(SERVICE, decide=decided)


def wakes_at_once() -> Rules:
    return deciding(lambda made, _, now: replace(made, wake_at=now) if made.wake_at else made)


def wakes_late() -> Rules:
    return deciding(lambda made, *_: replace(made, wake_at=made.wake_at and made.wake_at + timedelta(1)))


def sleeps_for_good() -> Rules:
    return deciding(lambda made, *_: replace(made, wake_at=None) if made.status == "in-follow-up" else made)


def forgets_clocks_after_exit() -> Rules:
    return deciding(lambda made, *_: replace(made, wake_at=None) if made.exited else made)


def wakes_for_ever_after_exit() -> Rules:
    return deciding(
        lambda made, _, now: replace(made, wake_at=now + timedelta(days=9)) if made.exited else made
    )


def issues_again_at_every_wake() -> Rules:
    return deciding(lambda _, known, now: decide(replace(known, decision_log=DecisionLog(pinned="1")), now))


def decides_by_chance() -> Rules:
    calls = count()
    return deciding(lambda made, *_: replace(made, events=made.events[: 9 if next(calls) % 5 else 0]))


def withdraws_nothing() -> Rules:
    def kept(made: Decision, *_: object) -> Decision:
        ended = (NoticeWithdrawn, NoticeClosed)
        return replace(made, events=tuple(each for each in made.events if not isinstance(each.data, ended)))

    return deciding(kept)


def counts_the_same_event_twice() -> Rules:
    def judged(*given: Any) -> Judgement:
        made = judge(*given)
        return replace(made, verdicts=tuple(Verdict(each.event, "accepted") for each in made.verdicts))

    return replace(SERVICE, judge=judged)


# Faults in what is shown: a state that says something else than the one that was decided on


class ProposingOnHold(SubjectState):
    """A state that proposes dates whatever holds."""

    def suggested(self, planned: PlannedVisit) -> date | None:
        """The target of each visit that waits."""
        return None if planned.outcome else planned.target


def proposes_on_hold() -> Rules:
    def shown(made: Decision, *_: object) -> Decision:
        state = made.subject_state
        values = {each.name: getattr(state, each.name) for each in fields(state)}
        return replace(made, subject_state=ProposingOnHold(**values))

    return deciding(shown)


def finds_no_visit_missed() -> Rules:
    def shown(made: Decision, *_: object) -> Decision:
        state = made.subject_state
        visits = tuple(
            each._replace(outcome="cancelled") if each.outcome == "missed" else each for each in state.visits
        )
        return replace(made, subject_state=replace(state, visits=visits))

    return deciding(shown)


# Faults in what is told


def telling(changed: Callable[[SubjectState, Sequence[WantedNotice]], Iterable[WantedNotice]]) -> Rules:
    """Rules that want other notices, and decide by them."""

    def told(made: Decision, *_: object) -> Decision:
        state = made.subject_state
        wanted = tuple(changed(state, made.wanted_notices))
        decided = (each for each in made.events if not isinstance(each.data, NOTICES))
        events = (*decided, *reconcile_notices(state, wanted))
        return replace(made, events=events, wanted_notices=wanted, wake_at=wake_at(state, wanted))

    return deciding(told)


def each_told(changed: Callable[[WantedNotice], WantedNotice]) -> Rules:
    return telling(lambda _, wanted: map(changed, wanted))


def told_only(right: Callable[[WantedNotice], bool]) -> Rules:
    return telling(lambda _, wanted: filter(right, wanted))


def issues_under_a_new_key() -> Rules:
    return each_told(lambda each: each._replace(key=next_key(each.key)))


def sends_all_that_was_missed() -> Rules:
    return each_told(lambda each: each._replace(until=None) if each.kind == "reminder" else each)


def tells_an_hour_late() -> Rules:
    hour = timedelta(hours=1)
    return each_told(lambda each: each._replace(due=each.due + hour) if each.kind == "alert" else each)


def counts_a_clock_from_the_report() -> Rules:
    def late(each: WantedNotice) -> WantedNotice:
        return each._replace(due=each.due + timedelta(hours=9)) if each.step.startswith("sae-") else each

    return each_told(late)


def repeats_nothing() -> Rules:
    repeated = ("decision", "disposition", "death-unrecorded")
    return told_only(lambda each: each.alert not in repeated)


def no_alerts(*names: str) -> Callable[[], Rules]:
    """The service never asks for some kinds of alerts."""

    def forgets() -> Rules:
        return told_only(lambda each: each.alert not in names)

    forgets.__name__ = "no_alerts_of_" + "_".join(names)
    return forgets


def knows_no_follow_up_report() -> Rules:
    def first_only(state: SubjectState, wanted: Sequence[WantedNotice]) -> Iterator[WantedNotice]:
        further = {each.event for each in clocks(state.subject) if each.follow_up}
        return (each for each in wanted if not (each.event in further and each.step.startswith("sae-")))

    return telling(first_only)


def reminds_of_what_is_recorded() -> Rules:
    def all_of_them(state: SubjectState, wanted: Sequence[WantedNotice]) -> Iterator[WantedNotice]:
        yield from (each for each in wanted if each.kind != "reminder")
        for planned in state.visits:
            yield from visit_reminders(state, planned)

    return telling(all_of_them)


def reminds_of_infusions_on_hold() -> Rules:
    def held_too(state: SubjectState, wanted: Sequence[WantedNotice]) -> Iterator[WantedNotice]:
        yield from (each for each in wanted if each.kind != "reminder")
        for planned in state.visits:
            if planned.outcome is None and planned.firm and not state.exit:
                yield from visit_reminders(state, planned)

    return telling(held_too)


# Faults in how a log is read


def reading(changed: Callable[[Subject, Sequence[Event]], Subject]) -> Rules:
    """Rules that read something else out of a log."""

    def folded(protocol: Protocol, history: Sequence[Event], handed: Collection[str] = ()) -> Subject:
        return changed(fold(protocol, history, handed), history)

    return replace(SERVICE, fold=folded)


def reading_as(changed: Callable[[Event], Event | None]) -> Rules:
    """Rules that read each event as another one, or not at all."""

    def folded(protocol: Protocol, history: Sequence[Event], handed: Collection[str] = ()) -> Subject:
        read = (event if event.own else changed(event) for event in history)
        return fold(protocol, [event for event in read if event is not None], handed)

    return replace(SERVICE, fold=folded)


def not_reading(wrong: Callable[[Data], bool]) -> Rules:
    return reading_as(lambda event: None if wrong(event.data) else event)


def saying(event: Event, **values: object) -> Event:
    """The event with some of its data changed."""
    return replace(event, data=event.data.model_copy(update=values))


def knows_no_hold() -> Rules:
    def harmless(event: Event) -> Event | None:
        if isinstance(event.data, MedicationChanged | ContactAttempted):
            return None
        return saying(event, related=False) if isinstance(event.data, AdverseEvent) else event

    return reading_as(harmless)


def knows_no_stop() -> Rules:
    def stops(data: Data) -> bool:
        decided = isinstance(data, WithdrawalDecided) and data.decision == "stop-treatment"
        consent = isinstance(data, ConsentWithdrawn) and data.scope == "treatment"
        return decided or consent or (isinstance(data, Pregnancy) and not data.partner)

    return not_reading(stops)


def never_ends() -> Rules:
    def ends(data: Data) -> bool:
        decided = isinstance(data, WithdrawalDecided) and data.decision in ("withdraw", "complete")
        consent = isinstance(data, ConsentWithdrawn) and data.scope == "study"
        last = isinstance(data, Completed) and data.visit == "FU-M12"
        return decided or consent or last or isinstance(data, Died)

    return not_reading(ends)


def runs_the_clock_on() -> Rules:
    return not_reading(lambda data: isinstance(data, SaeSubmitted))


def asks_for_a_death_that_is_recorded() -> Rules:
    return not_reading(lambda data: isinstance(data, Died))


def overlooks_moved_dates() -> Rules:
    return not_reading(lambda data: isinstance(data, Booked))


def tells_of_what_is_voided() -> Rules:
    return not_reading(lambda data: isinstance(data, Voided))


def overlooks_fatal_events() -> Rules:
    def survived(event: Event) -> Event:
        data = event.data
        if not isinstance(data, AdverseEvent) or not data.fatal:
            return event
        return saying(event, grade=min(data.grade, 4), outcome=None)

    return reading_as(survived)


def takes_facts_as_they_came() -> Rules:
    return reading(lambda known, history: replace(known, facts=tuple(not_voided(history))))


def takes_a_correction_for_news() -> Rules:
    return reading(lambda known, _: replace(known, chain=Chain({}, {})))


def invents_deviations() -> Rules:
    def overdosed(event: Event) -> Event:
        given = isinstance(event.data, Completed) and event.data.visit == "INF1"
        return saying(event, cells_given=1e12) if given else event

    return reading_as(overdosed)


def grades_in_spite_of_bleeding() -> Rules:
    def dry(event: Event) -> Event:
        return saying(event, bleeding=False) if isinstance(event.data, Completed) else event

    return reading_as(dry)


def reading_by(changed: Callable[[Protocol], Protocol]) -> Rules:
    """Rules that follow another protocol than the study's."""

    def folded(protocol: Protocol, history: Sequence[Event], handed: Collection[str] = ()) -> Subject:
        return fold(changed(protocol), history, handed)

    return replace(SERVICE, fold=folded)


def calls_every_deviation_important() -> Rules:
    def strict(protocol: Protocol) -> Protocol:
        always = {"important": True, "beyond_days": None, "epochs": None}
        strictly = {name: rule.model_copy(update=always) for name, rule in protocol.deviations.items()}
        return protocol.model_copy(update={"deviations": strictly})

    return reading_by(strict)


def needs_no_second_count() -> Rules:
    def lenient(protocol: Protocol) -> Protocol:
        response = protocol.response.model_copy(update={"confirmed_after_days": 0})
        return protocol.model_copy(update={"response": response})

    return reading_by(lenient)


# The fault, a seed whose first subject meets it soon, and the statements of which one is seen to be broken.
FAULTS: tuple[tuple[Callable[[], Rules], str, int, set[int]], ...] = (
    (counts_the_same_event_twice, "typical", 12, {2}),
    (decides_by_chance, "typical", 12, {1, 5}),
    (forgets_clocks_after_exit, "unreliable", 3, {1, 4}),
    (issues_again_at_every_wake, "typical", 12, {1, 3, 5}),
    (issues_under_a_new_key, "typical", 12, {1, 3, 5}),
    (knows_no_hold, "unreliable", 4, {3, 6}),
    (knows_no_stop, "unreliable", 4, {3, 6}),
    (never_ends, "typical", 12, {3, 4, 6}),
    (proposes_on_hold, "unreliable", 3, {6}),
    (reminds_of_infusions_on_hold, "unreliable", 3, {3, 6}),
    (reminds_of_what_is_recorded, "typical", 12, {1, 3, 6}),
    (repeats_nothing, "unreliable", 3, {4}),
    (runs_the_clock_on, "unreliable", 3, {3}),
    (sends_all_that_was_missed, "outage", 12, {3}),
    (sleeps_for_good, "typical", 12, {1, 4}),
    (takes_facts_as_they_came, "unreliable", 4, {1, 2}),
    (tells_of_what_is_voided, "unreliable", 12, {3, 6}),
    (wakes_at_once, "typical", 12, {4}),
    (wakes_for_ever_after_exit, "typical", 12, {1, 4}),
    (wakes_late, "perfect", 12, {1}),
    (no_alerts("sae"), "unreliable", 3, {7}),
    (
        no_alerts("out-of-window", "infusion-on-hold", "booking-out-of-window", "dose-deviation"),
        "unreliable",
        3,
        {7},
    ),
    (no_alerts("flag"), "unreliable", 3, {7}),
    (no_alerts("exit", "treatment-stopped"), "typical", 12, {7}),
    (no_alerts("stand-down"), "unreliable", 3, {7}),
    (tells_an_hour_late, "unreliable", 3, {7}),
    (knows_no_follow_up_report, "unreliable", 7, {7, 9}),
    (counts_a_clock_from_the_report, "unreliable", 3, {7, 9}),
    (overlooks_fatal_events, "unreliable", 9, {3, 6}),
    (asks_for_a_death_that_is_recorded, "unreliable", 13, {3}),
    (overlooks_moved_dates, "typical", 12, {3}),
    (takes_a_correction_for_news, "unreliable", 7, {8}),
    (finds_no_visit_missed, "unreliable", 3, {9}),
    (invents_deviations, "typical", 12, {9}),
    (calls_every_deviation_important, "unreliable", 3, {9}),
    (needs_no_second_count, "typical", 12, {9}),
    (grades_in_spite_of_bleeding, "typical", 12, {9}),
    (withdraws_nothing, "unreliable", 5, {3}),
)


@pytest.mark.parametrize(
    ("fault", "scenario", "seed", "broken"), FAULTS, ids=lambda each: getattr(each, "__name__", "")
)
def test_a_fault_in_the_rules_is_seen(
    fault: Callable[[], Rules], scenario: str, seed: int, broken: set[int]
) -> None:
    violation = first_violation(scenario, seed, fault())
    assert violation is not None
    assert violation.statement in broken, str(violation)


def test_a_violation_names_its_subject_and_shows_its_log() -> None:
    violation = first_violation("typical", 12, wakes_at_once())
    assert violation is not None
    assert "SIM-0001" in str(violation)
    assert "itp.subject.enrolled" in {event["type"] for event in violation.log}
