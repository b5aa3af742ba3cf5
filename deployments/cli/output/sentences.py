"""Puts events into words: their contents, their author, and the service's decisions because of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from deployments.cli.output.tables import sourced
from itp_events.events import (
    Acknowledged,
    AdverseEvent,
    Answered,
    Booked,
    Completed,
    ConsentGiven,
    ConsentWithdrawn,
    ContactAgreed,
    ContactAttempted,
    Data,
    DeviationAssessed,
    Died,
    Enrolled,
    Event,
    EventKey,
    Exited,
    Flagged,
    MedicationChanged,
    Missed,
    NoticeIssued,
    Pregnancy,
    ProtocolAssigned,
    Reference,
    SaeSubmitted,
    TreatmentStopped,
    Unscheduled,
    Voided,
    WithdrawalDecided,
    plain_number,
)
from itp_events.protocol.model import Criterion, Protocol
from itp_events.rules.explain import bleeding, day
from itp_events.rules.keys import unrecorded

if TYPE_CHECKING:
    # Pure commands load no database.
    from tasks.database.queries import LogLine


def stated(event: Event) -> str:
    """An event in one sentence."""
    return _WORDS[type(event.data)](event.data)


def author(line: LogLine) -> str:
    """The person who stated an event, its source and id, the account that was signed in, and the door.

    As `crc-01 (redcap: 8f1c; castor, api)`; the account is left out where it is that person's.
    """
    by = line.event.data.by
    known = [identified(line.event), line.origin.beside(by)]
    return f"{by} ({'; '.join(filter(None, known))})"


def named(event: Event) -> str:
    """An event's author, source and id, as `crc-01 (redcap: 8f1c)`."""
    return f"{event.data.by} ({identified(event)})"


def identified(event: Event) -> str:
    """An event's source and id, as `redcap: 8f1c`."""
    return f"{event.source}: {event.id}"


def because(key: EventKey, known: Mapping[EventKey, Event]) -> str:
    """The ground of a decision in words: a stated event, or passed time."""
    if key in known:
        return f"{stated(known[key])} ({identified(known[key])})"
    silence = unrecorded(key)
    if silence is None:
        return ": ".join(key)
    if silence.how == "missed":
        return f"{silence.visit}, which counts as missed"
    return f"{silence.visit}, with nothing recorded long after its window closed"


def decided(protocol: Protocol, event: Event, known: Mapping[EventKey, Event]) -> str:
    """A decision of the service, with the event and the rule of the protocol behind it."""
    data = event.data
    if isinstance(data, Missed):
        ladder = protocol.ladder
        rule = "at exit" if data.reason == "exit" else f"automatic on day {ladder.missed_on_day}"
        return f"{data.visit} counts as missed: {data.reason} [{rule}, {sourced(ladder.source)}]"
    if isinstance(data, Flagged):
        rule = _rule(protocol, data.criterion, data.because, known)
        return f"flag {data.criterion} raised on {day(data.on)}, {rule}"
    if isinstance(data, TreatmentStopped | Exited):
        what = "treatment stopped" if isinstance(data, TreatmentStopped) else "participation ended"
        rule = _rule(protocol, data.criterion, data.because, known)
        return f"{what} on {day(data.on)}: {data.decode}, {data.term}; {rule}"
    if isinstance(data, Voided) and (before := known.get((data.event.source, data.event.id))):
        return f"no longer holds ({data.reason}): {decided(protocol, before, known)}"
    return stated(event)


def _rule(
    protocol: Protocol, criterion: str | None, reference: Reference, known: Mapping[EventKey, Event]
) -> str:
    rule_met = protocol.criteria.get(criterion or "")
    words = ", ".join(conditions(rule_met)) if rule_met else ""
    met = f" ({words})" if words else ""
    rule = f" [criterion {rule_met.criterion}{met}, {sourced(rule_met.source)}]" if rule_met else ""
    return f"reason: {because((reference.source, reference.id), known)}{rule}"


def conditions(criterion: Criterion) -> Iterator[str]:
    """The numbers of a withdrawal criterion in words."""
    if criterion.grade is not None:
        yield f"related, and serious or of grade {criterion.grade} or more"
    if criterion.in_a_row is not None:
        yield f"{criterion.in_a_row} missed in a row"
    if criterion.attempts is not None:
        yield f"{criterion.attempts} contacts in vain on different days"
    if criterion.days_after_close is not None:
        yield f"{criterion.days_after_close} days after a window closed"


def _reference(reference: Reference) -> str:
    return f"{reference.source}: {reference.id}"


