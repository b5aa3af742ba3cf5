"""The answers of people to notices: acknowledgements, contact attempts, misses, decisions, assessments."""

from __future__ import annotations

from datetime import datetime, timedelta

from deployments.simulation.people.attending import come, comes_at_all
from deployments.simulation.people.behaviour import Answer
from deployments.simulation.people.draws import pick
from deployments.simulation.people.moment import Act, Life, Moment
from deployments.simulation.people.reminded import answer_reminder, book_anew
from itp_events.events import (
    Acknowledged,
    ConsentGiven,
    ContactAttempted,
    Data,
    DeviationAssessed,
    Missed,
    NoticeIssued,
    WithdrawalDecided,
)
from itp_events.protocol.model import PARTICIPANT
from itp_events.rules.deviations import deviations
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit


def answer(life: Life, state: SubjectState, notice: NoticeIssued) -> list[Act]:
    """The acts of a person whom a notice has reached."""
    if notice.audience == PARTICIPANT:
        return answer_reminder(life, state, notice)
    if notice.step == "cannot-come":
        return book_anew(life, state, notice)
    if notice.kind == "escalation" and notice.visit:
        return _about_overdue(life, state, notice, notice.visit)
    if notice.step == "flag" and notice.audience == "investigator":
        return _decide(life, state, str(notice.facts.get("criterion", "")))
    if notice.step == "disposition":
        return _dispose(life, state)
    if notice.step in ("assent", "majority"):
        return _consent(life, state, notice.step)
    return []


def _once(life: Life, what: str) -> bool:
    known = what in life.answered
    life.answered.add(what)
    return not known


def _after(life: Life, rules: Answer, now: datetime, *purpose: object) -> datetime | None:
    if not life.draws.happens(rules.probability, *purpose):
        return None
    hours = max(0.2, rules.hours.draw(life.draws.of(*purpose, "hours")))
    return life.office(now + timedelta(hours=hours))


def _about_overdue(life: Life, state: SubjectState, notice: NoticeIssued, code: str) -> list[Act]:
    planned = next(each for each in state.visits if each.code == code)
    acts = _acknowledge(life, state, notice, code)
    absent = code not in life.attended and (life.gone or not comes_at_all(life, planned))
    if notice.step == "rung-1" and absent and _once(life, f"{code}/{planned.target}/absent"):
        acts += [_contact(life, state.now, planned, 1), *_declare(life, state, planned)]
    return acts


def _acknowledge(life: Life, state: SubjectState, notice: NoticeIssued, code: str) -> list[Act]:
    rules = life.behaviour.answers.acknowledge
    at = _after(life, rules, state.now, code, notice.step, "acknowledged")
    days = round(rules.until_days.draw(life.draws.of(code, notice.step, "until")))

    def acknowledge(moment: Moment) -> None:
        planned = _open(moment, code)
        if planned and moment.today > planned.closes:
            until = moment.today + timedelta(days=days) if days > 0 else None
            moment.say(f"{code}/acknowledged", Acknowledged(by="crc-01", visit=code, until=until))

    return [Act(at, acknowledge)] if at else []


def _open(moment: Moment, code: str) -> PlannedVisit | None:
    if moment.subject_state is None or moment.subject_state.exit:
        return None
    return next(
        (each for each in moment.subject_state.visits if each.code == code and each.outcome is None), None
    )


def _declare(life: Life, state: SubjectState, planned: PlannedVisit) -> list[Act]:
    code = planned.code
    at = _after(life, life.behaviour.answers.declare_missed, state.now, code, "declared")

    def declare(moment: Moment) -> None:
        open_visit = _open(moment, code)
        if open_visit and open_visit.firm and code not in life.attended and code not in _coming(life):
            moment.say(f"{code}/missed", Missed(by="crc-01", visit=code, reason="did not come"))

    return [Act(at, declare)] if at else []


def _coming(life: Life) -> set[str]:
    return {each.removeprefix("coming/") for each in life.answered if each.startswith("coming/")}


