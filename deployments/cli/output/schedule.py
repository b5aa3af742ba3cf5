"""Prints a subject's plan for people: the visits with the reasons of their dates, and the notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from deployments.cli.output.sentences import because, identified, stated
from deployments.cli.output.tables import (
    LEGEND,
    assumed,
    bullets,
    coloured,
    dated,
    heading,
    sourced,
    table,
)
from itp_events.events import Event, NoticeIssued, plain_number
from itp_events.marks import marked
from itp_events.notices.assumed import notice_assumed
from itp_events.outputs.plan_json import deviation as document
from itp_events.protocol.model import Protocol
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.explain import READINGS, at_site, basis, day, outside, sides
from itp_events.rules.response import WORDS, response_course, responses
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit
from itp_events.rules.withdrawal import Flag

if TYPE_CHECKING:
    # Pure commands load no database.
    from tasks.database.event_log import Origin

NOTICES_SHOWN = 8
_WHOLE = ("Visit", "Opens", "Closes", "Target", "Booked", "Done")


def print_head(out: Console, state: SubjectState) -> None:
    """Print the subject, its state, its protocol and its time zone."""
    subject, protocol = state.subject, state.protocol
    out.print(Text.assemble((subject.code, "bold"), "  ", (state.phase, "bold")))
    zone = assumed(subject.site.time_zone, subject.site.source)
    site = f"site {subject.enrolled.site} ({zone})"
    out.print(f"{protocol.id} version {protocol.version}, {site}, enrolled {day(subject.enrolled.on)}")
    out.print(f"As of {at_site(subject.site, state.now)} at the site")


def print_visits(out: Console, state: SubjectState) -> None:
    """Print each visit with its window, its outcome, and the reason of its dates."""
    out.print()
    rows = (_row(state, each) for each in state.visits)
    # With a gap of one the widest dates leave room for the status on 80 columns.
    out.print(table((*_WHOLE, "Status"), rows, _WHOLE, gap=1))
    heading(out, "Why these dates")
    bullets(out, ((each.code, why(state, each) + _proposed(state, each)) for each in state.visits))
    out.print(LEGEND)


def why(state: SubjectState, planned: PlannedVisit) -> str:
    """The anchor of a visit's dates and its outcome; each assumed rule is marked."""
    rule = planned.visit
    read = READINGS[rule.reading] if rule.reading else ""
    hangs_on = ", ".join(filter(None, (basis(planned), read)))
    target = marked(hangs_on, target_assumed(planned, state.visits))
    window = assumed(f"window {sides(rule)}", rule.source.window)
    return "; ".join(filter(None, (f"{rule.label}: {target}", window, _became(state, planned))))


def _became(state: SubjectState, planned: PlannedVisit) -> str:
    """A visit's outcome, and the event that states it; nothing while it is open and not booked."""
    if planned.event:
        return f"{stated(planned.event)} ({identified(planned.event)})"
    if planned.outcome == "missed" and not planned.by_exit:
        ladder = state.protocol.ladder
        rule = assumed(f"automatic on day {ladder.missed_on_day} or later", ladder.source)
        since = state.subject.site.date_of(planned.known_at) if planned.known_at else planned.closes
        return f"counts as missed since {day(since)}, nothing was recorded ({rule})"
    if planned.outcome:
        return _cut_short(state, planned)
    booking = state.subject.booked.get(planned.code)
    return f"{stated(booking)} ({identified(booking)})" if booking else ""


def _cut_short(state: SubjectState, planned: PlannedVisit) -> str:
    """The reason of a cancelled visit: participation ended, or treatment was stopped."""
    end = state.exit if state.exit and planned.known_at == state.exit.at else state.stop
    if end is None:
        return ""
    what = "participation ended" if end is state.exit else "treatment was stopped"
    closed = "missed: its window had closed when" if planned.by_exit else "cancelled:"
    return f"{closed} {what} on {day(end.on)} ({identified(end.event)})"


def _proposed(state: SubjectState, planned: PlannedVisit) -> str:
    """The day to propose for a visit whose target is no working day, or is past."""
    suggested = None if planned.booked else state.suggested(planned)
    if suggested is None or suggested == planned.target:
        return ""
    return f"; nearest working day {day(suggested)}"


def _row(state: SubjectState, planned: PlannedVisit) -> Sequence[str | Text]:
    window = window_assumed(planned, state.visits)
    return (
        planned.code,
        dated(planned.opens, window),
        dated(planned.closes, window),
        dated(planned.target, target_assumed(planned, state.visits)),
        dated(planned.booked),
        dated(planned.on),
        coloured(planned.status(state.today), _deviation(planned)),
    )


def _deviation(planned: PlannedVisit) -> str:
    return f", {outside(planned.deviation_days)}" if planned.deviation_days else ""


