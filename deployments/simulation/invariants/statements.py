"""The six statements of what must always hold, each as a question to one step of a simulated subject.

Each yields what does not hold, in words. Where a statement says what the service must do given the facts,
`truth` answers and not the service's own view of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from deployments.simulation.engine import Step
from deployments.simulation.invariants.findings import different_deviations, different_response
from deployments.simulation.invariants.reference import NOTICES, Truth
from deployments.simulation.rules import Rules
from itp_events.decisions import Decision
from itp_events.events import (
    Event,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeWithdrawn,
)
from itp_events.protocol.model import Protocol
from itp_events.rules.keys import previous_key

_SECOND = timedelta(seconds=1)
# Nothing is asked for later than this after a wake that asks for no other.
_LONG = timedelta(days=30)


def extra_wakes(
    rules: Rules, protocol: Protocol, step: Step, chance: Random, handed: frozenset[str]
) -> Iterator[str]:
    """1. Any number of extra wakes, at any times before the next one, changes nothing.

    The last second before it is always looked at, and by chance the present or an instant between.
    """
    decision = step.decision
    until = decision.wake_at or step.now + _LONG
    between = step.now + (until - step.now) * chance.random()
    subject = rules.fold(protocol, step.log, handed)
    for at in (chance.choice((step.now, between)), until - _SECOND):
        if not step.now <= at < until:
            continue
        again = rules.decide(subject, at)
        for event in again.events:
            yield f"an extra wake at {at.isoformat()} brings {event.type} {event.id}"
        if again.wake_at != decision.wake_at:
            yield f"an extra wake at {at.isoformat()} moves wake_at {decision.wake_at} to {again.wake_at}"
        if again.state != decision.state:
            yield f"{decision.state!r} is {again.state!r} at {at.isoformat()}, with no wake between"


def sent_twice(rules: Rules, protocol: Protocol, step: Step) -> Iterator[str]:
    """2. An event that was sent twice counts once."""
    if step.accepted:
        for verdict in rules.judge(protocol, step.log, step.accepted, step.now).verdicts:
            if verdict.status != "known":
                yield f"{verdict.event.id} sent again is {verdict.status}"


def another_order(rules: Rules, protocol: Protocol, step: Step, chance: Random) -> Iterator[str]:
    """2. The facts one by one in another order of arrival: where all are accepted, the plan is the same."""
    pinned = [event for event in step.log if event.own and event.type == "itp.protocol.assigned"]
    facts = [event for event in step.log if not event.own]
    log = list(pinned)
    for event in _moved(facts, chance):
        accepted = rules.judge(protocol, log, [event], step.now).accepted
        if not accepted:
            return
        log += accepted
    here, there = (
        _alone(rules, protocol, [*pinned, *each], step.now) for each in (facts, log[len(pinned) :])
    )
    for name in ("visits", "flags", "stop", "exit"):
        if getattr(here.subject_state, name) != getattr(there.subject_state, name):
            yield f"in another order of arrival its {name} are different"
    if {wanted.key for wanted in here.wanted_notices} != {wanted.key for wanted in there.wanted_notices}:
        yield "in another order of arrival its duties are different"


def _moved(facts: list[Event], chance: Random) -> list[Event]:
    """The facts with a few of them, not the enrolment, arriving earlier or later than they did."""
    moved = list(facts)
    for _ in range(min(3, len(moved) - 1)):
        event = moved.pop(chance.randrange(1, len(moved)))
        moved.insert(chance.randrange(1, len(moved) + 1), event)
    return moved


def _alone(rules: Rules, protocol: Protocol, facts: list[Event], now: datetime) -> Decision:
    return rules.decide(rules.fold(protocol, facts), now)


def keys(step: Step, issued: set[str]) -> Iterator[str]:
    """3. No key is issued twice; the same again has a new one, and only after the one before it ended."""
    before = step.log[: len(step.log) - len(step.decision.events)]
    ended = {
        event.data.notice for event in step.log if isinstance(event.data, NoticeClosed | NoticeWithdrawn)
    }
    for event in step.decision.events:
        data = event.data
        if isinstance(data, NoticeIssued):
            if event.id in issued:
                yield f"{event.id} is issued twice"
            if (last := previous_key(event.id)) and last not in ended:
                yield f"{event.id} is issued, and {last} still stands"
        elif isinstance(data, NoticeReopened) and data.notice in step.handed:
            yield f"{data.notice} is reopened after it was handed over"
    known = {event.key for event in before}
    doubled = [event.id for event in step.decision.events if event.key in known]
    yield from (f"{each} is in the log already" for each in doubled)


def of_use(step: Step, truth: Truth, waiting: dict[str, NoticeIssued]) -> Iterator[str]:
    """3. A notice that waits or is still asked for has a point, and no burst of reminders leaves."""
    for row, notice in waiting.items():
        yield from truth.pointless(notice, row, step.now)
    for wanted in step.decision.wanted_notices:
        yield from truth.pointless(wanted, wanted.key)
    issued = [event.data for event in step.decision.events if isinstance(event.data, NoticeIssued)]
    told = Counter((each.visit, each.audience) for each in issued if each.kind == "reminder")
    yield from (f"{count} reminders of {who} at once" for who, count in told.items() if count > 1)


def ahead(step: Step, truth: Truth) -> Iterator[str]:
    """4. The next wake lies ahead, or is None after exit once no clock runs."""
    wake, state = step.decision.wake_at, step.decision.subject_state
    if wake is not None and wake <= step.now:
        yield f"wake_at {wake.isoformat()} does not lie ahead"
    if wake is None and state.exit is None:
        yield f"{state.phase}: not ended, and nothing will wake it"
    if wake is None and truth.running(step.now):
        yield "something serious is not submitted, and nothing will wake it"
    if truth.ended and state.exit is None:
        yield f"{state.phase}, and what ends the journey is in the log"


def again(rules: Rules, protocol: Protocol, step: Step, chance: Random) -> Iterator[str]:
    """5. Killed before the step was committed, or before anything left, it loses and doubles nothing.

    Where people stated something both are looked at, else one of them by chance.
    """
    committed = chance.random() < 0.5
    if step.accepted or not committed:
        yield from uncommitted(rules, protocol, step)
    if step.accepted or committed:
        yield from unsent(rules, protocol, step)


def uncommitted(rules: Rules, protocol: Protocol, step: Step) -> Iterator[str]:
    """5. Killed before the step was committed: from the log alone the same is decided again."""
    before = step.log[: len(step.log) - len(step.decision.events)]
    anew = rules.decide(rules.fold(protocol, before, step.handed), step.now)
    if anew.events != step.decision.events or anew.wake_at != step.decision.wake_at:
        yield "decided again from the log alone, the decision is another"


def unsent(rules: Rules, protocol: Protocol, step: Step) -> Iterator[str]:
    """5. Killed before anything left: nothing is decided twice."""
    for event in rules.decide(rules.fold(protocol, step.log, step.handed), step.now).events:
        yield f"decided again before anything left, {event.type} {event.id} is new"


def no_infusion(step: Step, truth: Truth) -> Iterator[str]:
    """6. An infusion is never proposed while on hold or after a stop."""
    state = step.decision.subject_state
    why = sorted(truth.held)
    why += ["a fatal event"] if truth.lies_dead else []
    why += ["the end of treatment"] if truth.stopped else []
    why += [step.decision.state] if truth.ended or state.on_hold or state.stop or state.exit else []
    if not why:
        return
    infusions = {visit.code for visit in state.protocol.infusions}
    for event in step.decision.events:
        data = event.data
        if isinstance(data, NoticeIssued) and data.kind == "reminder" and data.visit in infusions:
            yield f"{data.notice} is issued in spite of {why[0]}"
    for planned in state.visits:
        if planned.code in infusions and state.suggested(planned):
            yield f"{planned.code} is proposed for {state.suggested(planned)} in spite of {why[0]}"


def findings(step: Step, truth: Truth) -> Iterator[str]:
    """9. Deviations and response are those that follow from the log."""
    if step.accepted or any(not isinstance(event.data, NOTICES) for event in step.decision.events):
        yield from different_deviations(truth, step.decision.subject_state)
        yield from different_response(truth, step.decision.subject_state)
