"""How people answer the service: acknowledgements, contact attempts, misses, the investigator's decisions."""

from __future__ import annotations

from datetime import datetime, timedelta

from deployments.simulation.people.attending import come, comes_at_all
from deployments.simulation.people.behaviour import Answer
from deployments.simulation.people.draws import pick
from deployments.simulation.people.moment import Act, Life, Scene
from itp_events.events import (
    Acknowledged,
    ContactAttempted,
    Data,
    Missed,
    NoticeIssued,
    WithdrawalDecided,
)
from itp_events.rules.state import View
from itp_events.rules.windows import PlannedVisit


def answer(life: Life, seen: View, notice: NoticeIssued) -> list[Act]:
    """What somebody does because a notice reached them."""
    if notice.kind == "escalation" and notice.visit:
        return _about_overdue(life, seen, notice, notice.visit)
    if notice.step == "flag" and notice.audience == "investigator":
        return _decide(life, seen, str(notice.facts.get("criterion", "")))
    if notice.step == "disposition":
        return _dispose(life, seen)
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


def _about_overdue(life: Life, seen: View, notice: NoticeIssued, code: str) -> list[Act]:
    planned = next(each for each in seen.visits if each.code == code)
    acts = _acknowledge(life, seen, notice, code)
    absent = code not in life.attended and (life.lost or not comes_at_all(life, planned))
    if notice.step == "rung-1" and absent and _once(life, f"{code}/{planned.target}/absent"):
        acts += [_contact(life, seen.now, planned, 1), *_declare(life, seen, planned)]
    return acts


def _acknowledge(life: Life, seen: View, notice: NoticeIssued, code: str) -> list[Act]:
    rules = life.behaviour.answers.acknowledge
    at = _after(life, rules, seen.now, code, notice.step, "acknowledged")
    days = round(rules.until_days.draw(life.draws.of(code, notice.step, "until")))

    def acknowledge(scene: Scene) -> None:
        planned = _open(scene, code)
        if planned and scene.today > planned.closes:
            until = scene.today + timedelta(days=days) if days > 0 else None
            scene.say(f"{code}/acknowledged", Acknowledged(by="crc-01", visit=code, until=until))

    return [Act(at, acknowledge)] if at else []


def _open(scene: Scene, code: str) -> PlannedVisit | None:
    if scene.seen is None or scene.seen.exit:
        return None
    return next((each for each in scene.seen.visits if each.code == code and each.outcome is None), None)


def _declare(life: Life, seen: View, planned: PlannedVisit) -> list[Act]:
    code = planned.code
    at = _after(life, life.behaviour.answers.declare_missed, seen.now, code, "declared")

    def declare(scene: Scene) -> None:
        open_visit = _open(scene, code)
        if open_visit and open_visit.firm and code not in life.attended and code not in _coming(life):
            scene.say(f"{code}/missed", Missed(by="crc-01", visit=code, reason="did not come"))

    return [Act(at, declare)] if at else []


def _coming(life: Life) -> set[str]:
    return {each.removeprefix("coming/") for each in life.answered if each.startswith("coming/")}


def _contact(life: Life, after: datetime, planned: PlannedVisit, number: int) -> Act:
    rules = life.behaviour.contact
    code = planned.code
    days = rules.every_days if number > 1 else 0
    minutes = 20 + life.draws.of(code, "contact", number, "minute").randint(0, 200)
    at = life.office(after + timedelta(days=days, minutes=minutes))

    def attempt(scene: Scene) -> None:
        if number > rules.attempts or _open(scene, code) is None or code in life.attended:
            return
        reached = not life.lost and life.draws.happens(rules.reached, code, "contact", number)
        scene.say("contact", ContactAttempted(by="crc-01", on=scene.today, reached=reached))
        if not reached:
            scene.plans.append(_contact(life, scene.now, planned, number + 1))
        elif life.draws.happens(rules.comes, code, "contact", "comes"):
            _once(life, f"coming/{code}")
            days = life.draws.of(code, "contact", "day").randint(1, 7)
            day = life.site.workdays.on_or_after(scene.today + timedelta(days=days))
            scene.plans.append(come(life, planned, day, scene.now))

    return Act(at, attempt)


def _decide(life: Life, seen: View, criterion: str) -> list[Act]:
    rules = life.behaviour.answers.decide
    number = sum(flag.criterion == criterion for flag in seen.flags)
    purpose = ("decide", criterion, number)
    at = _after(life, rules, seen.now, *purpose)
    if at is None or not _once(life, "/".join(map(str, purpose))):
        return []
    choice = str(
        pick(
            rules.lost if criterion == "lost-to-follow-up" else rules.choice,
            life.draws.of(*purpose, "choice"),
        )
    )

    def decide(scene: Scene) -> None:
        if scene.seen is None or criterion not in {flag.criterion for flag in scene.seen.open_flags}:
            return
        stops = choice == "stop-treatment" and scene.seen.treatment_ended
        data = _decision(scene, "continue" if stops else choice, criterion, "the investigator's choice")
        scene.say(f"decided/{criterion}", data)

    return [Act(at, decide)]


def _decision(scene: Scene, choice: str, criterion: str | None, reason: str) -> Data:
    value = {"by": "pi-01", "criterion": criterion, "decision": choice, "reason": reason, "on": scene.today}
    return WithdrawalDecided.model_validate(value)


def _dispose(life: Life, seen: View) -> list[Act]:
    rules = life.behaviour.answers.disposition
    at = _after(life, rules, seen.now, "disposition")
    if at is None or not _once(life, "disposition"):
        return []
    choice = str(pick(rules.choice, life.draws.of("disposition", "choice")))
    return [Act(at, lambda scene: _disposed(scene, choice))]


def _disposed(scene: Scene, choice: str) -> None:
    if scene.seen and scene.seen.awaiting_disposition:
        scene.say("disposition", _decision(scene, choice, None, "the last visit was missed"))