def print_flags(out: Console, state: SubjectState) -> None:
    """Print the withdrawal criteria that were met, and the end of each epoch."""
    if state.flags:
        heading(out, "Flags")
        bullets(out, ((flag.criterion, _flag(state, flag)) for flag in state.flags))
    if state.dispositions:
        heading(out, "Dispositions")
        bullets(
            out,
            ((each.epoch, f"{each.decode} on {day(each.on)} ({each.term})") for each in state.dispositions),
        )


def _flag(state: SubjectState, flag: Flag) -> str:
    source = sourced(state.protocol.criteria[flag.criterion].source)
    known = {event.key: event for event in state.subject.facts}
    since = f"since {at_site(state.subject.site, flag.at)}, reason: {because(flag.event, known)} [{source}]"
    if flag.decision is None:
        return f"{since}; waits for the investigator's decision"
    return f"{since}; {stated(flag.decision)} ({identified(flag.decision)})"


def print_responses(out: Console, state: SubjectState) -> None:
    """Print the platelets counted and the response they show; nothing where none were counted."""
    evaluated = [each for each in responses(state) if each.on]
    if not any(each.platelets is not None or each.bleeding is not None for each in evaluated):
        return
    heading(out, f"Platelets and response ({state.protocol.response.source})")
    baseline = state.subject.enrolled.baseline_platelets
    out.print(
        f"Baseline: {plain_number(baseline)} × 10⁹/L" if baseline is not None else "Baseline: not recorded"
    )
    columns = ("Visit", "Platelets", "Response", "Why")
    rows = (
        (
            each.visit,
            "" if each.platelets is None else plain_number(each.platelets),
            WORDS[each.grade],
            each.why,
        )
        for each in evaluated
    )
    out.print(table(columns, rows, columns[:3]))
    for line in response_course(state).in_words():
        out.print(Text(line))


def print_deviations(
    out: Console, state: SubjectState, origin: Callable[[Event], Origin] | None = None
) -> None:
    """Print the deviations from the protocol with their importance; nothing where there are none.

    `origin` says how an assessment came in, where that is known.
    """
    stated = deviations(state)
    if stated:
        heading(out, "Deviations")
        columns = ("Since", "Deviation", "Important")
        rows = ((day(each.on), deviated(each, origin), importance(state.protocol, each)) for each in stated)
        out.print(table(columns, rows, columns[:1]))


def deviated(deviation: Deviation, origin: Callable[[Event], Origin] | None) -> str:
    """A deviation's id, its description, and the investigator's assessment, each on a line of its own."""
    said = deviation.assessment
    if said is None or deviation.assessed is None:
        return f"{deviation.id}\n{deviation.term}"
    more = [f"{name}: {text}" for name, text in (("cause", said.cause), ("action", said.action)) if text]
    by = origin(deviation.assessed).after(said.by) if origin else said.by
    return "\n".join([deviation.id, deviation.term, "; ".join([f"assessed by {by}", *more])])


def deviation_document(one: Deviation, origin: Callable[[Event], Origin]) -> dict[str, Any]:
    """A deviation as the plan's JSON has it, and with its assessment how that came in."""
    said = document(one)
    if one.assessed is not None:
        said["assessed"] |= {"actor": origin(one.assessed).actor, "door": origin(one.assessed).door}
    return said


def importance(protocol: Protocol, deviation: Deviation) -> str:
    """Whether a deviation is important; marked where that is a rule's assumption and not an assessment."""
    word = "yes" if deviation.important else "no"
    return word if deviation.assessed else assumed(word, protocol.deviations[deviation.category].source)


def print_due(out: Console, state: SubjectState, due: Sequence[NoticeIssued]) -> None:
    """Print the notices that are due now."""
    heading(out, "Due now")
    out.print(_notices(state, due) if due else "nothing")


def print_next(out: Console, state: SubjectState, ahead: Sequence[NoticeIssued]) -> None:
    """Print the notices that come next if nothing else is recorded."""
    heading(out, "Next, if nothing else is recorded")
    out.print(_notices(state, ahead[:NOTICES_SHOWN]) if ahead else "nothing")
    if len(ahead) > NOTICES_SHOWN:
        last = state.subject.site.date_of(ahead[-1].due)
        out.print(f"and {len(ahead) - NOTICES_SHOWN} more until {day(last)}")


def _notices(state: SubjectState, notices: Iterable[NoticeIssued]) -> object:
    columns = ("When (site)", "Visit", "What", "To")
    rows = (
        (at_site(state.subject.site, each.due), each.visit or "", _what(state.protocol, each), each.audience)
        for each in notices
    )
    return table(columns, rows, columns)


def _what(protocol: Protocol, notice: NoticeIssued) -> str:
    """The description of a notice, marked where its rule is an assumption."""
    visit = protocol.by_code.get(notice.visit or "")
    rests = notice_assumed(protocol, notice.kind, notice.step, visit.epoch if visit else None)
    return marked(f"{notice.kind} {notice.step}", rests)
