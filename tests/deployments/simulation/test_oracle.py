"""The oracle sees nothing wrong over a few seeds, and sees each fault that is put into the rules."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from deployments.simulation import engine
from deployments.simulation.engine import follow
from deployments.simulation.invariants import statements
from deployments.simulation.invariants.oracle import Checked, Oracle, Violation, check
from deployments.simulation.people.behaviour_file import NAMES
from itp_events import decisions
from itp_events.decisions import Decision
from itp_events.events import Died, Event, Voided
from itp_events.intake import batch as intake
from itp_events.intake.batch import Judgement, Verdict
from itp_events.notices import alerts, reconcile, reminders
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import Protocol
from itp_events.rules import corrections, deviations, response, safety, state, subject
from itp_events.rules.decision_log import DecisionLog
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import Subject
from tests.deployments.simulation.runs import study


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


def first_violation(scenario: str, seed: int) -> Violation | None:
    """What the oracle sees first in the course of a study's first subject."""
    found = Checked(violations=FirstOnly())
    oracle = Oracle(study(scenario, seed), 0, found)
    try:
        oracle.course(follow(study(scenario, seed), 0, oracle))
    except Seen:
        return found.violations[0]
    return None


Patch = pytest.MonkeyPatch
real_decide, real_judge, real_fold = decisions.decide, intake.judge, subject.fold


def everywhere(patch: Patch, name: str, value: object, *modules: Any) -> None:
    for module in modules:
        patch.setattr(module, name, value)


def decide_as(patch: Patch, changed: Callable[[Decision, Subject, datetime], Decision]) -> None:
    def decide(known: Subject, now: datetime) -> Decision:
        return changed(real_decide(known, now), known, now)

    everywhere(patch, "decide", decide, engine, statements)


def wakes_at_once(patch: Patch) -> None:
    decide_as(patch, lambda made, _, now: replace(made, wake_at=now) if made.wake_at else made)


def wakes_late(patch: Patch) -> None:
    decide_as(patch, lambda made, *_: replace(made, wake_at=made.wake_at and made.wake_at + timedelta(1)))


def sleeps_for_good(patch: Patch) -> None:
    decide_as(patch, lambda made, *_: replace(made, wake_at=None) if made.status == "in-follow-up" else made)


def forgets_clocks_after_exit(patch: Patch) -> None:
    decide_as(patch, lambda made, *_: replace(made, wake_at=None) if made.exited else made)


def wakes_for_ever_after_exit(patch: Patch) -> None:
    decide_as(
        patch, lambda made, _, now: replace(made, wake_at=now + timedelta(days=9)) if made.exited else made
    )


def issues_again_at_every_wake(patch: Patch) -> None:
    def forgotten(made: Decision, known: Subject, now: datetime) -> Decision:
        return real_decide(replace(known, decision_log=DecisionLog(pinned="1")), now)

    decide_as(patch, forgotten)


def issues_under_a_new_key(patch: Patch) -> None:
    def issued(state: SubjectState, wanted: WantedNotice, _: object) -> Iterator[Event]:
        yield reconcile.own(state, wanted.key + "#2", reconcile.notice(state, wanted, wanted.key + "#2"))

    patch.setattr(reconcile, "_of_use", issued)


def reminds_of_what_is_recorded(patch: Patch) -> None:
    def all_of_them(state: SubjectState) -> Iterator[WantedNotice]:
        for planned in state.visits:
            yield from reminders.visit_reminders(state, planned)

    patch.setattr(decisions, "reminders", all_of_them)


def reminds_of_infusions_on_hold(patch: Patch) -> None:
    def held_too(state: SubjectState) -> Iterator[WantedNotice]:
        for planned in state.visits:
            if planned.outcome is None and planned.firm and not state.exit:
                yield from reminders.visit_reminders(state, planned)

    patch.setattr(decisions, "reminders", held_too)


def knows_no_hold(patch: Patch) -> None:
    everywhere(patch, "flags", lambda *_: [], state)


def proposes_on_hold(patch: Patch) -> None:
    patch.setattr(SubjectState, "suggested", lambda _, planned: None if planned.outcome else planned.target)


def knows_no_stop(patch: Patch) -> None:
    everywhere(patch, "stops", lambda *_: [], state)


def never_ends(patch: Patch) -> None:
    everywhere(patch, "exits", lambda *_: [], state)


def sends_all_that_was_missed(patch: Patch) -> None:
    patch.setattr(reminders, "_until", lambda wanted, _: wanted)


def withdraws_nothing(patch: Patch) -> None:
    patch.setattr(reconcile, "_ended", lambda *_: iter(()))


def repeats_nothing(patch: Patch) -> None:
    everywhere(patch, "repeats", lambda *_: iter(()), alerts)


def runs_the_clock_on(patch: Patch) -> None:
    patch.setattr(safety, "_submissions", lambda *_: [])


def tells_of_what_is_voided(patch: Patch) -> None:
    def with_voided(history: Any) -> list[Event]:
        return [event for event in history if not event.own and not isinstance(event.data, Voided)]

    patch.setattr(subject, "not_voided", with_voided)


def takes_facts_as_they_came(patch: Patch) -> None:
    def fold(protocol: Protocol, history: Any, handed: Any = ()) -> Subject:
        known = real_fold(protocol, history, handed)
        return replace(known, facts=tuple(subject.not_voided(history)))

    everywhere(patch, "fold", fold, engine, statements)


