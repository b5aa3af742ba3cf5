"""The subjects who agree to be reminded, their answers, and the coordinator who books anew."""

from __future__ import annotations

from datetime import date, timedelta

from deployments.simulation.people.draws import pick
from deployments.simulation.people.moment import Act, Life, Moment
from itp_events.events import Answered, Booked, ContactAgreed, NoticeIssued
from itp_events.rules.state import SubjectState

# Habits that change no figure of the study, so that no scenario names them.
_AGREE, _CHANGE_THEIR_MINDS = 0.8, 0.15
_ANSWERS = {"coming": 6.0, "not-coming": 2.0, "stop": 0.3, "nothing": 3.0}
_MOST_DAYS = 200


def agree(life: Life, state: SubjectState) -> list[Act]:
    """The subject agrees to reminders soon after the enrolment, and some change their minds, and again."""
    if state.protocol.participant is None or not life.draws.happens(_AGREE, "reminders"):
        return []
    chance = life.draws.of("reminders", "when")
    acts = [_say(life, state, True, chance.uniform(0.01, 1))]
    if life.draws.happens(_CHANGE_THEIR_MINDS, "reminders", "stop"):
        days = chance.uniform(2, _MOST_DAYS)
        acts += [_say(life, state, False, days), _say(life, state, True, days + chance.uniform(0.01, 3))]
    return acts


def _say(life: Life, state: SubjectState, agreed: bool, days: float) -> Act:
    def do(moment: Moment) -> None:
        moment.say("reminders", ContactAgreed(by="crc-01", agreed=agreed, on=moment.today))

    return Act(life.office(state.now + timedelta(days=days)), do)


def answer_reminder(life: Life, state: SubjectState, notice: NoticeIssued) -> list[Act]:
    """The subject's answer within hours, if there is any."""
    chance = life.draws.of(notice.notice, "answer")
    pressed = pick(_ANSWERS, chance)
    day = date.fromisoformat(notice.facts["t"])

    def do(moment: Moment) -> None:
        if pressed == "stop":
            moment.say("stop", ContactAgreed(by="participant", agreed=False, on=moment.today))
        elif notice.visit:
            data = {"by": "participant", "visit": notice.visit, "on": day, "answer": pressed}
            moment.say(f"{notice.visit}/answered", Answered.model_validate(data))

    return (
        []
        if pressed == "nothing" or life.gone
        else [Act(state.now + timedelta(hours=chance.uniform(0, 9)), do)]
    )


def book_anew(life: Life, state: SubjectState, notice: NoticeIssued) -> list[Act]:
    """The coordinator agrees on another day with who cannot come."""
    code, chance = str(notice.visit), life.draws.of(notice.notice, "anew")

    def do(moment: Moment) -> None:
        day = life.site.workdays.next(moment.today + timedelta(days=chance.choice((0, 1, 3))))
        moment.say(f"{code}/booked", Booked(by="crc-01", visit=code, on=day))

    return [Act(life.office(state.now + timedelta(hours=chance.uniform(0.5, 20))), do)]