def _contact(life: Life, after: datetime, planned: PlannedVisit, number: int) -> Act:
    rules = life.behaviour.contact
    code = planned.code
    days = rules.every_days if number > 1 else 0
    minutes = 20 + life.draws.of(code, "contact", number, "minute").randint(0, 200)
    at = life.office(after + timedelta(days=days, minutes=minutes))

    def attempt(moment: Moment) -> None:
        if number > rules.attempts or _open(moment, code) is None or code in life.attended:
            return
        reached = not life.gone and life.draws.happens(rules.reached, code, "contact", number)
        moment.say("contact", ContactAttempted(by="crc-01", on=moment.today, reached=reached))
        if not reached:
            moment.plans.append(_contact(life, moment.now, planned, number + 1))
        elif life.draws.happens(rules.comes, code, "contact", "comes"):
            _once(life, f"coming/{code}")
            days = life.draws.of(code, "contact", "day").randint(1, 7)
            day = life.site.workdays.on_or_after(moment.today + timedelta(days=days))
            moment.plans.append(come(life, planned, day, moment.now))

    return Act(at, attempt)


def _decide(life: Life, state: SubjectState, criterion: str) -> list[Act]:
    rules = life.behaviour.answers.decide
    number = sum(flag.criterion == criterion for flag in state.flags)
    purpose = ("decide", criterion, number)
    at = _after(life, rules, state.now, *purpose)
    if at is None or not _once(life, "/".join(map(str, purpose))):
        return []
    choice = str(
        pick(
            rules.lost if criterion == "lost-to-follow-up" else rules.choice,
            life.draws.of(*purpose, "choice"),
        )
    )

    def decide(moment: Moment) -> None:
        if moment.subject_state is None or criterion not in {
            flag.criterion for flag in moment.subject_state.open_flags
        }:
            return
        stops = choice == "stop-treatment" and moment.subject_state.treatment_ended
        together = life.draws.happens(rules.together, *purpose, "together")
        named = None if together else criterion
        data = _decision(moment, "continue" if stops else choice, named, "the investigator's choice")
        moment.say(f"decided/{criterion}", data)

    return [Act(at, decide)]


def _consent(life: Life, state: SubjectState, kind: str) -> list[Act]:
    """The consent of a subject who comes of age, or the assent of a child of some years."""
    at = _after(life, life.behaviour.answers.consent_of_age, state.now, kind)
    return [Act(at, lambda moment: _consented(moment, kind))] if at and _once(life, kind) else []


def _consented(moment: Moment, kind: str) -> None:
    if moment.subject_state and not moment.subject_state.exit and not moment.life.gone:
        value = {"by": "crc-01", "kind": kind, "version": "1.0", "on": moment.today}
        moment.say(f"consent/{kind}", ConsentGiven.model_validate(value))


def assess(life: Life, state: SubjectState) -> list[Act]:
    """The investigator assesses the deviations that should be, each once."""
    waiting = [each for each in deviations(state) if each.waits]
    return [
        act
        for each in waiting
        if _once(life, f"deviation/{each.id}")
        for act in _assess(life, state, each.id)
    ]


def _assess(life: Life, state: SubjectState, deviation: str) -> list[Act]:
    rules = life.behaviour.answers.assess_deviation
    at = _after(life, rules, state.now, deviation)
    important = life.draws.happens(rules.important, deviation, "important")

    def speak(moment: Moment) -> None:
        known = moment.subject_state and deviation in {each.id for each in deviations(moment.subject_state)}
        if known:
            data = DeviationAssessed(
                by="pi-01", deviation=deviation, important=important, cause="seen at review"
            )
            moment.say("assessed", data)

    return [Act(at, speak)] if at else []


def _decision(moment: Moment, choice: str, criterion: str | None, reason: str) -> Data:
    value = {"by": "pi-01", "criterion": criterion, "decision": choice, "reason": reason, "on": moment.today}
    return WithdrawalDecided.model_validate(value)


def _dispose(life: Life, state: SubjectState) -> list[Act]:
    rules = life.behaviour.answers.disposition
    at = _after(life, rules, state.now, "disposition")
    if at is None or not _once(life, "disposition"):
        return []
    choice = str(pick(rules.choice, life.draws.of("disposition", "choice")))
    return [Act(at, lambda moment: _disposed(moment, choice))]


def _disposed(moment: Moment, choice: str) -> None:
    if moment.subject_state and moment.subject_state.awaiting_disposition:
        moment.say("disposition", _decision(moment, choice, None, "the last visit was missed"))