def decides_by_chance(patch: Patch) -> None:
    calls = count()
    decide_as(patch, lambda made, *_: replace(made, events=made.events[: 9 if next(calls) % 5 else 0]))


def counts_the_same_event_twice(patch: Patch) -> None:
    def judge(protocol: Protocol, history: Any, batch: Any, now: datetime) -> Judgement:
        made = real_judge(protocol, history, batch, now)
        return Judgement(tuple(Verdict(each.event, "accepted") for each in made.verdicts), made.accepted)

    everywhere(patch, "judge", judge, statements)


def no_alerts(*kinds: str) -> Callable[[Patch], None]:
    """The service never asks for some kinds of alerts."""

    def forgets(patch: Patch) -> None:
        rest = tuple(each for each in alerts._ALERTS if each.__name__ not in kinds)
        assert len(rest) == len(alerts._ALERTS) - len(kinds)
        patch.setattr(alerts, "_ALERTS", rest)

    forgets.__name__ = "no_alerts_of" + "".join(kinds)
    return forgets


def tells_an_hour_late(patch: Patch) -> None:
    real = alerts._about

    def late(*given: Any, **options: Any) -> Iterator[WantedNotice]:
        return (each._replace(due=each.due + timedelta(hours=1)) for each in real(*given, **options))

    patch.setattr(alerts, "_about", late)


def knows_no_follow_up_report(patch: Patch) -> None:
    patch.setattr(safety, "_worse", lambda *_: False)


def counts_a_clock_from_the_report(patch: Patch) -> None:
    patch.setattr(safety, "_heard_of", lambda known, report: report.time + timedelta(hours=9))
    patch.setattr(
        safety,
        "_as_corrected",
        lambda known, course, origin: replace(origin, data=origin.data.model_copy(update={"aware_at": None})),
    )


def overlooks_fatal_events(patch: Patch) -> None:
    everywhere(patch, "unrecorded_death", lambda *_: None, state)
    everywhere(patch, "fatal_holds", lambda *_: [], state)


def asks_for_a_death_that_is_recorded(patch: Patch) -> None:
    real = safety.unrecorded_death

    def asked(known: Subject) -> Any:
        alive = replace(known, facts=tuple(each for each in known.facts if not isinstance(each.data, Died)))
        return real(alive)

    everywhere(patch, "unrecorded_death", asked, state)
    patch.setattr(SubjectState, "unrecorded_death", property(lambda held: asked(held.subject)))


def overlooks_moved_dates(patch: Patch) -> None:
    patch.setattr(Subject, "booked", property(lambda _: {}))


def takes_a_correction_for_news(patch: Patch) -> None:
    patch.setattr(corrections.Chain, "origin", lambda _, event, basis=None: event)


def finds_no_deviations(patch: Patch) -> None:
    patch.setattr(deviations, "_CATEGORIES", ())


def invents_deviations(patch: Patch) -> None:
    patch.setattr(deviations, "deviates", lambda _, planned: bool(planned.on and planned.code == "INF1"))


def calls_every_deviation_important(patch: Patch) -> None:
    patch.setattr(deviations, "_ruled", lambda *_: True)


def needs_no_second_count(patch: Patch) -> None:
    patch.setattr(response, "_is_confirmed", lambda *_: True)


def grades_in_spite_of_bleeding(patch: Patch) -> None:
    real = response.grade
    patch.setattr(
        response, "grade", lambda rule, platelets, _, baseline: real(rule, platelets, False, baseline)
    )


# The fault, a seed whose first subject meets it soon, and the statements of which one is seen to be broken.
FAULTS: tuple[tuple[Callable[[Patch], None], str, int, set[int]], ...] = (
    (counts_the_same_event_twice, "typical", 12, {2}),
    (decides_by_chance, "typical", 12, {1, 5}),
    (forgets_clocks_after_exit, "unreliable", 3, {1, 4}),
    (issues_again_at_every_wake, "typical", 12, {1, 3, 5}),
    (issues_under_a_new_key, "typical", 12, {1, 3, 5}),
    (knows_no_hold, "unreliable", 3, {3, 6}),
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
    (no_alerts("_safety"), "unreliable", 3, {7}),
    (no_alerts("_visits"), "unreliable", 3, {7}),
    (no_alerts("_flags"), "unreliable", 3, {7}),
    (no_alerts("_endings"), "typical", 12, {7}),
    (no_alerts("_stand_down"), "unreliable", 3, {7}),
    (tells_an_hour_late, "unreliable", 3, {7}),
    (knows_no_follow_up_report, "unreliable", 7, {7, 9}),
    (counts_a_clock_from_the_report, "unreliable", 3, {7, 9}),
    (overlooks_fatal_events, "unreliable", 9, {3, 6}),
    (asks_for_a_death_that_is_recorded, "unreliable", 3, {3}),
    (overlooks_moved_dates, "typical", 12, {3}),
    (takes_a_correction_for_news, "unreliable", 7, {8}),
    (finds_no_deviations, "unreliable", 3, {9}),
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
    fault: Callable[[Patch], None], scenario: str, seed: int, broken: set[int], monkeypatch: Patch
) -> None:
    fault(monkeypatch)
    violation = first_violation(scenario, seed)
    assert violation is not None
    assert violation.statement in broken, str(violation)


def test_a_violation_names_its_subject_and_shows_its_log(monkeypatch: Patch) -> None:
    wakes_at_once(monkeypatch)
    violation = first_violation("typical", 12)
    assert violation is not None
    assert "SIM-0001" in str(violation)
    assert "itp.subject.enrolled" in {event["type"] for event in violation.log}
