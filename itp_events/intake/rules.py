"""The rules by which the study permits or refuses a well-formed event.

This module does not check the form of an event and does not judge batches. Each rule is one small function
that returns nothing or raises. ICH E6(R3) and 21 CFR 11.10(f): the permitted sequence of steps is enforced,
and a refusal names the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from itp_events.errors import BadInput, NotEligible, Refused
from itp_events.events import (
    OWN_SOURCE,
    Acknowledged,
    AdverseEvent,
    Answered,
    Booked,
    Completed,
    ConsentGiven,
    ContactAgreed,
    DeviationAssessed,
    Died,
    Enrolled,
    Event,
    Missed,
    Pregnancy,
    ProtocolAssigned,
    SaeSubmitted,
    Voided,
    WithdrawalDecided,
)
from itp_events.intake.assessment_rules import check_assessment
from itp_events.intake.context import IntakeContext
from itp_events.intake.decision_rules import (
    check_adverse_event,
    check_decision,
    check_pregnancy,
    check_submission,
)
from itp_events.intake.plausibility import check_plausible, identified, probably_meant
from itp_events.marks import marked
from itp_events.protocol.model import END_OF_TREATMENT, Protocol, Site
from itp_events.rules.corrections import voided_key
from itp_events.rules.decision_log import DecisionLog
from itp_events.rules.eligibility import unmet
from itp_events.rules.explain import day
from itp_events.rules.subject import as_data, happened, not_voided, version_at_enrolment
from itp_events.rules.windows import PlannedVisit

# The types of events that are recorded of a subject whose participation has ended.
_AFTER_EXIT = (
    AdverseEvent,
    SaeSubmitted,
    Pregnancy,
    Died,
    Voided,
    DeviationAssessed,
    ConsentGiven,
    ContactAgreed,
)
# They speak of days to come.
_OF_DAYS_TO_COME = (Booked, Acknowledged, Answered)


def check_permitted(context: IntakeContext, event: Event) -> None:
    """Check that the study permits an event, given the log so far.

    Raises:
        Refused: a rule of the study forbids it; NotEligible for an enrolment that fails inclusion criteria.
        BadEvent: it names a visit or a criterion that the protocol does not have.
    """
    if event.own:
        raise Refused("source", f"the source {OWN_SOURCE!r} is the service's own; use another")
    if event.time > context.now:
        raise Refused("future", f"time {event.time.isoformat()} lies in the future; send it when it happened")
    if isinstance(event.data, Enrolled):
        _enrolment(context, event)
        return
    if not context.enrolled:
        raise Refused("enrolment", f"{event.subject} is not enrolled; record itp.subject.enrolled first")
    _dates(context.subject.site, context.subject.enrolled.consent_on, event)
    _not_after_exit(context, event)
    if isinstance(event.data, Completed | Missed | Booked | Acknowledged | Answered):
        context = context.at_that_time(event, event.data.visit)
    for kind, rule in _RULES:
        if isinstance(event.data, kind):
            rule(context, event)


def check_aware_before_report(event: Event) -> None:
    """Check that `aware_at` is not later than the event's own report.

    Raises:
        Refused: `aware_at` is later than the report (rule `aware-ahead`).
    """
    aware_at = getattr(event.data, "aware_at", None)
    if aware_at is not None and aware_at > event.time:
        raise Refused(
            "aware-ahead",
            f"aware_at {aware_at.isoformat()} is later than the report itself, {event.time.isoformat()}",
        )


def _enrolment(context: IntakeContext, event: Event) -> None:
    data = as_data(event, Enrolled)
    if context.enrolled:
        since = day(context.subject.enrolled.on)
        raise Refused(
            "second-enrolment",
            f"{event.subject} is enrolled since {since}; "
            "to correct that, void it and state it anew in one batch",
        )
    site = context.protocol.site(data.site)
    _not_ahead(site, event)
    protocol = _version(context, data)
    _first_infusion(protocol, data)
    _before_infusions(context, protocol, data)
    corrects = any(isinstance(each.data, Enrolled) for each in context.history)
    # A subject that is enrolled already stays so: a correction that fails a criterion raises an alert
    # instead.
    if not corrects and (problems := unmet(protocol, data)):
        raise NotEligible(event.subject, tuple(str(problem) for problem in problems))


def _version(context: IntakeContext, data: Enrolled) -> Protocol:
    """The version of an enrolment: a corrected one keeps the version that was recorded for the first."""
    pinned = DecisionLog.of(event for event in context.history if event.own).pinned
    try:
        return version_at_enrolment(context.protocol, pinned, data.on)
    except BadInput as error:
        raise Refused("protocol-version", error.problem) from error


def _first_infusion(protocol: Protocol, data: Enrolled) -> None:
    first = protocol.visits[0]
    target = first.target.after(data.on)
    opens, closes = first.opens(target), first.closes(target)
    if data.first_infusion_on and not opens <= data.first_infusion_on <= closes:
        window = marked(f"{opens} to {closes}", first.source.window == "assumption")
        raise Refused(
            "first-infusion",
            f"first_infusion_on {data.first_infusion_on} lies outside the window of {first.code}, {window}",
        )


def _before_infusions(context: IntakeContext, protocol: Protocol, data: Enrolled) -> None:
    """Check that a corrected enrolment does not lie after an infusion that was given."""
    infusions = {visit.code for visit in protocol.infusions}
    for event in not_voided(context.history):
        done = event.data
        if isinstance(done, Completed) and done.visit in infusions and done.on < data.on:
            raise Refused(
                "before-enrolment",
                f"enrolment on {data.on} would be after {done.visit}, done on {done.on} "
                f"({identified(event)}); correct that one too",
            )


def _not_ahead(site: Site, event: Event) -> None:
    reported = site.date_of(event.time)
    on = happened(site, event)
    if on > reported:
        raise Refused(
            "date-ahead", f"on {on} is later than the day of its own report, {reported} at the site"
        )


def _dates(site: Site, consent_on: date, event: Event) -> None:
    _not_ahead(site, event)
    on = event.data.on if isinstance(event.data, Booked) else happened(site, event)
    if on < consent_on:
        raise Refused("before-consent", f"on {on} is before the consent of {consent_on}")


def _not_after_exit(context: IntakeContext, event: Event) -> None:
    end = context.subject_state.exit
    if end is None or isinstance(event.data, _AFTER_EXIT):
        return
    if isinstance(event.data, _OF_DAYS_TO_COME) and event.time < end.at:
        return  # the end was not known yet
    if context.subject.place(event) > (end.on, end.at):
        raise Refused(
            "after-exit",
            f"{event.subject} ended on {day(end.on)} ({end.decode}); after that only adverse events, their "
            "submission, pregnancy, death, consents, assessments of deviations and voids are recorded",
        )


def _visit_recorded(context: IntakeContext, event: Event) -> None:
    data = event.data
    assert isinstance(data, Completed | Missed)
    planned = context.planned(data.visit)
    on = data.on if isinstance(data, Completed) else None
    _not_settled(planned, probably_meant(context, planned, on))
    if isinstance(data, Missed) and planned.outcome == "cancelled" and planned.settled(event.time):
        raise Refused(
            "cancelled", f"{planned.code} is cancelled, for treatment was stopped; it cannot be missed"
        )
    _after_anchor(planned, on)
    if isinstance(data, Completed):
        check_plausible(context, planned, data)


def _not_settled(planned: PlannedVisit, meant: str = "") -> None:
    if planned.event is None:
        return
    said = f"completed on {day(planned.on)}" if planned.on else "declared missed"
    raise Refused(
        "recorded-once",
        f"{planned.code} is {said} already ({identified(planned.event)}); "
        f"void that event to correct it{meant}",
    )


def _after_anchor(planned: PlannedVisit, on: date | None) -> None:
    anchor = planned.anchor
    if not planned.firm:
        what = "treatment has ended" if planned.visit.anchor == END_OF_TREATMENT else "is completed or missed"
        before = what if planned.visit.anchor == END_OF_TREATMENT else f"{anchor.code} {what}"
        raise Refused("anchor-first", f"{planned.code} cannot be recorded before {before}")
    if on and anchor.basis == "actual" and planned.visit.epoch == "follow-up" and on < anchor.on:
        raise Refused(
            "anchor-first", f"{planned.code} on {on} would be before {anchor.code}, done on {anchor.on}"
        )


def _booking(context: IntakeContext, event: Event) -> None:
    planned = context.planned(as_data(event, Booked).visit)
    # Only an outcome known by then counts: an earlier booking is in order even when it arrives late.
    if planned.settled(event.time):
        _not_settled(planned)
        raise Refused("booking", f"{planned.code} counts as {planned.outcome}; there is nothing left to book")


def _acknowledgement(context: IntakeContext, event: Event) -> None:
    data = as_data(event, Acknowledged)
    planned = context.planned(data.visit)
    settled = planned.settled(event.time)
    if settled:
        _not_settled(planned)
    today = context.subject.site.date_of(event.time)
    if not planned.firm or today <= planned.closes or settled:
        raise Refused("acknowledgement", f"{planned.code} is not overdue; there is nothing to acknowledge")
    most = context.subject.protocol.ladder.acknowledged_at_most_days
    if data.until and not today <= data.until <= today + timedelta(days=most):
        raise Refused(
            "acknowledgement", f"until {data.until} must be {today} to {today + timedelta(days=most)}"
        )


def _answer(context: IntakeContext, event: Event) -> None:
    planned = context.planned(as_data(event, Answered).visit)
    if planned.settled(event.time):
        _not_settled(planned)
        raise Refused(
            "answer", f"{planned.code} counts as {planned.outcome}; there is nothing left to answer"
        )


def _void(context: IntakeContext, event: Event) -> None:
    key = voided_key(event)
    target = next((each for each in context.history if each.key == key), None)
    said = f"the event (source {key[0]}, id {key[1]})"
    if target is None:
        raise Refused("void", f"{said} is not in the log of {event.subject}")
    if target.own:
        raise Refused("void", f"{said} is the service's own decision; void the event it stands on")
    if isinstance(target.data, Voided):
        raise Refused("void", f"{said} is a void; state the event again instead")
    if target not in not_voided(context.history):
        raise Refused("void", f"{said} is voided already")


def _assignment(context: IntakeContext, event: Event) -> None:
    try:
        version = context.protocol.of_version(as_data(event, ProtocolAssigned).version)
    except BadInput as error:
        raise Refused("protocol-version", error.problem) from error
    on = context.subject.site.date_of(event.time)
    if version.effective_on and on < version.effective_on:
        raise Refused(
            "protocol-version",
            f"protocol version {version.version!r} is in force from {day(version.effective_on)}; "
            "assign it from that day on",
        )
    if context.subject.protocol_at(on, event.time).version == version.version:
        raise Refused(
            "protocol-version", f"{event.subject} follows protocol version {version.version!r} already"
        )


_RULES: tuple[tuple[type | tuple[type, ...], Callable[[IntakeContext, Event], None]], ...] = (
    ((Completed, Missed), _visit_recorded),
    (Booked, _booking),
    (Acknowledged, _acknowledgement),
    (Answered, _answer),
    (WithdrawalDecided, check_decision),
    (SaeSubmitted, check_submission),
    (Pregnancy, check_pregnancy),
    (DeviationAssessed, check_assessment),
    (AdverseEvent, check_adverse_event),
    (Voided, _void),
    (ProtocolAssigned, _assignment),
)