def _enrolled(data: Any) -> str:
    who = " by a guardian" if data.consent_by == "guardian" else ""
    assent = f", assent on {day(data.assent_on)}" if data.assent_on else ""
    first = f", infusion 1 planned for {day(data.first_infusion_on)}" if data.first_infusion_on else ""
    consent = f"consent{who} on {day(data.consent_on)}{assent}"
    return (
        f"enrolled on {day(data.on)} at site {data.site}, {consent}, {plain_number(data.weight_kg)} kg{first}"
    )


def _completed(data: Any) -> str:
    results = {
        "weight {} kg": (plain_number, data.weight_kg),
        "platelets {}": (plain_number, data.platelets),
        "cells given {}": (_cells, data.cells_given),
    }
    results_said = [text.format(say(value)) for text, (say, value) in results.items() if value is not None]
    if data.bleeding is not None:
        results_said.append(bleeding(data.bleeding))
    return f"{data.visit} done on {day(data.on)}" + (f" ({', '.join(results_said)})" if results_said else "")


def _cells(value: float) -> str:
    """A number of cells in short, as 1.23e+08, when that is what was stated."""
    return f"{value:.3g}" if float(f"{value:.3g}") == value else plain_number(value)


def _adverse_event(data: Any) -> str:
    serious = "serious" if data.serious else "not serious"
    related = "related" if data.related else "not related"
    outcome = f", outcome {data.outcome}" if data.outcome else ""
    return (
        f"adverse event {data.ae} on {day(data.on)}: {data.term}, grade {data.grade}, "
        f"{serious}, {related}{outcome}"
    )


def _decision(data: Any) -> str:
    about = f" on {data.criterion}" if data.criterion else ""
    decode = f" ({data.decode})" if data.decode else ""
    return f"the investigator decided {data.decision}{about} on {day(data.on)}{decode}: {data.reason}"


def _assessed(data: Any) -> str:
    important = "important" if data.important else "not important"
    more = [f"{name} {text}" for name, text in (("cause:", data.cause), ("action:", data.action)) if text]
    return f"deviation {data.deviation} assessed as {'; '.join([important, *more])}"


_CONSENTS = {"consent": "consent", "assent": "assent of the child", "majority": "consent in one's own name"}


def _consent(data: Any) -> str:
    return f"{_CONSENTS[data.kind]} given on {day(data.on)}, version {data.version}"


def _contact_agreed(data: Any) -> str:
    language = f" in {data.language}" if data.language else ""
    said = f"agrees to reminders{language}" if data.agreed else "wants no reminders any more"
    return f"the subject {said}, {day(data.on)}"


def _answered(data: Any) -> str:
    comes = "comes" if data.answer == "coming" else "cannot come"
    return f"the subject {comes} to {data.visit} on {day(data.on)}"


def _acknowledged(data: Any) -> str:
    until = f" until {day(data.until)}" if data.until else " until the next working day"
    return f"{data.visit} is taken care of{until}"


_WORDS: dict[type[Data], Callable[[Any], str]] = {
    Enrolled: _enrolled,
    Booked: lambda data: f"{data.visit} booked for {day(data.on)}",
    Completed: _completed,
    Missed: lambda data: f"{data.visit} missed: {data.reason}",
    Unscheduled: lambda data: f"unscheduled visit on {day(data.on)}: {data.reason}",
    Voided: lambda data: f"({_reference(data.event)}) no longer counts: {data.reason}",
    AdverseEvent: _adverse_event,
    SaeSubmitted: lambda data: f"report of {data.ae} submitted on {day(data.on)}",
    Pregnancy: lambda data: f"pregnancy{' of the partner' if data.partner else ''} on {day(data.on)}",
    MedicationChanged: lambda data: f"{data.kind} drug {data.drug} changed on {day(data.on)}: {data.detail}",
    ContactAttempted: lambda data: (
        f"contact on {day(data.on)}: {'reached' if data.reached else 'not reached'}"
    ),
    ConsentWithdrawn: lambda data: (
        f"consent withdrawn{' by a guardian' if data.guardian else ''} for {data.scope} on {day(data.on)}"
    ),
    WithdrawalDecided: _decision,
    Died: lambda data: f"died on {day(data.on)}",
    Acknowledged: _acknowledged,
    DeviationAssessed: _assessed,
    ConsentGiven: _consent,
    ContactAgreed: _contact_agreed,
    Answered: _answered,
    ProtocolAssigned: lambda data: f"protocol version {data.version}: {data.reason}",
    NoticeIssued: lambda data: f"{data.step} to {data.audience}",
}
