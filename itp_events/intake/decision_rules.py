"""The rules by which decisions, adverse events, pregnancies and safety reports are permitted or refused.

This module raises no flag: rules/withdrawal.py does. Each function returns nothing or raises.
"""

from __future__ import annotations

from itp_events.errors import BadEvent, Refused
from itp_events.events import AdverseEvent, Died, Event, Pregnancy, SaeSubmitted, WithdrawalDecided
from itp_events.intake.context import IntakeContext
from itp_events.rules.explain import day
from itp_events.rules.subject import as_data
from itp_events.rules.withdrawal import COMPLETED, INVESTIGATOR, LOST


def check_decision(context: IntakeContext, event: Event) -> None:
    """Check that a decision answers a flag or a missed last visit, or is the investigator's own.

    Raises:
        Refused: it answers nothing, or its disposition does not fit it (rule `decision`).
        BadEvent: it names a criterion that the protocol does not have.
    """
    data = as_data(event, WithdrawalDecided)
    if data.criterion is not None and data.criterion not in context.subject.protocol.criteria:
        known = ", ".join(context.subject.protocol.criteria)
        raise BadEvent(f"unknown criterion {data.criterion!r}; the protocol has {known}", "data.criterion")
    _decode_fits(data)
    last = context.subject_state.visits[-1]
    if data.decision == "complete":
        if last.outcome not in ("missed", "cancelled") or not last.settled(event.time):
            raise Refused("decision", f"complete answers a missed or cancelled {last.code} only")
    elif data.decision == "stop-treatment" and _treatment_ended(context, event):
        raise Refused("decision", "treatment has ended already; there is nothing to stop")
    if (data.decision == "continue" or data.criterion) and not _answers(context, event):
        about = f" for {data.criterion}" if data.criterion else ""
        at = event.time.astimezone(context.subject_state.subject.site.zone)
        raise Refused(
            "decision", f"no flag{about} waits for a decision on {day(at.date())} at {at:%H:%M} ({at.tzinfo})"
        )


def _treatment_ended(context: IntakeContext, event: Event) -> bool:
    """Whether no infusion was left to give when the decision was stated."""
    infusions = (visit for visit in context.subject_state.visits if visit.visit.epoch == "treatment")
    return all(visit.settled(event.time) for visit in infusions)


def _decode_fits(data: WithdrawalDecided) -> None:
    if data.decode and (data.decode == COMPLETED) != (data.decision == "complete"):
        raise Refused(
            "decision",
            f"{data.decode} does not fit {data.decision}: {COMPLETED} goes with complete, and only with it",
        )


def _answers(context: IntakeContext, event: Event) -> bool:
    data = as_data(event, WithdrawalDecided)
    criterion = data.criterion
    last = context.subject_state.visits[-1]
    lost = criterion == LOST and data.decision == "withdraw"
    if lost and last.outcome == "missed" and last.settled(event.time):
        return True  # a missed last visit can be answered so without a flag
    of_their_own = criterion == INVESTIGATOR and data.decision != "continue"
    return of_their_own or any(
        flag.criterion == (criterion or flag.criterion)
        and flag.at <= event.time
        and (flag.decided_at is None or flag.decided_at > event.time)
        for flag in context.subject_state.flags
    )


def check_adverse_event(context: IntakeContext, event: Event) -> None:
    """Check that an adverse event of which the subject died is stated as serious (ICH E2A).

    Raises:
        Refused: it is fatal and not serious (rule `fatal-serious`).
    """
    data = as_data(event, AdverseEvent)
    if data.fatal and not data.serious:
        what = "the outcome is fatal" if data.outcome == "fatal" else f"grade {data.grade} is death"
        raise Refused(
            "fatal-serious", f"{what}, so the event is serious; state serious: true, or correct that"
        )


def check_submission(context: IntakeContext, event: Event) -> None:
    """Check that a submission names an adverse event, a pregnancy or a death that was reported.

    Raises:
        Refused: nothing of that number or id was reported (rule `submission`).
    """
    ae = as_data(event, SaeSubmitted).ae
    subject = context.subject
    versions = subject.chain.versions
    reported = {
        as_data(version, AdverseEvent).ae for each in subject.of(AdverseEvent) for version in versions(each)
    }
    others = (*subject.of(Pregnancy), *subject.of(Died))
    reported |= {version.id for each in others for version in versions(each)}
    if ae not in reported:
        raise Refused("submission", f"no adverse event {ae!r} (nor a pregnancy with that id) is reported")


def check_pregnancy(context: IntakeContext, event: Event) -> None:
    """Check that a man's report is about his partner; taken for his own, it would stop his treatment.

    Raises:
        Refused: the subject is a man and `partner` is false (rule `pregnancy`).
    """
    if context.subject.enrolled.screening.sex == "male" and not as_data(event, Pregnancy).partner:
        raise Refused(
            "pregnancy", f"{event.subject} is a man; if his partner is pregnant, state partner: true"
        )
